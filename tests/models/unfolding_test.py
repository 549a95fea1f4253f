"""FFDNet, and the splitting that a denoiser is plugged into."""

import jax
import numpy as np
import pytest

from hinote_jax import degradations, infer, interop, models
from hinote_jax.core import deconvolution, grids
from hinote_jax.degradations import matrices
from hinote_jax.interop import checkpoints

_KWARGS = dict(channels=3, width=8, depth=3)


def _tensors(channels, width, depth, seed=0):
  """Returns random tensors by the published names and shapes."""
  rng = np.random.default_rng(seed)
  sides = [4 * channels + 1, *[width] * (depth - 1), 4 * channels]
  tensors = {}
  for i, (m, n) in enumerate(zip(sides, sides[1:], strict=False)):
    tensors[f"model.{2 * i}.weight"] = rng.normal(size=(n, m, 3, 3)) / m
    tensors[f"model.{2 * i}.bias"] = rng.normal(size=n)
  return {name: np.float32(t) for name, t in tensors.items()}


def _published(x, noise, tensors):
  """Returns FFDNet of x [c h w] with even sides, in NumPy, as it is defined."""
  c, h, w = x.shape
  cells = x.reshape(c, h // 2, 2, w // 2, 2).transpose(0, 2, 4, 1, 3)
  level = np.full((1, h // 2, w // 2), noise)
  y = np.concatenate([cells.reshape(4 * c, h // 2, w // 2), level])
  depth = len(tensors) // 2
  for i in range(depth):
    kernel = tensors[f"model.{2 * i}.weight"]
    padded = np.pad(y, ((0, 0), (1, 1), (1, 1)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    y = np.einsum("iyxpq,oipq->oyx", view, kernel, optimize=True)
    y = y + tensors[f"model.{2 * i}.bias"][:, None, None]
    y = y if i == depth - 1 else np.maximum(y, 0.0)
  y = y.reshape(c, 2, 2, h // 2, w // 2).transpose(0, 3, 1, 4, 2)
  return y.reshape(c, h, w)


@pytest.fixture(scope="module")
def denoiser():
  """A denoiser of random weights, its tensors and its answers at x1."""
  tensors = _tensors(**_KWARGS)
  imported = interop.from_tensors(tensors)
  module = models.build(imported.name, **imported.kwargs)
  return module, imported, tensors


def test_ffdnet_is_the_published_network(denoiser):
  module, imported, tensors = denoiser
  assert imported.kwargs == _KWARGS
  x = np.random.default_rng(1).random((1, 5, 6, 3)).astype(np.float32)
  got = jax.jit(module.apply)(
    imported.variables,
    x,
    grids.axes((5, 6)),
    grids.cell_size((5, 6))[None],
    noise=np.array([0.1], np.float32),
  )
  # An odd side is made even by repeating the last cell.
  padded = np.pad(x[0], ((0, 1), (0, 0), (0, 0)), "edge").transpose(2, 0, 1)
  want = _published(padded, 0.1, tensors).transpose(1, 2, 0)[:5]
  np.testing.assert_allclose(got[0], want, atol=1e-5)
  back = interop.to_tensors(*imported)
  assert set(back) == set(tensors)
  for name, tensor in tensors.items():
    np.testing.assert_array_equal(back[name], tensor)


@pytest.mark.parametrize(("channels", "count"), [(1, 485_316), (3, 852_108)])
def test_ffdnet_has_the_published_sizes(channels, count):
  shapes = checkpoints.parameter_shapes("ffdnet", dict(channels=channels))
  assert sum(int(np.prod(shape)) for shape in shapes.values()) == count


def test_splitting_is_the_loop_of_both_steps(denoiser):
  module, imported, _ = denoiser
  predictor = infer.Predictor(module, imported.variables)
  blur = degradations.parse("blur(0.4)|area|noise(0.02)")
  unfolded = infer.Unfolded(predictor, blur, iterations=2)
  lowres = np.random.default_rng(2).random((4, 6, 3)).astype(np.float32)
  got = unfolded(lowres, scale=2)
  x = lowres.repeat(2, 0).repeat(2, 1)[None]
  kernel = matrices.kernel(blur, (2, 2))[None, ..., None]
  args = grids.axes((8, 12)), grids.cell_size((8, 12))[None]
  for level in (49.0 / 255.0, 0.02):
    alpha = np.array([0.23 * (0.02 / level) ** 2])
    z = deconvolution.data_step(
      np.float64(x),
      np.float64(lowres[None]),
      kernel,
      alpha,
      periodic=(False, False),
    )
    x = module.apply(imported.variables, np.float32(z), *args, noise=level)
  np.testing.assert_allclose(got, x[0], atol=2e-4)
  # Another blur at a call; and tiles.
  told = dict(kernel=np.ones((1, 1)), noise=np.float32(0.0))
  assert np.abs(unfolded(lowres, scale=2, extras=told) - got).max() > 1e-3
  tiled = unfolded(lowres, scale=2, memory="2GB", side=8)
  np.testing.assert_allclose(tiled, got, atol=1e-4)


def test_only_a_denoiser_is_plugged_in(denoiser):
  module, imported, _ = denoiser
  blur = degradations.parse("area")
  with pytest.raises(ValueError, match="takes no noise away: plug in a denois"):
    infer.Unfolded(infer.load("bicubic"), blur)
  with pytest.raises(ValueError, match="truncate is no convolution"):
    infer.Unfolded(
      infer.Predictor(module, imported.variables),
      degradations.parse("truncate"),
    )


def test_residual_network_without_its_prior_is_the_closed_form():
  given = dict(channels=1, iterations=2, hyper_width=4, widths=(2, 2, 2, 2))
  module = models.build("usrnet", **given, residual=True, periodic=(True, True))
  lowres = np.random.default_rng(0).normal(size=(1, 8, 8, 1))
  call = np.float32(lowres), grids.axes((16, 16)), np.full((1, 2), 2.0 / 16)
  kernel, noise = np.ones((1, 3, 3)) / 9.0, np.array([0.1])
  params = module.init(jax.random.key(0), *call)["params"]
  tail = params["prior"]["tail"]
  params["prior"]["tail"] = jax.tree.map(np.zeros_like, tail)
  x, hyper, _ = module.apply(
    {"params": params}, call[0], (2, 2), kernel, noise, True, method="enlarge"
  )
  want = lowres.repeat(2, axis=1).repeat(2, axis=2)
  for alpha in np.asarray(hyper, np.float64)[0, 0]:
    want = deconvolution.data_step(want, lowres, kernel[..., None], alpha[None])
  np.testing.assert_allclose(x, want, atol=2e-5)
  with pytest.raises(ValueError, match="adds its prior to z"):
    interop.to_tensors(
      "usrnet", dict(**given, residual=True), dict(params=params)
    )


def test_residual_denoiser_takes_its_layers_times_the_noise_away(denoiser):
  module, imported, tensors = denoiser
  x = np.random.default_rng(1).normal(size=(2, 5, 6, 3)).astype(np.float32)
  noise = np.array([0.0, 0.3])
  variables = imported.variables
  plain = module.apply(variables, x, noise, method="denoise")
  module = module.clone(residual=True)
  made = module.apply(variables, x, noise, method="denoise")
  want = x - noise[:, None, None, None] * plain
  np.testing.assert_allclose(made, want, atol=1e-5 * np.abs(plain).max())
  np.testing.assert_array_equal(made[0], x[0])  # nothing to take away
  with pytest.raises(ValueError, match="layers from what is noisy"):
    interop.to_tensors(
      "ffdnet", dict(imported.kwargs, residual=True), variables
    )
