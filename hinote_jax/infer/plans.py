"""A network made ready for one shape of field and one set of query points."""

from collections.abc import Callable, Iterator, Mapping, Sequence
import math
from typing import Any

from flax import linen as nn
import jax
import numpy as np

from hinote_jax import lazy
from hinote_jax.core import compiling, grids, symmetries
from hinote_jax.core.typing import Periodic
from hinote_jax.infer import cropped
from hinote_jax.lazy import devices, tiles

# What a process holds on a CPU before its first tile: the interpreter, JAX and
# compiled programs.
RESERVED = 400_000_000
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}

# Results of at most so many points are computed at once, where they fit: one
# program is made sooner than one a pass.
_AT_ONCE = 256 * 256

Tile = tuple[slice, slice]


def parse_bytes(text: str | float | int) -> int:
  """Returns a number of bytes: 2e9, "2GB", "512 MB", "1.5G".

  Raises:
    ValueError: it is none.
  """
  if not isinstance(text, str):
    return int(text)
  number = text.strip().upper().removesuffix("B").removesuffix("I").strip()
  unit = number[-1:] if number[-1:] in _UNITS else ""
  try:
    return int(float(number.removesuffix(unit)) * _UNITS[unit])
  except ValueError as error:
    raise ValueError(
      f"memory is a number of bytes such as 2GB or 512MB, got {text!r}"
    ) from error


def _left(memory: str | float | int, held: int) -> int:
  """Returns what is left for tiles of the memory of the process."""
  total = parse_bytes(memory)
  left = total - held
  if jax.default_backend() == "cpu":
    left -= RESERVED
  if left < 1 << 24:
    least = total - left + (1 << 26)
    raise ValueError(
      f"memory of {total / 1e6:.0f} MB leaves nothing for tiles: the input and "
      f"what the process holds before take {(total - left) / 1e6:.0f} MB; "
      f"give {least / 1e6:.0f} MB or more"
    )
  return left


Extras = Mapping[str, Any]


def require_scale(
  lines: tuple[grids.Line, grids.Line], own: float, scales: Sequence[int]
) -> None:
  """Refuses points that a published network of one scale does not answer at.

  Args:
    lines: query points along y and x.
    own: scale of the network.
    scales: those there are files of.

  Raises:
    ValueError: the points are of another scale.
  """
  asked = [1.0 / line.step for line in lines]
  if any(abs(scale / own - 1.0) > 1e-6 for scale in asked):
    raise ValueError(
      f"the network enlarges {own} times, not {asked[0]:.3g} and "
      f"{asked[1]:.3g} along y and x: ask for {own}, take its file for one "
      f"of {', '.join(map(str, scales))}, or train one of any scale, "
      "configs/baselines.py:model=liif,encoder=hat"
    )


class _View:
  """One of the ensemble's views of a field, and what is asked of it."""

  def __init__(self, transform, shape, lines, periodic):
    self.transform = transform
    self.shape = transform.shape(shape)
    self.lines = transform.lines(*lines, shape)
    self.periodic = transform.periodic(periodic)

  @property
  def key(self):
    """What views must share to share what is compiled."""
    counts = tuple(line.count for line in self.lines)
    return self.shape, counts, self.periodic

  def extras(self, extras: Extras) -> Extras:
    """Returns what goes with the turned field, with an axis for a batch."""

    def turned(leaf):
      leaf = np.asarray(leaf)
      if leaf.ndim == 2:  # the kernel of a blur
        leaf = self.transform.apply(leaf[..., None])[..., 0]
      elif leaf.ndim > 2:
        leaf = self.transform.apply(leaf)
      return np.ascontiguousarray(leaf)[None]

    return jax.tree.map(turned, dict(extras))


def _layout(extras: Extras) -> Iterator[Any]:
  """Yields the name, the shape and the type of each of the extras."""
  for path, leaf in jax.tree.leaves_with_path(dict(extras)):
    yield jax.tree_util.keystr(path), leaf.shape, str(leaf.dtype)


class _Whole:
  """A result that is there."""

  def __init__(self, values: np.ndarray):
    self._values = values

  def tiles(self) -> list[Tile]:
    """Returns the one tile there is."""
    return [grids.pair(slice(0, n) for n in self._values.shape[:2])]

  def __call__(
    self, tiles: Sequence[Tile]
  ) -> Iterator[tuple[Tile, np.ndarray]]:
    """Yields it, if it is among the tiles."""
    for tile in tiles:
      yield tile, self._values

  def read(self, rows: slice, columns: slice) -> np.ndarray:
    """Returns a window of it, [r s c]."""
    return self._values[rows, columns]


class _Streamed:
  """A result that is computed where it is read."""

  def __init__(self, answer: tiles.Answer):
    self._answer = answer

  def tiles(self) -> list[Tile]:
    """Returns the tiles, row by row."""
    return [(slice(*y[1:]), slice(*x[1:])) for y, x in self._answer.tiles]

  def __call__(
    self, wanted: Sequence[Tile]
  ) -> Iterator[tuple[Tile, np.ndarray]]:
    """Yields some of the tiles; the others are not computed."""
    starts = {(rows.start, columns.start) for rows, columns in wanted}
    spans = [
      (y, x) for y, x in self._answer.tiles if (y.first, x.first) in starts
    ]
    for (y, x), values in self._answer(spans):
      yield (slice(*y[1:]), slice(*x[1:])), values[0]

  def read(self, rows: slice, columns: slice) -> np.ndarray:
    """Returns a window, [r s c]."""
    return self._answer.read(rows, columns)[0]


class Plan:
  """A network ready for fields of one shape; compiled once for all of them.

  Attributes:
    shape: (H, W) of the result.
  """

  def __init__(
    self,
    module: nn.Module,
    variables: Mapping[str, Any],
    shape: tuple[int, int],
    lines: tuple[grids.Line, grids.Line],
    *,
    periodic: Periodic = (False, False),
    memory: str | float | int | None = None,
    devices: Sequence[Any] | None = None,
    is_ensemble: bool = False,
    side: int | None = None,
    report: Callable | None = None,
  ):
    """Makes a network ready.

    Args:
      module: a model of `hinote_jax.models`.
      variables: its own.
      shape: (h, w) of the fields.
      lines: query points along y and x.
      periodic: which axes (y, x) of the fields close on themselves.
      memory: of the process, in bytes or as "2GB": the result is computed tile
        by tile within it. None computes it whole.
      devices: to divide every field among; None or one takes the first.
      is_ensemble: average over the eight flips and transpositions.
      side: longest side of a tile; None chooses.
      report: called as report(what, done, total) after every tile.

    Raises:
      ValueError: the memory is too small.
    """
    self.shape = grids.pair(line.count for line in lines)
    views = symmetries.EIGHT if is_ensemble else symmetries.EIGHT[:1]
    self._views = [_View(view, shape, lines, periodic) for view in views]
    self._module, self._variables = module, variables
    self._report, self._side, self._cache = report, side, {}
    self._devices = devices if devices and len(devices) > 1 else None
    self._memory = None
    if memory is not None:
      held = 8 * math.prod(shape) * (getattr(module, "channels", None) or 1)
      self._memory = _left(memory, held) // len(views)

  def __call__(
    self,
    lowres: np.ndarray,
    is_wanted: Callable[[Tile], bool] | None = None,
    extras: Extras | None = None,
  ) -> Iterator[tuple[Tile, np.ndarray]]:
    """Yields where the tiles of the result are, and their values [r s c].

    Args:
      lowres: normalised field, [h w c].
      is_wanted: says of a tile whether to compute it; None: all.
      extras: of the model's call, without the axis b.
    """
    extras = extras or {}
    answers = [self._answer(view, lowres, extras) for view in self._views]
    first = answers[0]
    tiles = [t for t in first.tiles() if is_wanted is None or is_wanted(t)]
    if len(answers) == 1:
      yield from first(tiles)
      return
    for tile in tiles:
      total = 0.0
      for view, answer in zip(self._views, answers, strict=True):
        rows, columns = view.transform.window(*tile, self.shape)
        total = total + view.transform.undo(answer.read(rows, columns))
      yield tile, np.asarray(total / len(answers), np.float32)

  def _answer(
    self, view, lowres, extras
  ) -> _Whole | _Streamed | cropped.Answer:
    lowres = np.ascontiguousarray(view.transform.apply(lowres))[None]
    extras = view.extras(extras)
    module = self._module.clone(periodic=view.periodic)
    if hasattr(module, "crops"):
      run = self._once(view.key, lambda: cropped.Cropped(module, self._memory))
      return run(self._variables, lowres, self._report)
    if chosen := self._devices:
      run = self._once(
        (view.key, view.lines),
        lambda: devices.Sharded(
          module, self._variables, view.lines, devices=chosen
        ),
      )
      return _Whole(run(lowres, extras)[0])
    queries = lazy.Queries.of_lines(view.lines, view.shape)
    key = view.key, *_layout(extras)
    arguments = self._variables, lowres, queries.coords, queries.cell()
    if self._memory is None:
      apply = self._once(key, lambda: compiling.jit(module.apply))
      return _Whole(np.asarray(apply(*arguments, **extras))[0])
    if math.prod(self.shape) <= _AT_ONCE and self._side is None:
      apply = self._once(
        key,
        lambda: (
          compiling.jit(module.apply).lower(*arguments, **extras).compile()
        ),
      )
      if tiles.memory_of(apply) <= self._memory:
        return _Whole(np.asarray(apply(*arguments, **extras))[0])
    # What lies on no grid is a number of the graph, not read by windows.
    loose = [leaf.tobytes() for leaf in lazy.loose(extras)]
    network, run = self._once(
      (*key, view.lines, *loose),
      lambda: self._tiled(module, lowres.shape, view.lines, extras),
    )
    return _Streamed(run(network.given(lowres, extras)))

  def _tiled(self, module, shape, lines, extras):
    assert self._memory is not None
    network = lazy.graph(module, self._variables, shape, lines, extras)
    run = tiles.Tiles(network.last, self._memory, self._report, side=self._side)
    return network, run

  def _once(self, key, make):
    """Returns what is made for a key, the first time it is asked for."""
    if key not in self._cache:
      self._cache[key] = make()
    return self._cache[key]
