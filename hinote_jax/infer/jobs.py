"""From one file to one finer file, in memory of a few tiles.

What is asked is a `Request`; a `Job` is that with the file open and the network
at hand. The work is done in a `PartialResult`, with which a run that was killed
goes on: the file is the same to the last bit.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
import contextlib
import dataclasses
import functools
import hashlib
import pathlib
import tempfile
from typing import Any

import jax
import numpy as np

from hinote_jax import degradations, io, shipped
from hinote_jax._version import __version__
from hinote_jax.core import naming
from hinote_jax.fields import packing
from hinote_jax.infer import (
  blurred,
  consistency,
  fingerprint,
  partial_result,
  predict,
  progress,
  requests,
  tile_store,
  units,
  upscaling,
)
from hinote_jax.io import files, formats, inputs, room
from hinote_jax.train import digests, workdir

Request = requests.Request


class Overflow(ValueError):
  """A value does not fit the type of the result."""


def degradation_of(name: str) -> degradations.Degradation:
  """Returns the degradation that a run was trained on; "area" of others."""
  where = pathlib.Path(shipped.resolved(name))
  known = workdir.read_config(where) if where.is_dir() else {}
  return degradations.parse(known.get("degradation", "area"))


class Job:
  """A request with its file open.

  Attributes:
    request: what is asked.
    header: of the result.
    partial: where it is made.
  """

  def __init__(
    self,
    request: Request,
    predictor: predict.Predictor,
    report: Callable | None = None,
  ):
    """Opens the file and finds the grid of the result.

    Args:
      request: what is asked.
      predictor: that of the request's checkpoint.
      report: of `upscaling.Upscaler`.

    Raises:
      OSError: a file is missing or cannot be read.
      ValueError: it does not hold the fields, or the grid is not within it.
    """
    self.request, self._predictor, self._report = request, predictor, report
    self._reader = self._open()
    source, wanted = self._reader.header, request.grid()
    self._require_room(source, upscaling.shape_of(source, **wanted))
    goal = upscaling.target(source, **wanted)
    # The tiles lie in the direction of the input: they begin at 0.
    self._goal, self._is_turned = goal.unturned(), goal.is_turned
    self.header = _typed(source.on(goal.y, goal.x), request.dtype)
    path = pathlib.Path(request.path)
    self._format = formats.writer_of(path, self.header)
    self.partial = partial_result.PartialResult(
      path,
      self.header,
      is_result=formats.suffix(path) == ".zarr" and not any(self._is_turned),
    )

  def _open(self) -> io.Reader:
    request = self.request
    try:
      return request.open(self._predictor.names or None)
    except ValueError:
      if request.variables or self._predictor.copies(1) == 1:
        raise
      # Grey, for a network of colours.
      reader = request.open()
      if len(upscaling.seen(reader.header)) > 1:
        raise
      return reader

  def _require_room(self, header: io.Header, shape: tuple[int, int]) -> None:
    """Refuses a result that neither memory nor disk can hold."""
    path, whole = (
      pathlib.Path(self.request.path),
      (*shape, len(header.variables)),
    )
    if self.request.options.memory is None:
      room.require_memory("the result", "a field", whole)
    room.require_disk(
      path,
      (header.count, *whole),
      "ask for less by --scale or --shape, or give another folder",
      is_packed=self.request.like is None and path.suffix == ".zarr",
      held_in=path.with_name(f"{path.name}.partial"),
    )

  def require(self) -> None:
    """Raises what can be said before anything is computed.

    Raises:
      FileExistsError: the result is there, and not of this very request.
      ValueError: the network is of other variables, or the options cannot be
        met on this grid.
    """
    options, source = self.request.options, self._reader.header
    if options.consistent is not None:
      consistency.starts(
        *self._goal.lines, source.shape, source.periodic, source.nodes
      )
    rest = dataclasses.replace(options, consistent=None)
    # The plan that it makes is kept, and whom it reports to.
    upscaling.Upscaler(
      self._predictor, source, self._goal, rest, report=self._report
    )
    if self.partial.path.exists() and not self.request.overwrite:
      if not self.partial.is_of(self.manifest()):
        raise FileExistsError(naming.taken(self.partial.path))

  @functools.cached_property
  def _upscaler(self) -> upscaling.Upscaler:
    return upscaling.Upscaler(
      self._predictor,
      self._reader.header,
      self._goal,
      self.request.options,
      devices=_devices(self.request.devices),
      report=self._report,
    )

  def notes(self) -> list[str]:
    """Returns what must be known of the file beside the network."""
    predictor, source = self._predictor, self._reader.header
    variables, options = upscaling.seen(source), self.request.options
    notes = blurred.notes(options, predictor, variables, self._goal.lines)
    notes += options.notes()
    if (copies := predictor.copies(len(variables))) > 1:
      notes.append(
        f"{self.request.source} has one channel, {variables[0].name}: it is "
        f"repeated for the {copies} of the network, whose answers are averaged"
      )
    if self.count and predictor.roughness:
      values = self._reader.read(0)
      unlike = units.unlike(values, variables, predictor.roughness)
      notes += [f"{self.request.source} {unlike}"] * bool(unlike)
    return notes

  @property
  def reader(self) -> io.Reader:
    """The input."""
    return self._reader

  @property
  def left_behind(self) -> tuple[str, ...]:
    """What the file says of its grid that the result does not."""
    return self.header.extra.get("left_behind", ())

  @property
  def count(self) -> int:
    """How many fields there are."""
    return self.header.count

  def manifest(self) -> dict[str, str]:
    """Returns all that the result depends on, as text."""
    request, goal = self.request, self._goal
    source, grid = self._reader.header, hashlib.sha256()
    predictor = self._predictor.of(upscaling.seen(source), request.options.span)
    for axis in (self.header.y, self.header.x):
      grid.update(np.ascontiguousarray(axis.values).data)
    items = {
      "input": files.identity(pathlib.Path(request.source)),
      "variables": ", ".join(source.names),
      "axes": f"{source.y.registration}, {source.x.registration}, "
      f"periodic {source.periodic}",
      "grid": f"{self.header.shape} {goal.lines} {grid.hexdigest()}",
      "network": fingerprint.of(predictor.module),
      "parameters": digests.of_tree(predictor.variables),
      "normalisation": str(predictor.normaliser and vars(predictor.normaliser)),
      "devices": str(request.devices),
      "static": str(request.static),
      "hinote_jax": __version__,
      "jax": jax.__version__,
    }
    for field in dataclasses.fields(request.options):
      items[field.name] = str(getattr(request.options, field.name))
    if self.partial.is_result:
      items["type"] = str(request.dtype)
    return items

  def make(
    self, fields: Iterable[int], bar: progress.Progress | None = None
  ) -> int:
    """Makes those of some fields that are not there.

    Args:
      fields: which.
      bar: told of every tile.

    Returns:
      how many tiles were made.

    Raises:
      GivenUp: nobody waits for them.
      OSError: the input cannot be read or a tile cannot be written.
      OtherTiles: those that are there are of another size.
      Overflow: a value does not fit the type of the result.
      ValueError: a field cannot be upscaled.
    """
    new_tiles = 0
    for i in fields:
      if self.partial.is_done(i):
        continue
      self.partial.require_going()
      for (rows, columns), tile in self._tiles(i):
        with _naming(self._place(i)):
          self._require_fitting(tile)
          is_new = self.partial.put(i, rows, columns, tile)
        new_tiles += is_new
        if bar is not None:
          bar.set_total(self.count * self.partial.tiles)
          bar.step(is_new)
      self.partial.require_done(i)
    return new_tiles

  def _tiles(self, i: int) -> Iterator[Any]:
    make, has, values = self._upscaler, self.partial.has, self._reader.read(i)
    try:
      yield from make(values, lambda tile: not has(i, *tile), index=i)
    except ValueError as error:
      raise ValueError(f"{self._place(i)}: {error}") from error
    except OSError as error:
      raise OSError(
        f"cannot keep scratch values in {tempfile.gettempdir()} "
        f"({inputs.line(error)}): name another folder by TMPDIR"
      ) from error

  def _require_fitting(self, tile: np.ndarray) -> None:
    """Refuses now what the file could not hold in the end."""
    refuses_overflow = getattr(self._format, "REFUSES_OVERFLOW", False)
    if self.partial.is_result or not refuses_overflow:
      return
    for c, variable in enumerate(self.header.variables):
      packing.pack(tile[..., c], variable)

  def _place(self, i: int) -> str:
    """Returns which field is meant, for messages."""
    at = np.unravel_index(i, self.header.lead_shape)
    leads = zip(self.header.leads, at, strict=True)
    parts = [f"{lead.name} {index}" for lead, index in leads]
    return ", ".join([self.request.source, *parts])

  def finish(self, bar: progress.Progress) -> None:
    """Puts the result in its place; all fields are there."""
    bar.describe(f"writing {self.partial.path.name}")
    self.partial.finish(self._save)

  def _save(self, path: pathlib.Path, array: Any) -> None:
    with _naming(self.request.source):
      io.save(path, self.header, tile_store.Rows(array, self._is_turned))

  def probe(self) -> None:
    """Finds out whether the format can hold the fields, before they are made.

    Raises:
      OSError: it cannot be written.
      ValueError: it cannot.
    """
    inputs.require("zarr", "io")
    path = self.partial.folder / f"probe{formats.suffix(self.partial.path)}"
    with contextlib.suppress(_ValuesAskedFor):
      io.save(path, self.header, _NoValues(self.header))
    files.remove(path)


@contextlib.contextmanager
def _naming(place: str) -> Iterator[None]:
  """Says of a value that does not fit where it is and what to do."""
  try:
    yield
  except partial_result.OtherTiles:
    raise
  except ValueError as error:
    raise Overflow(
      f"{place}: {error} (--clip LOW,HIGH or --dtype float32)"
    ) from error


def _devices(count: int) -> Sequence[Any] | None:
  """Returns that many devices, all for 0; None for one."""
  devices = jax.devices()
  if count > len(devices):
    raise ValueError(
      f"--devices {count} were asked for and {len(devices)} are here: "
      f"{devices[0].device_kind}"
    )
  return None if count == 1 else devices[: count or None]


def _typed(header: io.Header, dtype: str | None) -> io.Header:
  """Returns a header of another type, not packed; None keeps it."""
  if dtype is None:
    return header
  variables = tuple(variable.unpacked(dtype) for variable in header.variables)
  return dataclasses.replace(header, variables=variables)


class _ValuesAskedFor(Exception):
  """The first values are asked for: all else is written."""


class _NoValues:
  """Values of a header that are not there yet."""

  def __init__(self, header: io.Header):
    self.shape = (header.count, *header.shape, len(header.variables))

  def __getitem__(self, _):
    raise _ValuesAskedFor
