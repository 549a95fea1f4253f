"""The Fourier layer against sums of plane waves, and DFNO around it."""

import itertools

import jax
import numpy as np
import pytest

from hinote_jax import models
from hinote_jax.models.single_scale import dfno

_KEY = jax.random.key(0)


def _parameters(modes, c, d, seed=0):
  random = np.random.default_rng(seed)
  kernels = random.normal(size=(2, *modes, c, d, 2)).astype("f4")
  local = dict(kernel=np.zeros((c, d), "f4"), bias=np.zeros(d, "f4"))
  return dict(positive=kernels[0], negative=kernels[1], local=local)


def _wave(shape, mode, phase=0.0):
  y, x = (np.arange(n) / n for n in shape)
  turns = mode[0] * y[:, None] + mode[1] * x
  return np.cos(2 * np.pi * turns + phase)


def _apply(params, field, modes):
  layer = dfno.FourierLayer(params["local"]["bias"].size, modes)
  return np.asarray(layer.apply({"params": params}, field.astype("f4")))


def _summed(params, x, modes):
  """Adds up the waves of one field [h w c] one by one, in float64."""
  h, w, _ = x.shape
  m_y, m_x = modes
  out = np.zeros((h, w, params["local"]["bias"].size))
  y, x_ = np.arange(h)[:, None], np.arange(w)
  for ky, kx in itertools.product(range(-m_y, m_y), range(m_x)):
    is_there = -h / 2 <= ky < h / 2 and 2 * kx <= w
    if not is_there or (ky == -h / 2 and h % 2):
      continue
    wave = np.exp(2j * np.pi * (ky * y / h + kx * x_ / w))
    found = np.einsum("yxc,yx->c", x, wave.conj()) / (h * w)
    kernel = params["positive"][ky] if ky >= 0 else params["negative"][ky]
    made = found @ (kernel[..., 0] + 1j * kernel[..., 1])[kx]
    # Each mode stands for its mirror image too, but those without one.
    twice = 1 if kx == 0 or 2 * kx == w else 2
    out += twice * (wave[..., None] * made).real
  return out


@pytest.mark.parametrize("shape", [(8, 9), (9, 8), (12, 10)])
@pytest.mark.parametrize("modes", [(2, 3), (4, 4)])
def test_layer_is_the_sum_of_its_waves(shape, modes):
  x = np.random.default_rng(1).normal(size=(*shape, 2))
  params = _parameters(modes, 2, 3)
  got = _apply(params, x[None], modes)[0]
  np.testing.assert_allclose(got, _summed(params, x, modes), atol=2e-5)


@pytest.mark.parametrize("shape", [(4, 5), (5, 4), (3, 2), (1, 1)])
def test_small_grid_does_without_the_modes_it_has_not(shape):
  x = np.random.default_rng(1).normal(size=(*shape, 2))
  params = _parameters((4, 4), 2, 3)
  got = _apply(params, x[None], (4, 4))[0]
  np.testing.assert_allclose(got, _summed(params, x, (4, 4)), atol=2e-5)


@pytest.mark.parametrize("mode", [(0, 0), (2, 1), (-2, 2), (-1, 0)])
def test_matrix_of_a_mode_scales_and_turns_its_wave(mode):
  params = jax.tree.map(np.zeros_like, _parameters((3, 3), 1, 1))
  gain, turn = 1.7, 0.0 if mode == (0, 0) else 0.6
  # A wave along y alone has both signs of ky, as conjugates.
  for sign in (1, -1) if mode[1] == 0 else (1,):
    ky = sign * mode[0]
    kernel = params["positive"] if ky >= 0 else params["negative"]
    factor = gain * np.exp(1j * sign * turn)
    kernel[ky, mode[1], 0, 0] = factor.real, factor.imag
  field = _wave((10, 12), mode, 0.3)[None, :, :, None]
  got = _apply(params, field, (3, 3))[0, :, :, 0]
  want = gain * _wave((10, 12), mode, 0.3 + turn)
  np.testing.assert_allclose(got, want, atol=2e-6)


def test_identity_matrices_keep_the_band_and_nothing_else():
  params = jax.tree.map(np.zeros_like, _parameters((3, 3), 2, 2))
  for kernel in (params["positive"], params["negative"]):
    kernel[..., 0] = np.eye(2)
  inside = np.stack([_wave((9, 8), (1, 2)), _wave((9, 8), (-2, 1), 0.4)], -1)
  outside = np.stack([_wave((9, 8), (4, 1)), _wave((9, 8), (1, 3))], -1)
  got = _apply(params, (inside + outside)[None], (3, 3))
  np.testing.assert_allclose(got[0], inside, atol=2e-6)


def test_layer_is_the_same_operator_on_every_grid():
  params = _parameters((3, 3), 1, 2)
  params["local"]["kernel"] = np.array([[0.5, -1.0]], "f4")
  modes = [(0, 1), (2, 2), (-1, 1)]

  def on(shape):
    field = sum(_wave(shape, mode, mode[0]) for mode in modes)
    return _apply(params, field[None, :, :, None], (3, 3))

  # Points 0, 3, 6, .. of the fine grid are those of the coarse one.
  coarse, fine = on((8, 10)), on((24, 30))[:, ::3, ::3]
  np.testing.assert_allclose(fine, coarse, atol=1e-5)


def test_rolled_input_gives_the_rolled_output():
  x = np.random.default_rng(1).normal(size=(1, 8, 9, 2))
  params = _parameters((3, 4), 2, 2)
  got = _apply(params, np.roll(x, (3, -2), axis=(1, 2)), (3, 4))
  want = np.roll(_apply(params, x, (3, 4)), (3, -2), axis=(1, 2))
  np.testing.assert_allclose(got, want, atol=1e-5)  # float32


def test_network_knows_where_a_cell_is():
  sizes = dict(width=4, blocks=1, features=3, fourier_width=4, head_width=8)
  module = models.build("dfno", scale=2, periodic=(True, True), **sizes)
  flat = np.ones((1, 6, 7, 1), "f4")
  variables = jax.jit(lambda x: module.init(_KEY, x, method="enlarge"))(flat)
  run = jax.jit(lambda v: module.apply(v, flat, method="enlarge"))
  assert np.std(run(variables)) > 1e-3
  # Without the rows of the coordinates, a flat field stays flat.
  kernel = variables["params"]["lift"]["kernel"]
  variables["params"]["lift"]["kernel"] = kernel.at[3:].set(0.0)
  assert np.std(run(variables)) < 1e-6
