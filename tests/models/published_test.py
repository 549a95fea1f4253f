"""The oddities of the released code against plain NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax.core import resize
from hinote_jax.models.hinote_official import published

_SHAPES = [(4, 6), (5, 7), (4, 5)]


def _field(shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape)


def _column(field):
  """Adds a batch and a channel to [h w]."""
  return jnp.asarray(field, jnp.float32)[None, :, :, None]


def test_activations_are_what_true_makes_of_them():
  x = jnp.array([-2.0, -0.5, 0.0, 3.0])
  leaky = published.activation("LeakyReLU")(x)
  np.testing.assert_array_equal(leaky, x)  # slope 1
  elu = published.activation("ELU")(x)
  np.testing.assert_allclose(elu, np.where(x > 0, x, np.expm1(x)), rtol=1e-6)
  with pytest.raises(ValueError, match="RReLU"):
    published.activation("RReLU")
  with pytest.raises(ValueError, match="did you mean 'GELU'"):
    published.activation("GEL")


def test_polar_is_modulus_and_angle():
  z = _field((20,)) + 1j * _field((20,), 1)
  real, imag = jnp.float32(z.real), jnp.float32(z.imag)
  size, angle = published.polar(real, imag)
  np.testing.assert_allclose(size, np.abs(z), rtol=1e-6)
  np.testing.assert_allclose(angle, np.angle(z), rtol=1e-6)
  for i, (d_real, d_imag) in enumerate(
    [
      (z.real / np.abs(z), z.imag / np.abs(z)),
      (-z.imag / np.abs(z) ** 2, z.real / np.abs(z) ** 2),
    ]
  ):
    got = jax.grad(
      lambda x, y, i=i: published.polar(x, y)[i].sum(), argnums=(0, 1)
    )(real, imag)
    np.testing.assert_allclose(got[0], d_real, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got[1], d_imag, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("tiny", [0.0, 1e-38, 1e-30, 1e-21])
def test_polar_has_no_gradient_near_zero(tiny):
  for i in range(2):
    got = jax.grad(lambda x, y, i=i: published.polar(x, y)[i], argnums=(0, 1))(
      jnp.float32(tiny), jnp.float32(-tiny)
    )
    np.testing.assert_array_equal(got, 0.0)


@pytest.mark.parametrize("shape", [(4, 4), (6, 10), (5, 6), (7, 5)])
def test_phase_of_a_negative_real_mode_is_pi(shape):
  h, w = shape
  y, x = np.indices(shape)
  # The mean and the Nyquist modes there are, all negative.
  field = -4.0 - (h % 2 == 0) * (-1.0) ** y - (w % 2 == 0) * (-1.0) ** x
  field -= 0.5 * (h % 2 == 0 and w % 2 == 0) * (-1.0) ** (x + y)
  noise = _field(shape)
  spectrum = np.fft.fft2(noise)
  is_real = np.ix_(2 * np.arange(h) % h == 0, 2 * np.arange(w) % w == 0)
  spectrum[is_real] = 0.0
  field += 1e-3 * np.fft.ifft2(spectrum).real
  amplitude, phase = published.spectrum(_column(field))
  want = np.fft.fft2(field)
  np.testing.assert_allclose(amplitude[0, ..., 0], np.abs(want), atol=2e-5)
  np.testing.assert_array_equal(phase[0, ..., 0][is_real], np.float32(np.pi))


def _spread(values):
  """A spectrum in the corners of one of twice the size, mode by mode."""
  h, w = values.shape
  wide = np.zeros((2 * h, 2 * w))
  for i in range(-(h // 2), h // 2 + 1):
    for j in range(-(w // 2), w // 2 + 1):
      # Modes +n/2 and -n/2 of an even axis are one: half of it each.
      share = 0.5 ** ((2 * abs(i) == h) + (2 * abs(j) == w))
      wide[i, j] = share * values[i % h, j % w]
  return wide


@pytest.mark.parametrize("shape", _SHAPES)
def test_corner_pads_amplitude_and_phase(shape):
  amplitude, phase = np.abs(_field(shape)), _field(shape, 1)
  got = published.corner(_column(amplitude), _column(phase))
  both = _spread(amplitude) * np.exp(1j * _spread(phase))
  want = np.abs(np.fft.ifft2(both))
  np.testing.assert_allclose(got[0, ..., 0], want, atol=1e-6)


def test_corner_interpolates_at_a_quarter_of_the_amplitude():
  x = np.arange(8) / 8
  field = np.broadcast_to(3.0 + np.cos(2.0 * np.pi * x), (6, 8))
  amplitude, phase = published.spectrum(_column(field))
  got = published.corner(amplitude, phase)
  # Aligned to the first sample, not to the cell's edge.
  fine = 3.0 + np.cos(2.0 * np.pi * np.arange(16) / 16)
  np.testing.assert_allclose(
    got[0, ..., 0], np.broadcast_to(fine / 4.0, (12, 16)), atol=1e-6
  )


@pytest.mark.parametrize("shape", _SHAPES)
def test_periodic_repeats_the_spectrum(shape):
  amplitude, phase = np.abs(_field(shape)), _field(shape, 1)
  got = published.periodic(_column(amplitude), _column(phase))
  both = np.tile(amplitude * np.exp(1j * phase), (2, 2))
  want = np.abs(np.fft.ifft2(both))
  np.testing.assert_allclose(got[0, ..., 0], want, atol=1e-6)


@pytest.mark.parametrize("shape", _SHAPES)
def test_area_doubles_every_mode_and_keeps_the_corners(shape):
  h, w = shape
  amplitude, phase = np.abs(_field(shape)), _field(shape, 1)
  got = published.area(_column(amplitude), _column(phase))
  both = (amplitude * np.exp(1j * phase)).repeat(2, axis=0).repeat(2, axis=1)
  whole = np.abs(np.fft.ifft2(both))
  kept = np.empty(shape)
  for i in range(h):
    for j in range(w):
      kept[i, j] = whole[i if i < h // 2 else h + i, j if j < w // 2 else w + j]
  want = kept.repeat(2, axis=0).repeat(2, axis=1)
  np.testing.assert_allclose(got[0, ..., 0], want, atol=1e-6)


@pytest.mark.parametrize("name", sorted(published.FOURIER_UPS))
@pytest.mark.parametrize("value", [0.0, 0.3])
def test_gradient_of_a_constant_field_is_finite(name, value):
  double = published.FOURIER_UPS[name]

  def total(field):
    amplitude, phase = published.spectrum(field)
    return double(amplitude, phase).sum()

  gradient = jax.grad(total)(jnp.full((1, 6, 5, 1), value))
  assert np.all(np.isfinite(gradient))


def test_sinc_filter_is_off_the_centre():
  kernel = np.float64(published.sinc_filter(0.25, 31))
  np.testing.assert_allclose(kernel.sum(), 1.0, atol=1e-6)
  # The taps lie at -16 + i 31/30, so that the largest is where that is least.
  at = -16.0 + np.arange(31) * 31 / 30
  assert np.abs(at).argmin() == 15 and abs(at[15]) == 0.5
  i, j = 3, 22
  radius, middle = np.hypot(at[i], at[j]), np.hypot(0.5, 0.5)
  want = np.sin(np.pi * radius / 2) / radius
  want /= np.sin(np.pi * middle / 2) / middle
  np.testing.assert_allclose(kernel[i, j] / kernel[15, 15], want, rtol=1e-4)
  # Four times at the cutoff what it is at the mean.
  gain = abs(np.exp(-0.5j * np.pi * np.arange(31)) @ kernel.sum(axis=0))
  assert 3.5 < gain < 4.5


def _correlated(x, kernel):
  """Slides a kernel over [h w], zeros beyond the edges, tap by tap."""
  halo = len(kernel) // 2
  padded = np.pad(x, halo)
  return sum(
    kernel[i, j] * padded[i : i + x.shape[0], j : j + x.shape[1]]
    for i in range(len(kernel))
    for j in range(len(kernel))
  )


@pytest.mark.parametrize(
  ("shape", "size"), [((9, 12), 5), ((20, 33), 15), ((5, 7), 31), ((1, 3), 3)]
)
def test_correlated_is_a_sum_over_taps(shape, size):
  x = np.float32(np.random.default_rng(0).normal(size=(2, *shape, 3)))
  kernel = np.float32(_field((size, size), 1))
  got = published.correlated(x, kernel)
  for b in range(2):
    for c in range(3):
      want = _correlated(np.float64(x[b, ..., c]), np.float64(kernel))
      np.testing.assert_allclose(
        got[b, ..., c], want, atol=1e-6 * np.abs(kernel).sum()
      )


def _nodes(x, count):
  """Linear interpolation of the first axis between its end samples."""
  at = np.linspace(0.0, len(x) - 1.0, count)
  return np.stack([np.interp(at, np.arange(len(x)), v) for v in x.T], axis=1)


def test_alias_free_activation_step_by_step():
  x = _field((6, 5, 4))
  kernel = np.float64(published.sinc_filter(0.25, 31))
  want = np.empty_like(x)
  for c in range(4):
    fine = _nodes(_nodes(x[..., c], 12).T, 10).T
    fine = _correlated(np.maximum(fine, 0.0), kernel)
    want[..., c] = _nodes(_nodes(fine, 6).T, 5).T
  for most in (None, 2 * 12 * 10, 1):  # channels together, or not
    got = published.alias_free(
      jax.nn.relu, jnp.float32(x)[None], values_at_once=most
    )
    np.testing.assert_allclose(got[0], want, atol=2e-6)


def test_alias_free_activation_brightens_a_corner():
  # What goes in is 1; as measured on the released code.
  got = published.alias_free(lambda x: x, jnp.ones((1, 64, 64, 1)))[0, ..., 0]
  found = got[0, 0], got[0, 32], got[32, 32], got[-1, 32]
  np.testing.assert_allclose(found, (1.36, 1.22, 1.0, 0.58), atol=0.005)


def test_interpolated_neighbours_all_weigh_alike():
  feats = jnp.float32(_field((1, 12, 10, 2)))
  # Within, where four cells on either side are there.
  points = np.random.default_rng(1).uniform(-0.4, 0.4, size=(1, 5, 6, 2))
  points = jnp.float32(points)
  cell = jnp.array([[0.3, 0.7]])
  tokens = published.blurred_ensemble(feats, points, cell, "linear")
  offsets = tokens[..., :8].reshape(1, 5, 6, 4, 2)
  corner = np.array([(1, 1), (1, -1), (-1, 1), (-1, -1)])
  np.testing.assert_allclose(
    offsets, np.broadcast_to(corner, offsets.shape), atol=2e-5
  )
  weighted = tokens[..., 8:16].reshape(1, 5, 6, 4, 2)
  step = corner * -1.0 / np.array([12, 10])
  for i in range(4):
    moved = resize.sample(feats, points + np.float32(step[i]), method="linear")
    np.testing.assert_allclose(weighted[..., i, :], moved / 4, atol=2e-5)
  np.testing.assert_array_equal(
    tokens[..., 16:], jnp.broadcast_to(cell, (1, 5, 6, 2))
  )


def test_nodes_keep_the_end_samples():
  x = _column(_field((4, 5)))
  got = published.nodes(x, (8, 9))
  np.testing.assert_allclose(
    got[0, ..., 0],
    _nodes(_nodes(np.float64(x[0, ..., 0]), 8).T, 9).T,
    atol=1e-6,
  )
