"""Files of the user's own, in any format that `io` reads, and series joined."""

from collections.abc import Callable, Sequence
import dataclasses
import hashlib
import itertools
import pathlib

import numpy as np

from hinote_jax import fields, io
from hinote_jax.core import naming
from hinote_jax.data import paths, series
from hinote_jax.data.sources import pairs
from hinote_jax.data.sources import places as by_place

_Open = Callable[[pathlib.Path, Sequence[str] | None], fields.Reader]


def files(
  path: paths.Paths,
  variables: Sequence[str] | None = None,
  *,
  lowres: paths.Paths | None = None,
  periodic: tuple[bool, bool] | None = None,
  grouped: bool = False,
  places: Sequence[str] = (),
  citation: str = "",
  domain: str = "",
) -> series.Source:
  """Returns the fields of files, joined along time, as `io.series` reads them.

  Fields are in order of their times; where the files have none, or each is of
  its own, in order of the names of the files.

  Args:
    path: a file, a glob pattern, or several files.
    variables: which to take, in this order; see `io.open`.
    lowres: files of the same variables at the same times on a coarser grid of
      the same extent; training then pairs the two and degrades nothing.
    periodic: which axes (y, x) wrap around; None finds out for longitude and
      takes the rest as walled.
    grouped: each file is of its own (a run, a subject, an event): the fields of
      one are never divided among training and test.
    places: ranges of x that the fields are divided by, in place of time: those
      of training, of validation and of test; see `places.divide`.
    citation: whom to thank and under which licence.
    domain: the science, a name of `series.DOMAINS`.

  Raises:
    FileNotFoundError: no such file.
    ModuleNotFoundError: xarray, or what it needs for this format, is missing.
    ValueError: a file cannot be read or does not hold what is asked for, the
      files are not alike, or two fields, of one file where these are grouped,
      have the same time.
  """
  naming.look_up("domain", domain, dict.fromkeys(series.DOMAINS))
  if grouped and places:
    raise ValueError(
      "files are divided by config.data.places or file by file, "
      "config.data.grouped: give one of them"
    )

  def joined(path: paths.Paths) -> series.Source:
    source = join(paths.expand(path), variables, grouped=grouped)
    source = by_place.divide(source, places) if places else source
    return dataclasses.replace(source, citation=citation, domain=domain)

  source = joined(path)
  if periodic is not None:
    source = source.wrapped(periodic)
  if lowres is None:
    return source
  return pairs.pair(source, joined(lowres).wrapped(source.periodic))


def join(
  file_paths: Sequence[pathlib.Path],
  variables: Sequence[str] | None,
  open_series: _Open = io.series,
  *,
  grouped: bool = False,
) -> series.Source:
  """Returns the fields of files that are alike, joined along time.

  Args:
    file_paths: the files.
    variables: which to take, in this order; None takes all.
    open_series: opens one of them.
    grouped: each file is a group.

  Raises:
    ValueError: the files are not alike, or two fields have the same time.
  """
  readers = [open_series(p, variables) for p in file_paths]
  first = readers[0].header
  for p, reader in zip(file_paths, readers, strict=True):
    _check_alike(p, reader.header, file_paths[0], first)
  times, where = _in_order(file_paths, readers, grouped)
  owners = paths.labels(file_paths) if grouped else ()
  return series.Source(
    name=paths.title(file_paths),
    header=fields.Header(first.variables, first.y, first.x),
    times=times,
    # The times are read from the files, but which and in what order is ours.
    fingerprint=paths.fingerprint(file_paths, [*first.names, *times]),
    reader=lambda i: readers[where[i][0]].read(where[i][1]),
    groups=tuple(owners[k] for k, _ in where) if grouped else (),
  )


def stack(sources: Sequence[series.Source]) -> series.Source:
  """Returns the variables of several series at the same times as one series.

  Raises:
    ValueError: their grids or times differ.
  """
  first, *others = sources
  for other in others:
    one, two = (s.names[0] for s in (first, other))
    if first.times != other.times:
      raise ValueError(
        f"{one} has {_extent(first.times)} and {two} {_extent(other.times)}: "
        "give files of both for the same times"
      )
    if (
      first.shape != other.shape
      or first.y.differs_at(other.y) is not None
      or first.x.differs_at(other.x) is not None
    ):
      raise ValueError(
        f"{one} on {first.shape} cells and {two} on {other.shape} do not lie "
        "on one grid: regrid one of them"
      )
  digests = "".join(s.fingerprint for s in sources)
  return dataclasses.replace(
    first,
    header=dataclasses.replace(
      first.header, variables=tuple(v for s in sources for v in s.variables)
    ),
    fingerprint=hashlib.sha256(digests.encode()).hexdigest(),
    reader=lambda i: np.concatenate([s.reader(i) for s in sources], axis=-1),
  )


def select(source: series.Source, indices: Sequence[int]) -> series.Source:
  """Returns some of the fields of a series.

  Raises:
    ValueError: there are none.
  """
  indices = list(indices)
  if not indices:
    raise ValueError(
      f"{source.name}: none of its {len(source.times)} fields, "
      f"{_extent(source.times)}, is asked for"
    )
  text = source.fingerprint + repr(indices)
  return dataclasses.replace(
    source,
    times=tuple(source.times[i] for i in indices),
    groups=tuple(source.groups[i] for i in indices) if source.groups else (),
    fingerprint=hashlib.sha256(text.encode()).hexdigest(),
    reader=lambda i: source.reader(indices[i]),
  )


def _extent(times) -> str:
  return f"{len(times)} times ({times[0]} to {times[-1]})"


def _check_alike(path, header, first_path, first) -> None:
  """Checks that two files have the same variables on the same grid."""
  for text, first_text in _differences(header, first):
    raise ValueError(
      f"{path} has {text} and {first_path} has {first_text}: files of one "
      "series must agree in grid, units and variables"
    )


def _differences(header, first):
  """Yields what one file has and what another has in its place."""
  if header.shape != first.shape or header.names != first.names:
    yield tuple(
      f"{h.shape[0]} x {h.shape[1]} cells of {', '.join(h.names)}"
      for h in (header, first)
    )
    return
  axes = ((header.y, first.y), (header.x, first.x))
  for a, b in (*axes, *zip(header.variables, first.variables, strict=True)):
    if a.units != b.units:
      yield f"{a.name} in {a.units!r}", f"{b.name} in {b.units!r}"
  for a, b in axes:
    if (i := a.differs_at(b)) is not None:
      yield f"{a.name} {a.values[i]} at index {i}", f"{b.name} {b.values[i]}"


def _in_order(
  file_paths, readers, grouped: bool
) -> tuple[tuple[str, ...], list[tuple[int, int]]]:
  """Returns the times, and the file and place of the field at each of them.

  Runs of one clock have the same times, and are never divided.
  """
  where = [(k, i) for k, r in enumerate(readers) for i in range(len(r))]
  dated = [
    p for p, r in zip(file_paths, readers, strict=True) if r.times is not None
  ]
  if not dated:
    return tuple(str(i) for i in range(len(where))), where
  if len(dated) < len(file_paths):
    bare = next(p for p in file_paths if p not in dated)
    raise ValueError(
      f"{bare} has no times and {dated[0]} has: give all or none"
    )
  try:
    times = np.concatenate([r.times for r in readers])
    order = np.argsort(times, kind="stable")
    if grouped:
      order = sorted(order, key=lambda k: where[k][0])
  except TypeError as error:
    raise ValueError(
      f"the times of {file_paths[0]} to {file_paths[-1]} are of several kinds "
      "and have no order: give files of one calendar"
    ) from error
  for i, j in itertools.pairwise(order):
    is_apart = grouped and where[i][0] != where[j][0]
    if times[i] == times[j] and not is_apart:
      raise ValueError(
        f"{file_paths[where[i][0]]} and {file_paths[where[j][0]]} both have a "
        f"field at {_label(times[i])}: fields of training would be tested on, "
        "so give each time once"
      )
  return tuple(_label(times[i]) for i in order), [where[i] for i in order]


def _label(time) -> str:
  if not isinstance(time, np.datetime64):
    return time.isoformat() if hasattr(time, "isoformat") else str(time)
  is_whole = time == time.astype("datetime64[s]")
  return str(np.datetime_as_string(time, unit="s" if is_whole else "ns"))
