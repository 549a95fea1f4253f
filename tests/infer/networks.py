"""Small networks with random weights, and what the whole of them answers."""

from collections.abc import Mapping
import functools
import random as randoms
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax import lazy, models
from hinote_jax.core import grids
from hinote_jax.lazy import tiles
from hinote_jax.models.hinote import model as hinote
from hinote_jax.models.hinote_official import published
from hinote_jax.models.implicit import lte

# Of the greatest difference, relative to the answer's standard deviation.
TOLERANCE = 1e-5

WINDOWS = dict(
  embed_dim=8, depths=(2,), num_heads=(2,), window_size=4, num_feat=4, scale=2
)
_EDSR = dict(encoder_options=dict(width=4, blocks=1))
# Heads of 8 channels: the norm of a few magnifies rounding where they are
# nearly equal.
_SMALL = {
  "hinote": dict(
    preset="levels", width=16, blocks=1, heads=2, head_width=6, head_depth=2
  ),
  "hinote_official": dict(
    attention_width=16, attention_head=2, feature_up_ratio=2
  ),
  "liif": dict(_EDSR, hidden=(6, 5)),
  "lte": dict(_EDSR, hidden=(6, 5), waves=4),
  "metasr": dict(_EDSR, hidden=(6,)),
  "srno": dict(_EDSR, hidden=(6,), width=16, heads=2),
  "dfno": dict(
    width=4,
    blocks=1,
    features=4,
    fourier_width=6,
    modes1=3,
    modes2=4,
    layers=2,
    head_width=6,
    scale=2,
  ),
  "edsr": dict(width=4, blocks=1, scale=2),
  "rdn": dict(width=4, blocks=2, layers=2, growth=3, scale=2),
  "hat": WINDOWS,
  "swinir": WINDOWS,
  "wdsr": dict(width=4, blocks=1, scale=2),
  "sr_lut": dict(width=4, depth=1, scale=2, limits=((-4.0, 4.0),)),
  "im_lut": dict(width=4, depth=1, limits=((-4.0, 4.0),)),
}
NAMES = tuple(_SMALL)
_ENCODERS = (
  _EDSR,
  dict(encoder="rdn", encoder_options=dict(width=4, blocks=1, layers=1)),
  dict(
    encoder="edsr_enlarging",
    encoder_options=dict(width=4, blocks=1, channels=2, scale=2),
  ),
  dict(encoder="hat", encoder_options=WINDOWS),
)


class Problem(NamedTuple):
  """A network with its variables, a field, and where it is asked for."""

  module: nn.Module
  variables: Mapping[str, Any]
  lowres: jax.Array
  queries: lazy.Queries


def build(name: str, **options: Any) -> nn.Module:
  """Returns a small network, of two variables but where it takes one."""
  shared = dict(channels=1 if name == "hinote_official" else 2)
  if name == "hinote":
    shared["residual_scale"] = (0.5, 2.0)
  small = _SMALL.get(name.removesuffix("_ast"), {})
  return models.build(name, **{**shared, **small, **options})


def problem(
  module: nn.Module,
  shape: tuple[int, int],
  lines: tuple[grids.Line, grids.Line],
  *,
  batch: int = 1,
) -> Problem:
  """Returns a random field [b h w c] and the queries at lines of its cells."""
  random = np.random.default_rng(0)
  lowres = random.normal(size=(batch, *shape, module.channels))
  return Problem(
    module,
    _variables(module.clone(periodic=(False, False))),
    jnp.asarray(lowres, jnp.float32),
    lazy.Queries.of_lines(lines, shape),
  )


@functools.cache
def _variables(module: nn.Module) -> Mapping[str, Any]:
  """Returns random variables, of unit gain in every layer.

  Fresh ones would hide mistakes: layers that begin small, and biases of zero.
  """
  field = jnp.ones((1, 8, 8, module.channels))
  arguments = field, grids.axes((8, 8)), jnp.full((1, 2), 0.25)
  if isinstance(module, lte.Lte):
    # Its phases magnify the rounding of the features. With large ones, one
    # call alone is further than the tolerance from its answer in float64.
    return jax.jit(module.init)(jax.random.key(0), *arguments)
  return random_variables(module, *arguments)


def random_variables(
  module: nn.Module, *arguments: Any, **options: Any
) -> Mapping[str, Any]:
  """Returns random variables, of unit gain in every layer.

  Args:
    module: a network.
    *arguments: of its call.
    **options: of `init`.
  """
  random = np.random.default_rng(1)

  def draw(path, leaf):
    normal = random.normal(size=leaf.shape)
    if path[-1].key in ("bias", "scale"):
      made = 0.3 * normal + (path[-1].key == "scale")
    elif path[-1].key.startswith("table"):
      made = 0.08 * normal
    else:
      made = normal / np.sqrt(np.prod(leaf.shape[:-1]))
    return jnp.asarray(made, jnp.float32)

  init = functools.partial(module.init, **options)
  shapes = jax.eval_shape(init, jax.random.key(0), *arguments)
  return jax.tree.map_with_path(draw, shapes)


def untiled(problem: Problem) -> np.ndarray:
  """Returns the answer of one call, [b H W c]."""
  module, variables, lowres, queries = problem
  cell = np.tile(queries.cell(), (len(lowres), 1))
  apply = jax.jit(module.apply)
  return np.asarray(apply(variables, lowres, queries.coords, cell))


def graph(problem: Problem) -> lazy.Graph:
  """Returns the network on lazy grids."""
  module, variables, lowres, queries = problem
  return lazy.graph(module, variables, lowres.shape, queries.lines)


def streamed(problem: Problem, side: int | None = None) -> np.ndarray:
  """Returns the answer put together from tiles, [b H W c]."""
  network = graph(problem)
  run = tiles.Tiles(network.last, 1e9, side=side)
  return values(run, {network.inputs[0]: problem.lowres})


def values(
  run: tiles.Tiles, inputs: Mapping[lazy.LazyGrid, jax.Array]
) -> np.ndarray:
  """Returns the last grid put together from its tiles, [b h w c]."""
  answer = run({grid: np.asarray(given) for grid, given in inputs.items()})
  shape = answer.grid.shape
  whole = np.full(shape, np.nan, np.float32)
  for (y, x), part in answer():
    whole[:, y.first : y.last, x.first : x.last] = part
  return whole


def error(found: np.ndarray, wanted: np.ndarray) -> float:
  """Returns the greatest difference over the standard deviation."""
  return float(np.abs(found - wanted).max() / wanted.std())


def draw(name: str, seed: int) -> tuple[Problem, int]:
  """Returns a random problem for a network, and the side of its tiles.

  Inputs have 5 to 20 cells a side, scales are 1 to 5 along each axis; queries
  lie on cells, on nodes, or in a window of the field.
  """
  random = randoms.Random(seed)
  options = _OPTIONS[name](random)
  # Where levels lie on the queries, they take these for the whole circle.
  is_closed = options.get("domain") == "queries" or "refiner" in options
  divides = 2 ** (options.get("hierarchical_levels", 1) - 1)
  shape = tuple(random.randint(5, 20) for _ in "yx")
  periodic = tuple(random.random() < 0.5 for _ in "yx")
  lines = tuple(
    _line(random, n, closed, closed and is_closed, divides)
    for n, closed in zip(shape, periodic, strict=True)
  )
  module = build(name, periodic=periodic, **options)
  longest = max(6, min(40, max(line.count for line in lines) - 1))
  batch = random.choice((1, 1, 2))
  made = problem(module, shape, lines, batch=batch)
  return made, random.randint(5, longest)


def _line(random, n, is_periodic, is_whole, divides):
  """Draws where the queries lie along an axis of n cells."""
  scale = random.choice((random.randint(1, 5), random.uniform(1.0, 5.0)))
  count = max(1, round(n * scale / divides)) * divides
  kinds = ["cells"] + ["turned"] * is_periodic
  kind = random.choice(kinds if is_whole else [*kinds, "nodes", "window"])
  if kind == "cells":
    return grids.cell_line(n, count)
  if kind == "nodes":
    return grids.node_line(n, count)
  if kind == "turned":
    return grids.Line(random.uniform(-n, n), n / count, count)
  step, most = n / count, count // divides
  count = random.randint(-(-most // 2), most) * divides
  first = random.uniform(-0.5, n - 0.5 - step * count) + 0.5 * step
  return grids.Line(first, step, count)


def _of_swinir(random):
  depths = random.choice(((2,), (1, 2)))
  return dict(
    upsampler=random.choice(("pixelshuffle", "nearest+conv")),
    resi_connection=random.choice(("1conv", "3conv")),
    depths=depths,
    num_heads=(2, 1)[: len(depths)],
  )


def _of_hat(random):
  depths = random.choice(((2,), (1,)))
  return dict(
    depths=depths,
    overlap_ratio=random.choice((0.5, 1.0)),
    attention=random.choice(("softmax", "mixed")),
    feed_forward=random.choice(("mlp", "frfn")),
    conv_scale=0.5,
    compress_ratio=2,
    squeeze_factor=3,
  )


def _of_hinote(random):
  levels, domain = random.randint(1, 3), random.choice(hinote.DOMAINS)
  is_attending = [random.randint(0, 1) for _ in range(levels)]
  return dict(
    domain=domain,
    upsample=random.choice((1, 2, 4)),
    level_widths=(16, 24, 16)[:levels],
    level_blocks=tuple(is_attending),
    level_convs=tuple(1 - i for i in is_attending),
    is_alias_free=random.choice((False, True)),
    head_heads=random.choice((0, 2)) if domain == "grid" else 0,
    sees_scale=random.choice((False, True)),
    skip=random.choice(("cubic", "sinc")),
  )


def _of_official(random):
  return dict(
    hierarchical_levels=random.choice((1, 1, 2, 3)),
    feature_up_ratio=random.choice((1, 2, 4)),
    fourier_up=random.choice(tuple(published.FOURIER_UPS)),
    feature_combine=random.choice(("add", "cat")),
    liif_up_method=random.choice(("nearest", "bilinear", "bicubic")),
  )


def _of_sr_lut(random):
  return dict(
    pattern=random.choice("SFV"),
    scale=random.choice((1, 2, 3, 4)),
    interval=random.choice((16, 32, 50)),
    is_table=random.choice((False, True)),
  )


def _of_im_lut(random):
  return dict(
    interpolators=random.choice(("NL", "NLC", "CZ")),
    refiner=random.choice(("", "S", "SDY")),
    refiner_turns=random.choice((1, 4)),
    is_table=random.choice((False, True)),
  )


def _of_liif(random):
  names = "local_ensemble", "feat_unfold", "cell_decode"
  switches = {name: random.choice((False, True)) for name in names}
  return {**random.choice(_ENCODERS), **switches}


_OPTIONS = {
  "dfno": lambda random: {},
  "edsr": lambda random: dict(scale=random.choice((1, 2, 3, 4))),
  "rdn": lambda random: {},
  "hat": _of_hat,
  "swinir": _of_swinir,
  "wdsr": lambda random: {},
  "hinote": _of_hinote,
  "hinote_official": _of_official,
  "liif": _of_liif,
  "sr_lut": _of_sr_lut,
  "im_lut": _of_im_lut,
  "lte": lambda random: random.choice(_ENCODERS),
  "metasr": lambda random: random.choice(_ENCODERS),
  "srno": lambda random: {
    **random.choice(_ENCODERS),
    "blocks": random.randint(1, 2),
    "max_scale": random.choice((4.0, float("inf"))),
  },
}


class WithExtras(nn.Module):
  """Linear interpolation of a field and what else is known, on both grids."""

  periodic: tuple[bool, bool] = (False, False)

  def __call__(self, lowres, coords, cell, *, static, shift):
    del cell
    x, rules = lowres + static["coarse"], ("edge", "edge")
    at = lazy.interpolate(x, coords, method="linear", boundary=rules)
    return at + static["fine"] + shift


class WithBlur(nn.Module):
  """Linear interpolation, the sum of the kernel's first row and the noise."""

  periodic: tuple[bool, bool] = (False, False)

  def __call__(self, lowres, coords, cell, *, kernel, noise=0.0):
    del cell
    rules = ("edge", "edge")
    at = lazy.interpolate(lowres, coords, method="linear", boundary=rules)
    return at + kernel[:, 0].sum(-1) + noise
