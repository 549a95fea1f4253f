"""Derivatives, vorticity and divergence against closed forms."""

from absl.testing import absltest, parameterized
import numpy as np

from hinote_jax.metrics import flow
from tests.metrics import contexts


def _globe(count=90, *, falling=False):
  """Returns a context of a globe, and its latitudes and longitudes [H W]."""
  latitude = (np.arange(count) + 0.5) * 180.0 / count - 90.0
  latitude = latitude[::-1] if falling else latitude
  longitude = (np.arange(2 * count) * 180.0 / count + 180.0) % 360.0
  context = contexts.make(
    ("u", "v"),
    periodic=(False, True),
    latitude=latitude,
    longitude=longitude,
  )
  y, x = np.meshgrid(np.deg2rad(latitude), np.deg2rad(longitude), indexing="ij")
  return context, y, x


class VelocitiesTest(parameterized.TestCase):
  @parameterized.parameters(
    (("u", "v"), (0, 1)),
    (("t2m", "v10", "u10"), (2, 1)),
    (("U_500", "V_500"), (0, 1)),
    (("10m_u_component_of_wind", "10m_v_component_of_wind"), (0, 1)),
    (("ux", "uy"), (0, 1)),
    (("vx", "vy"), (0, 1)),
    (("velocity_x", "velocity_y"), (0, 1)),
    (("uas", "vas"), (0, 1)),
    (("eastward_wind", "northward_wind"), (0, 1)),
  )
  def test_names(self, names, expected):
    found = flow.velocities(contexts.make(names))
    self.assertEqual(found, [expected])

  @parameterized.parameters(
    (("t2m", "msl"),),
    (("u10", "v100"),),
    (("u",),),
    (("x", "y"),),
    (("eastward_stress", "northward_stress"),),
  )
  def test_other_names(self, *names):
    self.assertEqual(flow.velocities(contexts.make(*names)), [])

  def test_every_level_has_its_pair(self):
    context = contexts.make(("u10", "u100", "v100", "v10"))
    self.assertEqual(flow.velocities(context), [(0, 3), (1, 2)])

  def test_long_names_that_speak_of_wind(self):
    long_names = ("10 metre U wind component", "10 metre V wind component")
    context = contexts.make(("a", "b"), long_names=long_names)
    self.assertEqual(flow.velocities(context), [(0, 1)])
    context = contexts.make(("a", "b"), long_names=("U stress", "V stress"))
    self.assertEqual(flow.velocities(context), [])

  def test_units_must_agree(self):
    context = contexts.make(("u", "v"), units=("m/s", "K"))
    self.assertEqual(flow.velocities(context), [])

  def test_vorticity(self):
    self.assertTrue(flow.is_vorticity("omega"))
    self.assertTrue(flow.is_vorticity("a", "Relative vorticity"))
    self.assertFalse(flow.is_vorticity("temperature", "temperature"))

  @parameterized.parameters(
    ("vo", "s**-1", True),
    ("vorticity", "1 / s", True),
    ("vo", "m s-1", False),  # a current
    ("omega", "Pa s-1", False),  # a vertical velocity
  )
  def test_vorticity_by_its_unit(self, name, units, expected):
    self.assertEqual(flow.is_vorticity(name, units=units), expected)

  def test_currents(self):
    context = contexts.make(("thetao", "uo", "vo"))
    self.assertEqual(flow.velocities(context), [(1, 2)])


class DerivativeTest(parameterized.TestCase):
  @parameterized.product(n=[15, 16], axis=[0, 1], step=[0.25, -0.25])
  def test_plane_waves_are_exact_where_periodic(self, n, axis, step):
    x = step * np.arange(n)
    k = 3 * 2.0 * np.pi / (n * step)
    wave, slope = np.cos(k * x + 0.3), -k * np.sin(k * x + 0.3)
    values = np.stack([wave, 2.0 * wave], axis=1 - axis)
    expected = np.stack([slope, 2.0 * slope], axis=1 - axis)
    pad = [(0, 0), (0, 0)]
    pad[1 - axis] = (0, 1)
    values = np.pad(values, pad)
    found = flow.derivative(values, axis, step, is_periodic=True)
    np.testing.assert_allclose(found, np.pad(expected, pad), atol=1e-10)

  def test_the_nyquist_wave_has_no_slope(self):
    values = np.tile([1.0, -1.0], (4, 4))
    found = flow.derivative(values, 1, 0.5, is_periodic=True)
    np.testing.assert_allclose(found, 0.0, atol=1e-12)

  def test_parabolas_are_exact_between_walls(self):
    x = np.array([0.0, 0.5, 1.0, 1.5, 2.0])
    values = np.tile(x**2, (4, 1))
    found = flow.derivative(values, 1, 0.5, is_periodic=False)
    np.testing.assert_allclose(found, np.tile(2.0 * x, (4, 1)), atol=1e-12)
    uneven = np.array([0.0, 0.3, 1.0, 1.2, 2.0])
    values = np.tile(uneven**2, (4, 1))
    found = flow.derivative(values, 1, uneven, is_periodic=False)
    expected = np.tile(2.0 * uneven, (4, 1))
    np.testing.assert_allclose(found, expected, atol=1e-12)

  def test_local_ones_see_neighbours_alone(self):
    values = np.zeros((4, 16))
    values[:, 8] = 1.0
    found = flow.derivative(values, 1, 0.5, is_periodic=True, is_local=True)
    expected = np.zeros((4, 16))
    expected[:, 7], expected[:, 9] = 1.0, -1.0
    np.testing.assert_array_equal(found, expected)

  def test_two_cells_have_no_derivative(self):
    with self.assertRaisesRegex(ValueError, "at least 3 cells, got 2"):
      flow.derivative(np.zeros((2, 5)), 0, 1.0, is_periodic=False)


class CurlTest(parameterized.TestCase):
  @parameterized.parameters((0.1, 0.2), (-0.1, 0.2))
  def test_rigid_rotation_and_expansion_of_a_plane(self, dy, dx):
    y, x = np.meshgrid(dy * np.arange(8), dx * np.arange(10), indexing="ij")
    context = contexts.make(("u", "v"), periodic=(False, False), step=(dy, dx))
    curl, divergence = flow.curl_and_divergence(-y, x, context)
    np.testing.assert_allclose(curl, 2.0, rtol=1e-10)
    np.testing.assert_allclose(divergence, 0.0, atol=1e-10)
    curl, divergence = flow.curl_and_divergence(x, y, context)
    np.testing.assert_allclose(curl, 0.0, atol=1e-10)
    np.testing.assert_allclose(divergence, 2.0, rtol=1e-10)

  def test_a_stretched_plane(self):
    rows = np.tanh(np.linspace(-2.0, 2.0, 32))
    y, x = np.meshgrid(rows, 0.1 * np.arange(10), indexing="ij")
    context = contexts.make(
      ("u", "v"), periodic=(False, False), positions=(rows, None), step=(9, 0.1)
    )
    curl, divergence = flow.curl_and_divergence(y**2, x, context)
    np.testing.assert_allclose(curl, 1.0 - 2.0 * y, atol=1e-9)
    np.testing.assert_allclose(divergence, 0.0, atol=1e-9)

  @parameterized.parameters((True, True), (False, False), (False, True))
  def test_means_are_of_cells_that_are_known_with_their_neighbours(
    self, *periodic
  ):
    values = np.random.default_rng(0).normal(size=(12, 16, 2))
    known = np.ones(values.shape, bool)
    known[3:6, 4:9, 1] = False
    context = contexts.make(("u", "v"), periodic=periodic, known=known)
    found = flow.parts(values, values, context)
    # What stands in the holes is of no account.
    other = np.where(known, values, 1e3)
    again = flow.parts(other, other, context)
    for name, value in found.items():
      np.testing.assert_allclose(value, again[name])
    curl, _ = flow.curl_and_divergence(*np.moveaxis(values, -1, 0), context)
    inside = np.ones((12, 16), bool)
    inside[3:6, 4:9] = inside[2, 4:9] = inside[6, 4:9] = False
    inside[3:6, 3] = inside[3:6, 9] = False
    np.testing.assert_allclose(found["curl"][0], np.mean(curl[inside] ** 2))

  @parameterized.parameters(False, True)
  def test_rigid_rotation_of_the_globe(self, falling):
    context, y, _ = _globe(falling=falling)
    u = np.cos(y)
    curl, divergence = flow.curl_and_divergence(u, np.zeros_like(u), context)
    inside = np.abs(y) < 1.4
    # Second order: a step of 2 degrees leaves 1e-3.
    np.testing.assert_allclose(curl[inside], 2.0 * np.sin(y)[inside], atol=4e-3)
    np.testing.assert_allclose(divergence, 0.0, atol=1e-10)
    curl, divergence = flow.curl_and_divergence(np.zeros_like(u), u, context)
    np.testing.assert_allclose(curl, 0.0, atol=1e-10)
    expected = -2.0 * np.sin(y)
    np.testing.assert_allclose(divergence[inside], expected[inside], atol=4e-3)

  def test_a_stream_function_gives_its_laplacian(self):
    # Y = sin(lat) cos^2(lat) cos(2 lon), of degree 3: its Laplacian is -12 Y.
    errors = []
    for count in (45, 90):
      context, y, x = _globe(count)
      u = -(np.cos(y) ** 3 - 2.0 * np.sin(y) ** 2 * np.cos(y)) * np.cos(2 * x)
      v = -2.0 * np.sin(y) * np.cos(y) * np.sin(2 * x)
      curl, divergence = flow.curl_and_divergence(u, v, context)
      expected = -12.0 * np.sin(y) * np.cos(y) ** 2 * np.cos(2 * x)
      weight = flow.row_weights(context, count)
      errors.append(np.sqrt(np.mean(weight * (curl - expected) ** 2)))
      rms = np.sqrt(np.mean(weight * divergence**2))
      self.assertLess(rms, 0.03)
    self.assertLess(errors[1], 0.02)
    self.assertLess(errors[1], 0.35 * errors[0])  # a quarter, but for the poles


class DivergenceTest(absltest.TestCase):
  def _ratio(self, pred, target, context):
    means = flow.parts(pred, target, context)
    return flow.reduce(means)

  def test_is_relative_to_the_vorticity_of_the_same_field(self):
    n = 16
    x = np.arange(n) * 2.0 * np.pi / n
    wave = np.tile(np.sin(x), (n, 1))
    context = contexts.make(("u", "v"), step=(x[1], x[1]))
    # du/dx = 0.2 cos x is the divergence, dv/dx = cos x the vorticity.
    target = np.stack([np.zeros_like(wave), wave], axis=-1)
    pred = np.stack([0.2 * wave, wave], axis=-1)
    found = self._ratio(pred, target, context)
    np.testing.assert_allclose(found["divergence"], [0.2, np.nan], rtol=1e-10)
    np.testing.assert_allclose(
      found["truth_divergence"], [0.0, np.nan], atol=1e-10
    )

  def test_a_flow_without_vorticity_has_no_ratio(self):
    context = contexts.make(("u", "v"))
    zero = np.zeros((8, 8, 2))
    found = self._ratio(zero, zero, context)
    self.assertTrue(np.isnan(found["divergence"]).all())

  def test_nothing_without_velocities_or_with_half_a_globe(self):
    zero = np.zeros((8, 8, 2))
    self.assertEqual(flow.parts(zero, zero, contexts.make(("a", "b"))), {})
    half = contexts.make(("u", "v"), latitude=np.arange(8.0))
    self.assertEqual(flow.parts(zero, zero, half), {})

  def test_weights_leave_the_poles_out(self):
    context, y, _ = _globe(90)
    weight = flow.row_weights(context, 90)[:, 0]
    self.assertAlmostEqual(weight.mean(), 1.0)
    is_polar = np.abs(np.rad2deg(y[:, 0])) > 85.0
    self.assertTrue((weight[is_polar] == 0.0).all())
    kept = weight[~is_polar] / np.cos(y[~is_polar, 0])
    np.testing.assert_allclose(kept, kept[0], rtol=1e-12)


if __name__ == "__main__":
  absltest.main()
