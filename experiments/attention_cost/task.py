"""What one layer of attention is worth: two nonlocal maps, learned.

From a periodic field f of no mean, the solution u of lap u = f, which is smooth
and of the largest scales, and the Riesz transform R f = d/dx (-lap)^(-1/2) f,
which has all scales of f; both in closed form by the Fourier transform. The
same network for every kind, but for its attention: where it is left out every
point sees itself alone.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float
import numpy as np
import optax

from experiments.attention_cost import case, kinds
from hinote_jax.core.typing import Array

NONE = "no attention"
KINDS = ("Galerkin", "softmax", "FAVOR+", "windowed", "ProbSparse")
SIDE = 16  # of the fields that are trained on
MAPS = ("Poisson", "Riesz")
_MODES = 6  # wavenumbers of the fields, below half the side
_BATCH = 8
_RATE = 3e-3
_HELD_OUT = 64
_POSITIONS = (1, 2)  # wavenumbers of what points are told of their place


class Fields(NamedTuple):
  """Fields and what they are mapped to.

  Attributes:
    given: f, [b h w], variance 1.
    wanted: u and R f, [b h w 2], of variance 1 on average.
  """

  given: Array
  wanted: Array


def draw(key: Array, count: int, side: int) -> Fields:
  """Returns random fields; of one key the same at every side.

  Amplitudes fall as 1 / |k| up to wavenumber 6, so that every octave has as
  much variance.

  Args:
    key: of the draw.
    count: of fields.
    side: cells a side.
  """
  waves = 2 * _MODES + 1
  y, x = np.mgrid[-_MODES : _MODES + 1, -_MODES : _MODES + 1]
  length = np.hypot(y, x)
  inside = (length > 0) & (length <= _MODES)
  length[~inside] = 1.0
  symbols = [
    inside / length,
    -1.0 * inside / length**3,
    inside * 1j * x / length**2,
  ]
  drawn = jax.random.normal(key, (2, count, waves, waves))
  noise = (drawn[0] + 1j * drawn[1]) / 2**0.5
  # The real part of a complex field: half its variance.
  sizes = [(np.abs(s) ** 2).sum() / 2 for s in symbols]
  positions = np.arange(side) / side * 2j * np.pi
  of_y, of_x = (np.exp(positions[:, None] * axis) for axis in (y[:, 0], x[0]))
  fields = [
    jnp.einsum("bkl,yk,xl->byx", noise * (s / v**0.5), of_y, of_x).real
    for s, v in zip(symbols, sizes, strict=True)
  ]
  return Fields(fields[0], jnp.stack(fields[1:], -1))


_drawn = jax.jit(draw, static_argnums=(1, 2))


def told(given: Float[Array, "b h w"]) -> Float[Array, "b n c"]:
  """Returns what the network has of each point: f, and where it is."""
  b, h, w = given.shape
  angles = jnp.meshgrid(
    *(jnp.arange(n) / n * 2 * jnp.pi for n in (h, w)), indexing="ij"
  )
  place = jnp.stack(
    [f(k * a) for k in _POSITIONS for a in angles for f in (jnp.sin, jnp.cos)],
    -1,
  )
  place = jnp.broadcast_to(place, (b, *place.shape))
  return jnp.concatenate([given[..., None], place], -1).reshape(b, h * w, -1)


def init(key: Array) -> dict[str, tuple[Array, Array]]:
  """Returns the dense layers, kernel and bias each."""
  width = case.WIDTH
  sizes = {
    "lift": (1 + 4 * len(_POSITIONS), width),
    "lift_again": (width, width),
    **{name: (width, width) for name in ("q", "k", "v", "joined")},
    **{name: (width, width) for name in ("expand", "contract")},
    "project": (width, len(MAPS)),
  }
  keys = jax.random.split(key, len(sizes))
  return {
    name: (
      jax.random.normal(key, size) / size[0] ** 0.5,
      jnp.zeros(size[1]),
    )
    for key, (name, size) in zip(keys, sizes.items(), strict=True)
  }


def predict(
  params, given: Float[Array, "b h w"], attend: kinds.Attention | None
) -> Float[Array, "b h w 2"]:
  """Returns what the network makes of fields: lift, attention, MLP."""

  def dense(name, x):
    kernel, bias = params[name]
    return x @ kernel + bias

  b, h, w = given.shape
  x = dense("lift_again", jax.nn.gelu(dense("lift", told(given))))
  if attend is not None:
    q, k, v = (
      dense(name, x).reshape(b, h * w, case.HEADS, -1) for name in "qkv"
    )
    x = x + dense("joined", attend(q, k, v).reshape(x.shape))
  x = x + dense("contract", jax.nn.gelu(dense("expand", x)))
  return dense("project", x).reshape(b, h, w, -1)


def _attention(kind: str, key: Array, side: int) -> kinds.Attention | None:
  if kind == NONE:
    return None
  return kinds.build(kind, key, (side, side), case.WIDTH // case.HEADS)


def errors(
  y: Float[Array, "b h w 2"], wanted: Float[Array, "b h w 2"]
) -> dict[str, float]:
  """Returns the relative L2 error of each map over all fields."""
  off = jnp.square(y - wanted).sum((0, 1, 2))
  ratio = jnp.sqrt(off / jnp.square(wanted).sum((0, 1, 2)))
  return dict(zip(MAPS, ratio.tolist(), strict=True))


def train(kind: str, seed: int, steps: int) -> dict:
  """Returns the errors on held-out fields after training.

  Args:
    kind: of `kinds.KINDS`, or `NONE`.
    seed: of weights, fields and what a kind draws.
    steps: of 8 new fields each, Adam, the rate falling to 0 by a cosine.

  Returns:
    "same": errors at the side of training; "finer": of the same fields at
    twice the side.
  """
  of_weights, of_fields, of_kind = jax.random.split(jax.random.key(seed), 3)
  params = init(of_weights)
  transform, step = _training(kind, steps)
  state = transform.init(params)
  for key in jax.random.split(of_fields, steps):
    params, state = step(params, state, key, of_kind)
  found: dict[str, Any] = {"kind": kind, "seed": seed}
  for name, side in {"same": SIDE, "finer": 2 * SIDE}.items():
    held_out = _drawn(jax.random.key(10**6 + seed), _HELD_OUT, side)
    y = _predicted(kind, params, of_kind, held_out.given)
    found[name] = errors(y, held_out.wanted)
  return found


@functools.lru_cache
def _training(kind: str, steps: int):
  """Returns the optimiser, and its step."""
  transform = optax.adam(optax.cosine_decay_schedule(_RATE, steps))

  def loss(params, key, of_kind):
    to_draw, to_attend = jax.random.split(key)
    fields = draw(to_draw, _BATCH, SIDE)
    # FAVOR+ keeps its features; ProbSparse looks at other keys each time.
    of_kind = of_kind if kind == "FAVOR+" else to_attend
    y = predict(params, fields.given, _attention(kind, of_kind, SIDE))
    return jnp.square(y - fields.wanted).mean()

  @jax.jit
  def step(params, state, key, of_kind):
    slope = jax.grad(loss)(params, key, of_kind)
    updates, state = transform.update(slope, state)
    return optax.apply_updates(params, updates), state

  return transform, step


@functools.partial(jax.jit, static_argnums=0)
def _predicted(kind, params, of_kind, given):
  attend = _attention(kind, of_kind, given.shape[1])
  return predict(params, given, attend)
