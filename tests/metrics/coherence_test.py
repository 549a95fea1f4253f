"""Coherence against Fourier sums, and what it says of known filters."""

from absl.testing import absltest, parameterized
import numpy as np

from hinote_jax.metrics import coherence, running, spectra

BOTH = (True, True)


def _noise(shape=(1, 32, 32, 1), seed=0):
  return np.random.default_rng(seed).normal(size=shape)


def _coherence(pred, target, periodic=BOTH):
  """Returns wavenumbers and the coherence of the spectra of many fields."""
  powers = []
  for values in (pred, target, pred - target):
    waves, power = spectra.radial_spectrum(values, periodic=periodic)
    powers.append(power.mean(axis=0, keepdims=True))
  return waves, coherence.coherence(*powers)


def _gain(field, gain):
  """Multiplies the modes of a periodic field by a function of the radius."""
  modes = np.fft.fft2(field, axes=(1, 2))
  ky, kx = (np.fft.fftfreq(n) for n in field.shape[1:3])
  factor = gain(np.hypot(ky[:, None], kx))
  return np.fft.ifft2(modes * factor[None, :, :, None], axes=(1, 2)).real


class CoherenceTest(parameterized.TestCase):
  def test_agrees_with_the_sums_of_cross_spectra(self):
    pred, target = _noise((3, 16, 16, 1)), _noise((3, 16, 16, 1), seed=1)
    pred += 0.7 * target
    waves, found = _coherence(pred, target)
    p, t = (np.fft.fft2(v[..., 0], axes=(1, 2)) for v in (pred, target))
    index = np.fft.fftfreq(16, 1 / 16)
    ring = np.floor(np.hypot(index[:, None], index) + 0.5).astype(int)
    for i in range(1, 8):
      inside = ring == i
      cross = np.sum((p * t.conj())[:, inside])
      both = np.sum(np.abs(p[:, inside]) ** 2) * np.sum(
        np.abs(t[:, inside]) ** 2
      )
      self.assertAlmostEqual(waves[i - 1], i / 16)
      self.assertAlmostEqual(found[0, i - 1, 0], abs(cross) ** 2 / both)

  @parameterized.parameters(0.1, 1.0, -3.0)
  def test_forgives_the_amplitude_of_each_ring(self, factor):
    target = _noise()
    _, found = _coherence(factor * target, target)
    np.testing.assert_allclose(found, 1.0, rtol=1e-12)

  def test_independent_fields_share_nothing(self):
    _, found = _coherence(_noise((40, 32, 32, 1)), _noise((40, 32, 32, 1), 1))
    # Of n independent modes the expectation is 1/n: at least 80 in a ring.
    self.assertLess(found.max(), 0.1)

  def test_noise_of_equal_power_leaves_a_half(self):
    target = _noise((60, 32, 32, 1))
    pred = target + _noise((60, 32, 32, 1), seed=1)
    _, found = _coherence(pred, target)
    # The corner of the grid has few modes, as the first rings have.
    np.testing.assert_allclose(found[0, 3:18, 0], 0.5, atol=0.05)

  @parameterized.parameters((True, False), (False, False))
  def test_walls(self, *periodic):
    target = _noise((1, 12, 16, 2))
    _, found = _coherence(0.5 * target, target, periodic)
    np.testing.assert_allclose(found, 1.0, rtol=1e-12)

  def test_what_has_no_power_is_coherent_only_if_both_have_none(self):
    truth = np.array([1.0, 1.0, 0.0, 0.0]).reshape(1, 4, 1)
    pred = np.array([1.0, 0.0, 1.0, 0.0]).reshape(1, 4, 1)
    error = np.array([0.0, 1.0, 1.0, 0.0]).reshape(1, 4, 1)
    found = coherence.coherence(pred, truth, error)
    np.testing.assert_array_equal(found[0, :, 0], [1.0, 0.0, 0.0, 1.0])


class EffectiveResolutionTest(parameterized.TestCase):
  @parameterized.parameters(4, 8, 12)
  def test_a_low_pass_resolves_its_cutoff(self, ring):
    target = _noise((2, 32, 32, 2))
    pred = _gain(target, lambda k: 0.3 * (k < (ring - 0.5) / 32))
    waves, shared = _coherence(pred, target)
    found = 1.0 / coherence.effective_resolution(waves, shared)
    # The ring before has 1, this one 0: half way between.
    np.testing.assert_allclose(found, (ring - 0.5) / 32, rtol=1e-9)

  def test_damping_costs_no_resolution_unlike_the_error(self):
    target = _noise()
    pred = _gain(target, lambda k: np.exp(-10.0 * k))
    waves, shared = _coherence(pred, target)
    found = coherence.effective_resolution(waves, shared)
    np.testing.assert_array_equal(found, 2.0)
    error, truth = (
      spectra.radial_spectrum(field, periodic=BOTH)[1]
      for field in (pred - target, target)
    )
    self.assertLess(spectra.parting(waves, error, truth)[0, 0], 0.2)

  def test_is_interpolated_between_rings(self):
    waves = np.array([0.1, 0.2, 0.3, 0.6])
    shared = np.array([1.0, 0.9, 0.4, 0.0]).reshape(1, 4, 1)
    found = coherence.effective_resolution(waves, shared)
    np.testing.assert_allclose(found, 1.0 / (0.2 + 0.1 * 0.8), rtol=1e-12)

  def test_nothing_resolved_is_the_longest_wavelength(self):
    waves, shared = np.array([0.1, 0.2]), np.zeros((1, 2, 1))
    found = coherence.effective_resolution(waves, shared)
    np.testing.assert_allclose(found, 10.0)

  def test_what_lies_beyond_nyquist_is_ignored(self):
    waves = np.array([0.25, 0.5, 0.7])
    shared = np.array([1.0, 1.0, 0.0]).reshape(1, 3, 1)
    found = coherence.effective_resolution(waves, shared)
    np.testing.assert_array_equal(found, 2.0)


class RunningTest(absltest.TestCase):
  def _times(self, pairs):
    return [
      running.score(p, t, data_range=np.ones(1), periodic=BOTH)
      for p, t in pairs
    ]

  def test_coherence_is_of_the_mean_spectra(self):
    pred, target = _noise((3, 16, 16, 1)), _noise((3, 16, 16, 1), seed=1)
    pred += target
    reduced = running.reduce(self._times(zip(pred, target, strict=True)))
    waves, expected = _coherence(pred, target)
    np.testing.assert_allclose(reduced["coherence"], expected[0], rtol=1e-9)
    resolution = coherence.effective_resolution(waves, expected)
    np.testing.assert_allclose(
      reduced["effective_resolution"], resolution[0], rtol=1e-9
    )

  def test_errors_of_the_mean_do_not_cancel_between_fields(self):
    target = _noise((16, 16, 1))
    deviation = target.std()
    times = self._times([(target + 3.0, target), (target - 4.0, target)])
    reduced = running.reduce(times)
    self.assertAlmostEqual(reduced["bias"][0], -0.5)
    expected = np.sqrt(0.5 * (9.0 + 16.0)) / deviation
    self.assertAlmostEqual(reduced["mean_error"][0], expected, places=12)

  def test_a_constant_keeps_or_loses_its_mean(self):
    constant = np.full((16, 16, 1), 3.0)
    kept = running.reduce(self._times([(constant, constant)]))
    lost = running.reduce(self._times([(constant + 1.0, constant)]))
    self.assertEqual(kept["mean_error"][0], 0.0)
    self.assertEqual(lost["mean_error"][0], np.inf)

  def test_a_constant_field_is_left_out_of_what_is_infinite_of_it(self):
    dry, wet = np.zeros((16, 16, 1)), np.abs(_noise((16, 16, 1)))
    with_dry, wet_alone = (
      running.reduce(self._times(pairs))
      for pairs in (
        [(dry, dry), (wet + 0.1, wet), (dry + 0.1, dry)],
        [(wet + 0.1, wet)],
      )
    )
    for name in running.OF_WHAT_VARIES:
      self.assertTrue(np.isfinite(with_dry[name][0]))
      np.testing.assert_allclose(with_dry[name], wet_alone[name])
    np.testing.assert_allclose(with_dry["mse"], 0.02 / 3.0)


if __name__ == "__main__":
  absltest.main()
