"""Radial spectra against closed forms, Parseval and cosine transforms."""

from absl.testing import absltest, parameterized
import numpy as np
import scipy.fft

from hinote_jax.metrics import running, spectra

BOTH = (True, True)


def _noise(shape=(1, 32, 32, 1), seed=0):
  return np.random.default_rng(seed).normal(size=shape)


def _low_pass(field, cutoff):
  """Keeps the Fourier modes of a periodic field below a radius."""
  modes = np.fft.fft2(field, axes=(1, 2))
  ky, kx = (np.fft.fftfreq(n) for n in field.shape[1:3])
  keep = np.hypot(ky[:, None], kx) < cutoff
  return np.fft.ifft2(modes * keep[None, :, :, None], axes=(1, 2)).real


def _spectra(pred, target):
  """Returns wavenumbers and the spectra of prediction, error and target."""
  fields = pred, pred - target, target
  pairs = [spectra.radial_spectrum(f, periodic=BOTH) for f in fields]
  return pairs[0][0], *(power for _, power in pairs)


def _distance(pred, target):
  wavenumber, power, _, reference = _spectra(pred, target)
  return spectra.log_distance(wavenumber, power, reference)


def _parting(pred, target):
  wavenumber, _, error, reference = _spectra(pred, target)
  return spectra.parting(wavenumber, error, reference)


class SpectraTest(parameterized.TestCase):
  @parameterized.product(
    shape=[(8, 8), (9, 7), (16, 40), (11, 6), (64, 256)],
    periodic=[(True, True), (False, True), (True, False), (False, False)],
  )
  def test_sum_over_rings_is_the_variance(self, shape, periodic):
    field = 280.0 + _noise((2, *shape, 3))
    _, power = spectra.radial_spectrum(field, periodic=periodic)
    np.testing.assert_allclose(
      power.sum(axis=1), field.var(axis=(1, 2)), rtol=1e-10
    )

  @parameterized.product(
    shape=[(8, 8), (9, 7), (11, 6)],
    periodic=[(True, True), (False, True), (True, False), (False, False)],
  )
  def test_rings_are_those_of_the_mirrored_field(self, shape, periodic):
    def weight(ky, kx):
      return 1.0 / (1.0 + ky**2 + 3.0 * kx**2)

    field = _noise((1, *shape, 1))
    found = spectra.radial_spectrum(field, periodic=periodic, weight=weight)
    mirrored = field[0, ..., 0] - field.mean()
    for axis in (0, 1):
      if not periodic[axis]:
        both = [mirrored, np.flip(mirrored, axis)]
        mirrored = np.concatenate(both, axis)
    ky, kx = (np.fft.fftfreq(n) for n in mirrored.shape)
    ky = ky[:, None]
    power = np.abs(np.fft.fft2(mirrored, norm="forward")) ** 2 * weight(ky, kx)
    step = spectra.fundamental(shape, periodic)
    ring = np.maximum(np.floor(np.hypot(ky, kx) / step + 0.5), 1) - 1
    want = np.bincount(ring.astype(int).ravel(), power.ravel())
    count = len(found[0])
    np.testing.assert_allclose(found[1][0, :, 0], want[:count], rtol=1e-10)
    assert np.all(want[count:] < 1e-25)  # of modes that mirrors do not have

  @parameterized.parameters(
    ((3, 0), 3), ((0, 5), 5), ((3, 4), 5), ((-6, 8), 10)
  )
  def test_plane_wave_lands_in_one_ring(self, mode, ring):
    y, x = np.meshgrid(np.arange(32), np.arange(32), indexing="ij")
    phase = 2.0 * np.pi * (mode[0] * y + mode[1] * x) / 32 + 0.4
    field = 3.0 * np.cos(phase)[None, :, :, None]
    wavenumber, power = spectra.radial_spectrum(field, periodic=BOTH)
    found = int(np.argmax(power[0, :, 0]))
    self.assertAlmostEqual(wavenumber[found], ring / 32, places=12)
    self.assertAlmostEqual(power[0, found, 0], 4.5, places=10)  # amplitude²/2
    self.assertLess(np.delete(power[0, :, 0], found).max(), 1e-20)

  def test_nyquist_wave_keeps_its_power(self):
    field = np.tile([1.0, -1.0], 8)[None, None, :, None] * np.ones(
      (1, 16, 1, 1)
    )
    wavenumber, power = spectra.radial_spectrum(field, periodic=BOTH)
    ring = int(np.argmax(power[0, :, 0]))
    self.assertEqual(wavenumber[ring], spectra.NYQUIST)
    self.assertAlmostEqual(power[0, ring, 0], 1.0, places=12)

  def test_cosine_mode_of_walls_lands_at_half_fundamentals(self):
    cell = (np.arange(24) + 0.5) / 24
    field = np.cos(np.pi * 5 * cell)[None, :, None, None] * np.ones(
      (1, 1, 24, 1)
    )
    wavenumber, power = spectra.radial_spectrum(field, periodic=(False, False))
    ring = int(np.argmax(power[0, :, 0]))
    self.assertAlmostEqual(wavenumber[ring], 5 / 48, places=12)
    self.assertAlmostEqual(power[0, ring, 0], 0.5, places=12)

  def test_walls_agree_with_the_cosine_transform(self):
    field = _noise((1, 12, 12, 1))
    _, power = spectra.radial_spectrum(field, periodic=(False, False))
    modes = scipy.fft.dctn(field[0, :, :, 0], norm="ortho") ** 2 / 144
    y, x = np.meshgrid(np.arange(12), np.arange(12), indexing="ij")
    ring = np.floor(np.hypot(y, x) + 0.5).astype(int)
    expected = np.bincount(ring.ravel(), modes.ravel())[1:]
    np.testing.assert_allclose(
      power[0, : len(expected), 0], expected, rtol=1e-9
    )

  def test_white_noise_is_flat_per_mode(self):
    field = _noise((40, 32, 32, 1))
    impulse = np.zeros((1, 32, 32, 1))
    impulse[0, 3, 5, 0] = 32.0  # every mode of a delta has the same power
    _, power = spectra.radial_spectrum(field, periodic=BOTH)
    _, modes = spectra.radial_spectrum(impulse, periodic=BOTH)
    ratio = power.mean(axis=0)[:, 0] / modes[0, :, 0]
    # 40 fields x at least 4 independent values a ring: deviation 11 %.
    np.testing.assert_allclose(ratio, 1.0, atol=0.4)
    self.assertLess(abs(ratio[5:].mean() - 1.0), 0.02)

  def test_rolling_a_periodic_axis_changes_nothing(self):
    field = _noise((1, 10, 16, 1))
    _, power = spectra.radial_spectrum(field, periodic=(False, True))
    rolled = np.roll(field, 5, axis=2)
    _, same = spectra.radial_spectrum(rolled, periodic=(False, True))
    np.testing.assert_allclose(same, power, rtol=1e-9, atol=1e-15)

  def test_flipping_a_wall_changes_nothing(self):
    field = _noise((1, 10, 16, 1))
    _, power = spectra.radial_spectrum(field, periodic=(False, True))
    _, same = spectra.radial_spectrum(field[:, ::-1], periodic=(False, True))
    np.testing.assert_allclose(same, power, rtol=1e-9, atol=1e-15)

  def test_a_ramp_between_walls_has_no_jump(self):
    ramp = np.linspace(0.0, 1.0, 64)[None, :, None, None] * np.ones(
      (1, 1, 64, 1)
    )
    fine = {}
    for wraps in (True, False):
      wavenumber, power = spectra.radial_spectrum(ramp, periodic=(wraps, True))
      fine[wraps] = power[0, wavenumber > 0.25, 0].sum()
    self.assertLess(fine[False], 1e-3 * fine[True])

  def test_error_is_zero_for_equal_and_shifted_fields(self):
    field = _noise()
    same = _distance(field, field)
    shifted = np.roll(field, (3, 7), axis=(1, 2))
    blind = _distance(shifted, field)
    np.testing.assert_allclose(same, 0.0, atol=1e-12)
    np.testing.assert_allclose(blind, 0.0, atol=1e-9)
    parting = _parting(shifted, field)
    self.assertLess(parting[0, 0], 0.1)

  @parameterized.parameters(2.0, 0.5, 10.0)
  def test_error_of_an_amplified_field_is_its_gain_in_db(self, gain):
    field = _noise()
    found = _distance(gain * field, field)
    expected = abs(20.0 * np.log10(gain))
    np.testing.assert_allclose(found, expected, rtol=1e-9)

  @parameterized.parameters(4, 8, 12)
  def test_low_passed_copy_parts_at_the_cutoff(self, ring):
    field = _noise((2, 32, 32, 2))
    copy = _low_pass(field, (ring - 0.5) / 32)
    found = _parting(copy, field)
    np.testing.assert_allclose(found, ring / 32, rtol=1e-12)

  def test_parting_is_nyquist_where_nothing_is_lost(self):
    field = _noise()
    close = field * 1.1
    for pred in (field, close):
      found = _parting(pred, field)
      np.testing.assert_array_equal(found, spectra.NYQUIST)

  def test_parting_starts_at_half_the_power(self):
    field = _noise()
    for factor, expected in ((0.70, spectra.NYQUIST), (0.72, 1 / 32)):
      pred = (
        1.0 + factor
      ) * field  # the error's power is factor² of the truth's
      found = _parting(pred, field)
      np.testing.assert_allclose(found, expected)

  def test_rounding_noise_does_not_part(self):
    smooth = _low_pass(_noise(), 0.2)
    pred = smooth.astype(np.float32)
    found = _parting(pred, smooth)
    np.testing.assert_array_equal(found, spectra.NYQUIST)

  def test_constant_target(self):
    constant = np.full((1, 16, 16, 1), 3.0)
    found = _distance(constant, constant)
    self.assertEqual(found[0, 0], 0.0)


class RunningTest(absltest.TestCase):
  def test_reduce_averages_spectra_before_comparing(self):
    rng = np.random.default_rng(0)
    target = rng.normal(size=(3, 16, 16, 1))
    # Powers 1/4 and 7/4 of the truth's average to 1: no error of the mean.
    times = [
      running.score(
        gain * target[0], target[0], data_range=np.ones(1), periodic=BOTH
      )
      for gain in (np.sqrt(0.25), np.sqrt(1.75))
    ]
    reduced = running.reduce(times)
    self.assertAlmostEqual(reduced["spectrum_error"][0], 0.0, places=9)
    psnr = np.mean([t["psnr"][0] for t in times])
    self.assertAlmostEqual(reduced["psnr"][0], psnr, places=12)
    largest = max(t["max_error"][0] for t in times)
    self.assertEqual(reduced["max_error"][0], largest)


if __name__ == "__main__":
  absltest.main()
