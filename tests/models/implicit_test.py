"""The implicit networks against float64 loops over queries, from their papers.

The loops form what the modules fold away: unfolded features, one MLP a
neighbour, the weights of every query's own convolution.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import models
from hinote_jax.core import grids, resize
from hinote_jax.models import encoders
from hinote_jax.models.implicit import base as implicit
from hinote_jax.models.implicit import lte
from hinote_jax.nn import bands

_KEY = jax.random.key(0)
_CHANNELS = 2
_SHAPE, _FINE = (5, 7), (11, 16)
_SMALL = dict(
  channels=_CHANNELS, encoder_options=dict(width=4, blocks=1), hidden=(6, 5)
)
_MODELS = {
  "liif": _SMALL,
  "lte": dict(_SMALL, waves=3),
  "metasr": _SMALL,
  "srno": dict(_SMALL, width=12, heads=3, hidden=(6,)),
}


def _noisy(params):
  """Draws every parameter: fresh biases are zeros and hide mistakes."""
  random = np.random.default_rng(1)

  def draw(leaf):
    scale = 1.0 / np.sqrt(np.prod(leaf.shape[:-1], initial=1.0))
    return jnp.asarray(scale * random.normal(size=leaf.shape), jnp.float32)

  return jax.tree.map(draw, params)


def _inputs(shape=_SHAPE, fine=_FINE, batch=1):
  lowres = np.random.default_rng(0).normal(size=(batch, *shape, _CHANNELS))
  cell = np.tile(grids.cell_size(fine), (batch, 1))
  return jnp.asarray(lowres, jnp.float32), grids.axes(fine), cell


def _network(name, **changes):
  module = models.build(name, **{**_MODELS[name], **changes})
  shapes = jax.eval_shape(module.init, _KEY, *_inputs())
  return module, _noisy(shapes)


def _float64(tree):
  return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def _features(module, params, lowres):
  """The encoder's answer; blocks_test has its convolutions."""
  encoder = encoders.make(module.encoder, module.encoder_options)
  return np.float64(encoder.apply({"params": params["encoder"]}, lowres))[0]


def _unfold(feats, i, j):
  """The 3 x 3 cells around one, zeros beyond the walls, [3 3 c]."""
  padded = np.pad(feats, [(1, 1), (1, 1), (0, 0)])
  return padded[i : i + 3, j : j + 3]


def _mlp(params, x, first, count):
  for i in range(first, first + count):
    layer = params[f"layer_{i}"]
    x = (np.maximum(x, 0) if i > first else x) @ layer["kernel"] + layer["bias"]
  return x


def _neighbours(coord, n):
  """Cells below and above, offsets in 2 a cell, areas opposite (LIIF, 2)."""
  u = ((coord + 1) * n - 1) / 2
  found = [min(max(int(np.floor(u)) + p, 0), n - 1) for p in (0, 1)]
  offsets = [2 * (u - i) for i in found]
  areas = [abs(offsets[1]), abs(offsets[0])]
  return found, offsets, [a / sum(areas) for a in areas]


def _queries(feats):
  """Yields every query's place in the result and its four neighbours."""
  centres = np.float64(grids.cell_centers(_FINE))
  for place in np.ndindex(_FINE):
    y, x = (
      _neighbours(c, n)
      for c, n in zip(centres[place], feats.shape[:2], strict=True)
    )
    yield (
      place,
      [
        ((y[0][p], x[0][q]), (y[1][p], x[1][q]), y[2][p] * x[2][q])
        for p, q in itertools.product((0, 1), repeat=2)
      ],
    )


def _rel_cell(feats):
  return 2.0 / np.array(_FINE) * feats.shape[:2]


def _liif(params, feats, lowres):
  result = np.zeros((*_FINE, _CHANNELS))
  for place, neighbours in _queries(feats):
    for cell, offset, weight in neighbours:
      x = np.einsum(
        "ijc,ijcd->d", _unfold(feats, *cell), params["features"]["kernel"]
      )
      x = x + params["features"]["bias"] + offset @ params["offset"]["kernel"]
      x = np.maximum(x + _rel_cell(feats) @ params["cell"]["kernel"], 0)
      result[place] += weight * _mlp(params, x, 1, 2)
  return result


def _lte(params, feats, lowres):
  result = _skip(lowres)
  for place, neighbours in _queries(feats):
    for cell, offset, weight in neighbours:
      amplitude, frequency = (
        np.einsum("ijc,ijcd->d", _unfold(feats, *cell), params[n]["kernel"])
        + params[n]["bias"]
        for n in ("amplitude", "frequency")
      )
      angle = np.pi * (
        np.array(offset) @ frequency.reshape(2, -1)
        + _rel_cell(feats) @ params["phase"]["kernel"]
      )
      waves = amplitude * np.concatenate([np.cos(angle), np.sin(angle)])
      result[place] += weight * _mlp(params, waves, 0, 3)
  return result


def _metasr(params, feats, lowres):
  result = np.zeros((*_FINE, _CHANNELS))
  shape = np.array(feats.shape[:2])
  for place in np.ndindex(_FINE):
    corner = np.array(place) * shape / _FINE  # of the query's cell
    cell = np.floor(corner + 1e-6).astype(int)
    known = [*(corner - cell), shape[0] / _FINE[0]]
    hidden = np.maximum(_mlp(params, np.array(known), 0, 2), 0)
    kernel = np.einsum("ijcko,k->ijco", params["mix"], hidden)
    kernel = kernel + params["mix_bias"]
    result[place] = np.einsum("ijc,ijco->o", _unfold(feats, *cell), kernel)
  return result


def _erf_gelu(x):
  return np.float64(jax.nn.gelu(jnp.asarray(x), approximate=False))


def _head_norm(params, x):
  centred = x - x.mean(-1, keepdims=True)
  std = x.std(-1, ddof=1, keepdims=True) + 1e-5
  return centred / std * params["scale"] + params["bias"]


def _srno(params, feats, lowres):
  def dense(layer, x):
    return x @ layer["kernel"] + layer["bias"]

  tokens = []
  for _, neighbours in _queries(feats):
    offsets = [c for _, offset, _ in neighbours for c in offset]
    weighted = [weight * feats[cell] for cell, _, weight in neighbours]
    tokens.append(np.concatenate([offsets, *weighted, _rel_cell(feats)]))
  x = dense(params["lift"], np.stack(tokens))
  for i in range(2):
    block = params[f"galerkin_{i}"]
    attention = block["attention"]
    q, k, v = (dense(attention[n], x).reshape(len(x), 3, -1) for n in "qkv")
    k = _head_norm(attention["norm_k"], k)
    v = _head_norm(attention["norm_v"], v)
    integral = np.einsum("ngd,nge->gde", k, v) / len(x)
    y = x + np.einsum("ngd,gde->nge", q, integral).reshape(x.shape)
    x = x + dense(block["contract"], _erf_gelu(dense(block["expand"], y)))
  x = dense(params["layer_1"], _erf_gelu(dense(params["layer_0"], x)))
  return x.reshape(*_FINE, -1) + _skip(lowres)


def _skip(lowres):
  y, x = (
    resize.matrix(n, m, method="linear", antialias=False)
    for n, m in zip(_SHAPE, _FINE, strict=True)
  )
  return np.einsum("Yy,Xx,yxc->YXc", y, x, np.float64(lowres[0]))


@pytest.mark.parametrize(
  ("name", "reference"),
  [("liif", _liif), ("lte", _lte), ("metasr", _metasr), ("srno", _srno)],
)
def test_network_equals_a_loop_over_queries(name, reference):
  module, variables = _network(name)
  inputs = _inputs()
  got = jax.jit(module.apply)(variables, *inputs)[0]
  params = variables["params"]
  feats = _features(module, params, inputs[0])
  want = reference(_float64(params), feats, inputs[0])
  np.testing.assert_allclose(got, want, atol=2e-5 * want.std())


@pytest.mark.parametrize("name", sorted(_MODELS))
def test_axes_points_and_bands_agree(name):
  module, variables = _network(name)
  lowres, axes, cell = _inputs(batch=2)
  want = jax.jit(module.apply)(variables, lowres, axes, cell)
  points = jnp.asarray(grids.dense(axes))
  banded = module.clone(points_at_once=37)
  for network, coords in ((module, points), (banded, axes), (banded, points)):
    got = jax.jit(network.apply)(variables, lowres, coords, cell)
    np.testing.assert_allclose(got, want, atol=2e-5 * want.std())


@pytest.mark.parametrize("name", sorted(_MODELS))
def test_periodic_answer_turns_with_the_field(name):
  module, variables = _network(name, periodic=(True, True))
  fine = tuple(2 * n for n in _SHAPE)
  lowres, axes, cell = _inputs(fine=fine)
  apply = jax.jit(module.apply)
  want = apply(variables, lowres, axes, cell)
  turned = jnp.roll(lowres, (2, 3), axis=(1, 2))
  got = apply(variables, turned, axes, cell)
  want = np.roll(want, (4, 6), axis=(1, 2))
  np.testing.assert_allclose(got, want, atol=5e-5 * want.std())


def test_metasr_answers_in_the_first_channels_alone():
  whole, variables = _network("metasr")
  first = whole.clone(out_channels=1)
  own = {"mix": variables["params"]["mix"][..., :1]}
  own["mix_bias"] = variables["params"]["mix_bias"][..., :1]
  inputs = _inputs()
  want = whole.apply(variables, *inputs)[..., :1]
  got = first.apply({"params": variables["params"] | own}, *inputs)
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
  for count in (0, _CHANNELS + 1):
    with pytest.raises(ValueError, match=f"out_channels is {count}.*1 to 2"):
      whole.clone(out_channels=count).init(_KEY, *inputs)


def test_options_of_liif_take_their_inputs_away():
  lowres, axes, cell = _inputs()
  for option in ("local_ensemble", "feat_unfold", "cell_decode"):
    module, variables = _network("liif", **{option: False})
    answers = [
      np.asarray(module.apply(variables, x, axes, size))
      for x, size in ((lowres, cell), (lowres, 2 * cell))
    ]
    if option == "cell_decode":
      np.testing.assert_array_equal(*answers)
    else:
      assert np.abs(answers[0] - answers[1]).max() > 1e-3
  # The nearest cell alone answers: the answer jumps between cells.
  module, variables = _network("liif", local_ensemble=False)
  edge = 2.0 / _SHAPE[0] - 1.0  # between the first two rows of cells

  def at(y):
    points = jnp.array([[[y, 0.1]]], jnp.float32)
    return np.asarray(module.apply(variables, lowres, points, cell))

  below, above = at(edge - 1e-4), at(edge + 1e-4)
  assert np.abs(above - below).max() > 1e-2
  module, variables = _network("liif")
  below, above = at(edge - 1e-4), at(edge + 1e-4)
  assert np.abs(above - below).max() < 1e-2


def test_weights_of_the_cells_are_linear_interpolation():
  coords = grids.batched(grids.axes(_FINE), 1)
  values = _inputs()[0]
  total = sum(
    near.weight[..., None] * implicit.take(values, near.y, near.x)
    for near in implicit.cells(coords, _SHAPE, (False, True), ensemble=True)
  )
  want = resize.sample(
    values, coords, method="linear", boundary=("edge", "wrap")
  )
  np.testing.assert_allclose(total, want, atol=1e-5)


def test_waves_do_not_lose_their_phase_at_high_frequency():
  t = np.float32(np.random.default_rng(0).uniform(-500, 500, 1000))
  cos, sin = lte.cos_sin_pi(jnp.asarray(t))
  np.testing.assert_allclose(cos, np.cos(np.pi * np.float64(t)), atol=5e-7)
  np.testing.assert_allclose(sin, np.sin(np.pi * np.float64(t)), atol=5e-7)
  quarters = np.arange(-8, 9) / 4  # where the pieces meet
  cos, sin = lte.cos_sin_pi(jnp.asarray(quarters, jnp.float32))
  np.testing.assert_allclose(cos, np.cos(np.pi * quarters), atol=2e-7)
  np.testing.assert_allclose(sin, np.sin(np.pi * quarters), atol=2e-7)
  slope = jax.vmap(jax.grad(lambda t: lte.cos_sin_pi(t)[0]))(
    jnp.asarray(quarters, jnp.float32)
  )
  np.testing.assert_allclose(slope, -np.pi * sin, atol=1e-6)


def test_bands_are_as_few_as_the_limit_allows():
  sizes = []

  def function(coords):
    sizes.append(grids.query_shape(coords))
    return grids.dense(coords)

  axes = grids.batched(grids.axes((10, 4)), 2)
  got = bands.over_points(function, axes, 24)  # 3 rows of 2 x 4 points
  np.testing.assert_array_equal(got, grids.dense(axes))
  assert set(sizes) == {(3, 4)}


@pytest.mark.parametrize("name", sorted(_MODELS))
def test_wrong_channels_are_refused(name):
  module = models.build(name, **_MODELS[name])
  lowres, axes, cell = _inputs()
  with pytest.raises(ValueError, match="3 channels.*built for 2"):
    module.init(_KEY, jnp.zeros((*lowres.shape[:3], 3)), axes, cell)


def test_unknown_encoder_and_option_are_named():
  lowres, axes, cell = _inputs()
  module = models.build("liif", channels=2, encoder="rnd")
  with pytest.raises(ValueError, match="did you mean 'rdn'"):
    module.init(_KEY, lowres, axes, cell)
  module = models.build("liif", channels=2, encoder_options=dict(widht=3))
  with pytest.raises(ValueError, match="did you mean 'width'"):
    module.init(_KEY, lowres, axes, cell)
