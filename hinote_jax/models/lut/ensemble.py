"""Networks of a few cells, or their tables, over the turns of a field."""

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import naming
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.models.lut import lookup, taps
from hinote_jax.nn import blocks

UNIT = 127.0  # what a network's 1 is in a table
# A byte of a table is kept over this, exactly: it may be trained.
STORED = 128.0
WHITE = 255.0  # what the 1 of a field is in units of `interval`
# A level is a byte if it is nearer than this: float32 knows it as well.
_TOUCH = 1e-4


def levels(interval: float | int) -> int:
  """Returns the nodes of a table with one every `interval` levels of 256."""
  if not 0 < interval <= 256:
    raise ValueError(
      f"a table has a node every so many levels of 256, got {interval}"
    )
  return -int(-256 // interval) + 1


class Perceptron(nn.Module):
  """Dense layers of one cell's taps, between them ReLU.

  Attributes:
    width: of each hidden layer.
    depth: how many there are.
    outputs: numbers for a cell.
  """

  width: int
  depth: int
  outputs: int

  @nn.compact
  def __call__(self, x: Float[Array, "*b n"]) -> Float[Array, "*b k"]:
    init = nn.initializers.he_normal()
    for i in range(self.depth):
      dense = blocks.Dense(self.width, kernel_init=init, name=f"layer_{i}")
      x = nn.relu(dense(x))
    # Fresh, it says little, so that nothing is clipped.
    small = blocks.small_init
    return blocks.Dense(self.outputs, kernel_init=small, name="last")(x)


class Ensemble(nn.Module):
  """Sums what networks, or tables, say of a cell in several turns of a field.

  Each channel alone. A value is in units of 1/127, of at most 127; a sum is
  not divided by how many there are.

  Attributes:
    patterns: a letter of `taps.PATTERNS` for each network.
    outputs: numbers for a cell.
    side: of the block that they are, which turns with the field; 1 where each
      is a number of the cell itself.
    turns: of the field, 4 quarters, 2 halves or 1.
    width: of each network.
    depth: its hidden layers.
    interval: levels of 256 from node to node of a table.
    is_table: tables instead of networks.
    compat: of `lookup.simplex`.
    periodic: which of (y, x) close on themselves.
  """

  patterns: str
  outputs: int = 1
  side: int = 1
  turns: int = 4
  width: int = 64
  depth: int = 5
  interval: float | int = 16
  is_table: bool = False
  compat: str = ""
  periodic: Periodic = (False, False)

  @property
  def count(self) -> int:
    """How many values are summed."""
    return len(self.patterns) * self.turns

  @lazy.layer(reach=lambda ensemble: taps.reach(ensemble.patterns))
  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w k"]:
    """Returns the sums, [b h w outputs*side*side*c], the channels fastest.

    Args:
      x: a field in [0, 1].
    """
    b, h, w, c = x.shape
    naming.look_up("compat", self.compat, dict.fromkeys(lookup.COMPATIBLE))
    by = taps.reach(self.patterns)
    if self.is_table:
      x = whole_levels(x) / self.interval
    x = taps.padded(x, by, self.periodic)
    total = jnp.zeros((b, h, w, c, self.outputs, self.side, self.side))
    for pattern in self.patterns:
      read, turns = self._reader(pattern), range(0, 4, 4 // self.turns)
      seen = [taps.seen(x, pattern, turn, by) for turn in turns]
      # A table is read in all turns at once: that is compiled sooner.
      values = read(jnp.stack(seen)) if self.is_table else map(read, seen)
      for turn, own in zip(turns, values, strict=True):
        own = own.reshape(total.shape)
        total = total + jnp.rot90(own, -turn, axes=(5, 6))
    return jnp.moveaxis(total, 3, -1).reshape(b, h, w, -1)

  def _reader(self, pattern):
    """Returns what makes values of what a pattern sees."""
    outputs = self.outputs * self.side**2
    if not self.is_table:
      net = Perceptron(self.width, self.depth, outputs, name=f"net_{pattern}")
      return lambda seen: jnp.clip(net(seen), -1.0, 1.0) * UNIT
    entries = levels(self.interval) ** len(taps.of(pattern))
    zeros = nn.initializers.zeros
    table = self.param(f"table_{pattern}", zeros, (entries, outputs))
    return lambda seen: STORED * lookup.simplex(table, seen, compat=self.compat)


def whole_levels(x: Float[Array, "*b"]) -> Float[Array, "*b"]:
  """Returns [0, 1] in levels of 256: bytes as the whole numbers they were."""
  level = x * WHITE
  off = jnp.round(level) - level
  off = jnp.where(jnp.abs(off) < _TOUCH, off, 0.0)
  return level + jax.lax.stop_gradient(off)


def nodes(pattern: str, interval: float | int) -> Float[Array, "e n"]:
  """Returns what a pattern sees at each entry of its table, in [0, 1].

  A node at 256, which no byte is, stands for white.
  """
  along = jnp.arange(levels(interval)) * jnp.float32(interval)
  along = jnp.where(along == 256.0, WHITE, along) / WHITE
  grid = jnp.meshgrid(*[along] * len(taps.of(pattern)), indexing="ij")
  return jnp.stack([axis.reshape(-1) for axis in grid], axis=-1)


def rounded(values: Float[Array, "*b"]) -> Float[Array, "*b"]:
  """Returns units of 1 / 127 as entries of a table that are bytes."""
  return jnp.round(jnp.clip(values, -UNIT, UNIT)) / STORED


def tabulate(ensemble: Ensemble, params, *, at_once: int = 1 << 14):
  """Returns the parameters of the tables of an ensemble's networks.

  Entries are bytes, -127 to 127, over `STORED`.

  Args:
    ensemble: of networks; or of tables, which are only rounded.
    params: its own.
    at_once: entries that are computed together.
  """
  if ensemble.is_table:
    return jax.tree.map(lambda table: rounded(table * STORED), params)
  outputs = ensemble.outputs * ensemble.side**2
  net = Perceptron(ensemble.width, ensemble.depth, outputs)
  apply = jax.jit(net.apply)
  tables = {}
  for pattern in ensemble.patterns:
    seen = nodes(pattern, ensemble.interval)
    own = {"params": params[f"net_{pattern}"]}
    values = jnp.concatenate(
      [apply(own, seen[i : i + at_once]) for i in range(0, len(seen), at_once)]
    )
    tables[f"table_{pattern}"] = rounded(values * UNIT)
  return tables
