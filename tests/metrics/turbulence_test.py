"""Energy and enstrophy against closed forms and against each other."""

from absl.testing import absltest, parameterized
import numpy as np

from hinote_jax.metrics import domains, spectra, turbulence
from tests.metrics import contexts


def _flow(shape=(24, 32), lengths=(3.0, 5.0), seed=0, count=4):
  """Returns u, v and vorticity of random waves, [H W 3], and the steps."""
  rng = np.random.default_rng(seed)
  height, width = shape
  step = lengths[0] / height, lengths[1] / width
  y, x = np.meshgrid(
    step[0] * np.arange(height), step[1] * np.arange(width), indexing="ij"
  )
  values = np.zeros((*shape, 3))
  for ky in range(count):
    for kx in range(1, count):
      a, b = 2.0 * np.pi * ky / lengths[0], 2.0 * np.pi * kx / lengths[1]
      phase = a * y + b * x + rng.uniform(0.0, 2.0 * np.pi)
      amplitude = rng.normal()
      # Of the stream function amplitude * cos(phase).
      values[..., 0] -= amplitude * a * np.sin(phase)
      values[..., 1] += amplitude * b * np.sin(phase)
      values[..., 2] += amplitude * (a**2 + b**2) * np.cos(phase)
  return values, step


def _reduced(pred, target, context):
  parts = domains.parts("turbulence", pred, target, context)
  return domains.reduce("turbulence", domains.mean([parts]))


class EnergyTest(parameterized.TestCase):
  def test_taylor_green_vortices(self):
    n, k, amplitude = 32, 3, 1.7
    step = 2.0 * np.pi / n
    y, x = np.meshgrid(*2 * [step * np.arange(n)], indexing="ij")
    vorticity = 2.0 * k * amplitude * np.cos(k * x) * np.cos(k * y)
    context = contexts.make(("vorticity",), step=(step, step))
    found = turbulence.energy_and_enstrophy(vorticity[..., None], context)
    energy, enstrophy = (found[q][:, 0] for q in turbulence.QUANTITIES)
    ring = round(k * np.sqrt(2.0)) - 1
    self.assertAlmostEqual(energy[ring], amplitude**2 / 4.0, places=12)
    self.assertAlmostEqual(enstrophy[ring], (k * amplitude) ** 2 / 2, places=10)
    self.assertAlmostEqual(energy.sum(), energy[ring], places=12)

  def test_vorticity_and_velocities_agree(self):
    values, step = _flow()
    context = contexts.make(("u", "v", "vorticity"), step=step)
    found = turbulence.energy_and_enstrophy(values, context)
    for name in turbulence.QUANTITIES:
      self.assertTrue(np.isnan(found[name][:, 1]).all())
      np.testing.assert_allclose(
        found[name][:, 0], found[name][:, 2], rtol=1e-9, atol=1e-9
      )
    energy = 0.5 * np.mean(np.sum(values[..., :2] ** 2, axis=-1))
    enstrophy = 0.5 * np.mean(values[..., 2] ** 2)
    self.assertAlmostEqual(found["energy"][:, 0].sum(), energy)
    self.assertAlmostEqual(found["enstrophy"][:, 2].sum(), enstrophy)

  def test_walls_have_cosine_modes(self):
    n = 24
    cell = (np.arange(n) + 0.5) / n
    wave = np.cos(np.pi * 5 * cell)[:, None] * np.ones(n)
    context = contexts.make(
      ("omega",), periodic=(False, False), step=(1 / n, 1 / n)
    )
    found = turbulence.energy_and_enstrophy(wave[..., None], context)
    self.assertAlmostEqual(found["enstrophy"].sum(), 0.25)
    self.assertAlmostEqual(found["energy"].sum(), 0.25 / (5 * np.pi) ** 2)

  def test_a_scalar_has_neither(self):
    context = contexts.make(("temperature",))
    zero = np.zeros((8, 8, 1))
    self.assertEqual(turbulence.energy_and_enstrophy(zero, context), {})
    self.assertEqual(_reduced(zero, zero, context), {})


class ErrorsTest(parameterized.TestCase):
  @parameterized.parameters(0.5, 2.0)
  def test_a_gain(self, gain):
    values, step = _flow()
    context = contexts.make(("u", "v", "vorticity"), step=step)
    found = _reduced(gain * values, values, context)
    decibel = abs(20.0 * np.log10(gain))
    for name in turbulence.QUANTITIES:
      error, spectrum = found[f"{name}_error"], found[f"{name}_spectrum_error"]
      np.testing.assert_allclose(error[[0, 2]], gain**2 - 1.0, rtol=1e-9)
      np.testing.assert_allclose(spectrum[[0, 2]], decibel, rtol=1e-9)
      self.assertTrue(np.isnan(error[1]) and np.isnan(spectrum[1]))

  def test_rings_weigh_by_their_energy_and_their_enstrophy(self):
    n, low, high = 32, 2, 8
    step = 2.0 * np.pi / n
    x = np.tile(step * np.arange(n), (n, 1))
    slow, fast = 3.0 * np.cos(low * x), np.cos(high * x)
    context = contexts.make(("vorticity",), step=(step, step))
    pred, target = slow + 2.0 * fast, slow + fast
    found = _reduced(pred[..., None], target[..., None], context)
    decibel = 10.0 * np.log10(4.0)
    for name, power in (("energy", 2.0), ("enstrophy", 0.0)):
      parts = 9.0 / low**power, 1.0 / high**power
      share = parts[1] / sum(parts)
      expected = decibel * np.sqrt(share)
      np.testing.assert_allclose(found[f"{name}_spectrum_error"], expected)
      np.testing.assert_allclose(found[f"{name}_error"], 3.0 * share)

  def test_errors_compare_the_mean_spectra_of_fields(self):
    values, step = _flow()
    context = contexts.make(("vorticity",), step=step)
    omega = values[..., 2:]
    parts = [
      domains.parts("turbulence", gain * omega, omega, context)
      for gain in (np.sqrt(0.5), np.sqrt(1.5))
    ]
    found = domains.reduce("turbulence", domains.mean(parts))
    for values in found.values():
      np.testing.assert_allclose(values, 0.0, atol=1e-9)

  @parameterized.parameters((True, True), (False, True), (False, False))
  def test_wavenumbers_are_those_of_the_spectra(self, *periodic):
    values, step = _flow()
    context = contexts.make(("vorticity",), step=step, periodic=periodic)
    parts = turbulence.parts(values[..., 2:], values[..., 2:], context)
    waves, _ = spectra.radial_spectrum(values[None], periodic=periodic)
    np.testing.assert_allclose(parts["wavenumber"], waves)

  def test_flows_are_the_variables_that_tell_of_velocity(self):
    values, step = _flow()
    context = contexts.make(("u", "v", "vorticity"), step=step)
    parts = turbulence.parts(values, values, context)
    self.assertEqual(turbulence.flows(parts, context), ("u", "vorticity"))
    self.assertEqual(turbulence.flows({}, context), ())


if __name__ == "__main__":
  absltest.main()
