"""From a field of a file to the same field finer, with all that belongs to it.

Missing values are filled for the network and put back, the axes are refined,
units and attributes stay; where asked, the result is made to degrade to the
input again, to keep its mean, or to stay within a range.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
import functools
import math
from typing import Any, NamedTuple

import numpy as np

from hinote_jax import fields
from hinote_jax.core import grids, resize
from hinote_jax.fields import axes, packing
from hinote_jax.infer import (
  blurred,
  consistency,
  masks,
  options,
  plans,
  projections,
)
from hinote_jax.io import room
from hinote_jax.lazy import stores

Options = options.Options
_PLAIN = Options()
# A role that a variable may say it has: opacity, which no network should see.
ALPHA = "alpha"


def seen(header: fields.Header) -> list[fields.Variable]:
  """Returns the variables that a network sees: all but opacity."""
  return [v for v in header.variables if v.attributes.get("role") != ALPHA]


class Target(NamedTuple):
  """The grid of a result.

  Attributes:
    y: rows.
    x: columns.
    lines: where they lie in cells of the input, along its axes.
    is_turned: which of (y, x) run against the input's.
  """

  y: axes.Axis
  x: axes.Axis
  lines: tuple[grids.Line, grids.Line]
  is_turned: tuple[bool, bool] = (False, False)

  def unturned(self) -> "Target":
    """Returns the same points in the direction of the input."""
    y, x = (
      dataclasses.replace(axis, values=axis.values[::-1]) if turns else axis
      for axis, turns in zip((self.y, self.x), self.is_turned, strict=True)
    )
    return Target(y, x, self.lines)


def shape_of(
  header: fields.Header,
  *,
  scale: float | int | Sequence[float | int] | None = None,
  shape: Sequence[int] | None = None,
  like: fields.Header | None = None,
) -> tuple[int, int]:
  """Returns the (H, W) of `target`; nothing of that size is made.

  Raises:
    ValueError: not exactly one is given, or it is no finer grid.
  """
  if sum(value is not None for value in (scale, shape, like)) != 1:
    raise ValueError(
      "give exactly one of scale, shape and like, got "
      f"scale={scale}, shape={shape}, "
      f"like={'a grid' if like is not None else None}"
    )
  if like is not None:
    return like.shape
  if scale is not None:
    pair = scale if isinstance(scale, Sequence) else (scale, scale)
    if len(pair) != 2:
      raise ValueError(
        f"scale is one number, or one for y and one for x: {scale}"
      )
    for s in pair:
      if not np.isfinite(s * max(header.shape)) or s < 1:
        raise ValueError(
          f"scale must be a finite number of at least 1, got {s}"
        )
    both = header.y, header.x
    shape = [a.scaled(s) for a, s in zip(both, pair, strict=True)]
  shape = tuple(map(int, shape or ()))
  if len(shape) != 2:
    raise ValueError(f"shape is rows and columns, got {shape}")
  if any(n < m for n, m in zip(shape, header.shape, strict=True)):
    raise ValueError(
      f"shape {shape} is coarser than the field's {header.shape}: the scale is "
      "below 1"
    )
  return shape


def target(
  header: fields.Header,
  *,
  scale: float | int | Sequence[float | int] | None = None,
  shape: Sequence[int] | None = None,
  like: fields.Header | fields.Field | None = None,
) -> Target:
  """Returns the grid that is asked for; give one of the three.

  Args:
    header: of the input.
    scale: how many times finer, at least 1; or one number for y and one for x.
      Sides are rounded to a cell.
    shape: (H, W), at least that of the input.
    like: whose grid to take, within the extent of the input.

  Raises:
    ValueError: not exactly one is given, a scale is below 1, or the grid does
      not lie within the input's.
  """
  other = like.header if isinstance(like, fields.Field) else like
  wanted = shape_of(header, scale=scale, shape=shape, like=other)
  both = header.y, header.x
  if other is not None:
    (y, line_y, up), (x, line_x, left) = (
      a.onto(b) for a, b in zip(both, (other.y, other.x), strict=True)
    )
    return Target(y, x, (line_y, line_x), (up, left))
  room.require_memory("the result", "its rows and columns", (2, sum(wanted)))
  (y, line_y), (x, line_x) = (
    a.refined(n) for a, n in zip(both, wanted, strict=True)
  )
  return Target(y, x, (line_y, line_x))


class Upscaler:
  """Makes the fields of one header finer, one after the other.

  Attributes:
    header: of the result.
  """

  def __init__(
    self,
    predictor: Any,
    header: fields.Header,
    goal: Target,
    options: Options = _PLAIN,
    *,
    devices: Sequence[Any] | None = None,
    report: Callable | None = None,
  ):
    """Makes a network ready for the fields.

    Args:
      predictor: an `infer.Predictor`.
      header: of the fields.
      goal: grid of the result.
      options: what else is asked.
      devices: to divide every field among.
      report: called as report(what, done, total) after every tile.

    Raises:
      ValueError: the network is of other variables, or what is asked cannot be
        done on this grid.
    """
    self.header = header.on(goal.y, goal.x)
    self._goal, self._options, self._source = goal, options, header
    is_alpha = [v.attributes.get("role") == ALPHA for v in header.variables]
    self._alpha = np.flatnonzero(is_alpha)
    self._seen = np.flatnonzero(np.logical_not(is_alpha))
    self._require_variables(predictor)
    predictor.require_scale(goal.lines)
    self._predictor = predictor.of(seen(header), options.span)
    self._blur = blurred.extras(options.blur, self._predictor, len(self._seen))
    self._plan = predictor.plan(
      header.shape,
      goal.lines,
      periodic=header.periodic,
      memory=options.memory,
      devices=devices,
      is_ensemble=options.is_ensemble,
      side=options.side,
      report=report,
    )
    self._projection = projections.of(
      options.consistent, predictor.module, goal.lines, header
    )

  @functools.cached_property
  def _extras_of(self) -> Callable[[int], dict[str, Any]]:
    """What the predictor knows of the place and the date of a field."""
    make = self._predictor.extras_of
    return make(self._source, self._goal) if make else lambda index: {}

  def _require_variables(self, predictor: Any) -> None:
    wanted, channels = predictor.names, predictor.channels
    names = [variable.name for variable in seen(self._source)]
    if (blur := self._options.blur) is not None:
      blur.require(predictor.takes, self.header.shape, len(names))
    if predictor.copies(len(names)) > 1:
      return
    if wanted and list(wanted) != names and not self._options.is_renamed:
      raise ValueError(
        f"the model is of {', '.join(wanted)} and the input has "
        f"{', '.join(names)}: choose them with --variable, in this order"
      )
    if channels not in (None, len(names)):
      raise ValueError(
        f"the model takes {channels} channels and the input has {len(names)} "
        f"({', '.join(names)}): choose with --variable"
      )

  def __call__(
    self,
    values: np.ndarray,
    is_wanted: Callable[[plans.Tile], bool] | None = None,
    extras: Mapping[str, Any] | None = None,
    index: int = 0,
  ) -> Iterator[tuple[plans.Tile, np.ndarray]]:
    """Yields where the tiles of the result are, and their values [r s c].

    Args:
      values: of one field, [h w c] float32, NaN where missing.
      is_wanted: says of a tile, in the direction of the input, whether to yield
        it; None: all.
      extras: what else the model takes, in the direction of the input; None:
        what the predictor knows itself.
      index: which field of the header it is; its date is that one's.

    A variable that is missing everywhere stays so, and with it all that a
    network makes of several.

    Raises:
      ValueError: a variable is infinite.
    """
    mask = np.isnan(values)
    if extras is None:
      extras = self._extras_of(index)
    extras = self._blur | dict(extras)
    gone = np.all(mask, axis=(0, 1))
    if gone.any():
      values = np.where(gone, self._predictor.blank(len(gone)), values)
      if gone[self._seen].any() and self._predictor.variables:
        mask[..., self._seen] = True
    known = self._filled(values)
    tiles = self._corrected(known, values, mask, is_wanted, extras)
    for place, tile in tiles:
      tile = self._masked(mask, place, self._clipped(tile))
      yield self._turned(*place, tile)

  def _masked(self, mask, place, tile):
    """Returns a tile, NaN where the input is missing."""
    if not mask.any():
      return tile
    rows, columns = place
    missing = masks.restore(
      mask,
      *self._goal.lines,
      self._source.periodic,
      rows=rows,
      columns=columns,
    )
    return np.where(missing, np.float32(np.nan), tile)

  def _filled(self, values):
    names = self._source.names
    if np.isinf(values).any():
      where = tuple(int(i) for i in np.argwhere(np.isinf(values))[0])
      raise ValueError(
        f"{names[where[-1]]} is infinite at row {where[0]}, column {where[1]}: "
        "mark what is missing as NaN or by the fill value"
      )
    if not np.isnan(values).any():
      return values
    return masks.fill(values, self._source.periodic, names).astype(np.float32)

  def _raw(self, known, is_wanted, extras):
    """Yields the tiles of the network's answer, all channels."""
    lowres = known[..., self._seen]
    tiles = self._predictor.tiles(self._plan, lowres, is_wanted, extras)
    for (rows, columns), tile in tiles:
      if not len(self._alpha):
        yield (rows, columns), tile
        continue
      whole = np.empty((*tile.shape[:2], known.shape[-1]), np.float32)
      whole[..., self._seen] = tile
      alpha = self._interpolated(known[..., self._alpha], rows, columns)
      whole[..., self._alpha] = alpha
      yield (rows, columns), whole

  def _interpolated(self, values, rows, columns):
    """Returns a window of values interpolated linearly, as opacity is."""
    along = (
      resize.weights(line.index()[part], n, method="linear", boundary=rule)
      for line, part, n, rule in zip(
        self._goal.lines,
        (rows, columns),
        values.shape[:2],
        resize.boundaries(self._source.periodic, "edge"),
        strict=True,
      )
    )
    y, x = along
    return np.einsum("Yy,yxc,Xx->YXc", y, values, x, optimize=True)

  def _corrected(self, known, values, mask, is_wanted, extras):
    """Yields the tiles, consistent and with the input's mean where asked."""
    options = self._options
    if self._projection is None and not options.keeps_mean:
      yield from self._raw(known, is_wanted, extras)
      return
    residual = self._projection and self._projection.residual()
    mean, places = consistency.Mean(), []
    shape = (1, *self._plan.shape, known.shape[-1])
    size = 4 * math.prod(shape)
    # The first sweep is stored: what is to be added is known after it.
    store = stores.Store(shape, is_scratch=self._is_large(size))
    for (rows, columns), tile in self._raw(known, None, extras):
      store.write(rows.start, columns.start, tile[None])
      places.append((rows, columns))
      if options.keeps_mean:
        mean.add(self._masked(mask, places[-1], tile))
      if residual:
        residual.add(rows, columns, tile)
    z = residual.solve(values) if residual else None
    shift = 0.0
    if options.keeps_mean:
      shift = mean.shift(values) - self._mean_correction(mask, places, z)
    for rows, columns in places:
      if is_wanted is not None and not is_wanted((rows, columns)):
        continue
      window = (s.stop - s.start for s in (rows, columns))
      tile = store.read((rows.start, columns.start), tuple(window))[0]
      added = shift + self._correction(rows, columns, z)
      yield (rows, columns), (tile + added).astype(np.float32)

  def _correction(self, rows, columns, z):
    """Returns what is added on a tile to give the input back, float64."""
    if self._projection is None or z is None:
      return np.zeros(())
    return self._projection.correction(rows, columns, z)

  def _mean_correction(self, mask, places, z):
    """Returns the mean of what is added to give the input back, [c]."""
    if z is None:
      return 0.0
    mean = consistency.Mean()
    for rows, columns in places:
      added = self._correction(rows, columns, z)
      mean.add(self._masked(mask, (rows, columns), added))
    return np.nan_to_num(mean.value())

  def _is_large(self, size) -> bool:
    memory = self._options.memory
    return memory is not None and 4 * size > plans.parse_bytes(memory)

  def _clipped(self, tile):
    for c, is_clipped in zip(self._seen, self._predictor.clips, strict=False):
      if is_clipped:
        tile[..., c] = packing.clip(tile[..., c], self._source.variables[c])
    low, high = self._options.clip
    if low is None and high is None:
      return tile
    return np.clip(tile, low, high)

  def _turned(self, rows, columns, tile):
    """Returns a tile in the direction of the result's axes."""
    parts = []
    for axis, part in enumerate((rows, columns)):
      n = self._plan.shape[axis]
      if self._goal.is_turned[axis]:
        part, tile = slice(n - part.stop, n - part.start), np.flip(tile, axis)
      parts.append(part)
    return tuple(parts), tile

  def field(
    self,
    values: np.ndarray,
    extras: Mapping[str, Any] | None = None,
    index: int = 0,
  ) -> np.ndarray:
    """Returns one finer field, [H W c], held whole; arguments as of a call."""
    whole = np.empty((*self._plan.shape, values.shape[-1]), np.float32)
    for (rows, columns), tile in self(values, extras=extras, index=index):
      whole[rows, columns] = tile
    return whole
