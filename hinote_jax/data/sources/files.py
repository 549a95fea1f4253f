"""Files of the user's own as a series of fields, and series put together."""

from collections.abc import Callable, Sequence
import dataclasses
import hashlib
import itertools
import pathlib

import numpy as np

from hinote_jax.core import naming
from hinote_jax.data import fields, formats, paths
from hinote_jax.data.sources import pairs

_Open = Callable[[pathlib.Path, Sequence[str] | None], formats.Series]


def files(
  path: paths.Paths,
  variables: Sequence[str] | None = None,
  *,
  lowres: paths.Paths | None = None,
  periodic: tuple[bool, bool] | None = None,
  grouped: bool = False,
  citation: str = "",
  domain: str = "",
) -> fields.Source:
  """Returns the fields of npy, npz, NetCDF or Zarr files, joined along time.

  Fields are in order of their times; where the files have none, in order of
  the names of the files. All other formats of `io` are read too, their fields
  being counted.

  Args:
    path: a file, a glob pattern, or several files.
    variables: which to take, in this order. Of an npy array, [t H W] or
      [t H W c], they name the channels; None names them.
    lowres: files of the same variables at the same times on a coarser grid of
      the same extent; training then pairs the two and degrades nothing.
    periodic: which axes (y, x) wrap around; None finds out for longitude and
      takes the rest as walled.
    grouped: each file is of its own (a run, a subject, an event): the fields of
      one are never divided among training and test.
    citation: whom to thank and under which licence.
    domain: the science, a name of `fields.DOMAINS`.

  Raises:
    FileNotFoundError: no such file.
    ModuleNotFoundError: xarray, or what it needs for this format, is missing.
    ValueError: a file cannot be read or does not hold what is asked for, the
      files are not alike, or two fields have the same time.
  """
  naming.look_up("domain", domain, dict.fromkeys(fields.DOMAINS))
  said = dict(citation=citation, domain=domain)
  if periodic is not None:
    said["periodic"] = tuple(periodic)
  found = paths.expand(path)
  source = dataclasses.replace(join(found, variables, grouped=grouped), **said)
  if lowres is None:
    return source
  names = variables and [v.name for v in source.variables]
  coarse = join(paths.expand(lowres), names, grouped=grouped)
  said["periodic"] = source.periodic
  return pairs.pair(source, dataclasses.replace(coarse, **said))


def join(
  found: Sequence[pathlib.Path],
  variables: Sequence[str] | None,
  open_series: _Open = formats.open_series,
  *,
  grouped: bool = False,
) -> fields.Source:
  """Returns the fields of files that are alike, joined along time.

  Args:
    found: the files.
    variables: which to take, in this order; None takes all.
    open_series: opens one of them.
    grouped: each file is a group.

  Raises:
    ValueError: the files are not alike, or two fields have the same time.
  """
  series = [open_series(p, variables) for p in found]
  first = series[0]
  for p, other in zip(found, series, strict=True):
    _check_alike(p, other, found[0], first)
  times, where = _in_order(found, series)
  names = [v.name for v in first.variables]
  owners = paths.labels(found) if grouped else ()
  return fields.Source(
    name=paths.title(found),
    variables=first.variables,
    times=times,
    y=first.y,
    x=first.x,
    periodic=(fields.is_cyclic(first.y), fields.is_cyclic(first.x)),
    citation="",
    # The times are read from the files, but which and in what order is ours.
    fingerprint=paths.fingerprint(found, [*names, *times]),
    reader=lambda i: series[where[i][0]].read(where[i][1]),
    groups=tuple(owners[k] for k, _ in where) if grouped else (),
  )


def stack(sources: Sequence[fields.Source]) -> fields.Source:
  """Returns the variables of several series at the same times as one series.

  Raises:
    ValueError: their grids or times differ.
  """
  first, *others = sources
  for other in others:
    one, two = (s.variables[0].name for s in (first, other))
    if first.times != other.times:
      raise ValueError(
        f"{one} has {_extent(first.times)} and {two} {_extent(other.times)}: "
        "give files of both for the same times"
      )
    if (
      first.field_shape[:2] != other.field_shape[:2]
      or first.y.differs_at(other.y) is not None
      or first.x.differs_at(other.x) is not None
    ):
      raise ValueError(
        f"{one} on {first.field_shape[:2]} cells and {two} on "
        f"{other.field_shape[:2]} do not lie on one grid: regrid one of them"
      )
  digests = "".join(s.fingerprint for s in sources)
  return dataclasses.replace(
    first,
    variables=tuple(v for s in sources for v in s.variables),
    fingerprint=hashlib.sha256(digests.encode()).hexdigest(),
    reader=lambda i: np.concatenate([s.reader(i) for s in sources], axis=-1),
  )


def select(source: fields.Source, indices: Sequence[int]) -> fields.Source:
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


def _check_alike(path, series, first_path, first) -> None:
  """Checks that two files have the same variables on the same grid."""
  for here, there in _differences(series, first):
    raise ValueError(
      f"{path} has {here} and {first_path} has {there}: files of one series "
      "must agree in grid, units and variables"
    )


def _differences(series, first):
  """Yields what one file has and what another has in its place."""
  names, first_names = ([v.name for v in s.variables] for s in (series, first))
  if series.grid != first.grid or names != first_names:
    yield str(series), str(first)
    return
  axes = ((series.y, first.y), (series.x, first.x))
  for a, b in (*axes, *zip(series.variables, first.variables, strict=True)):
    if a.units != b.units:
      yield f"{a.name} in {a.units!r}", f"{b.name} in {b.units!r}"
  for a, b in axes:
    if (i := a.differs_at(b)) is not None:
      yield f"{a.name} {a.values[i]} at index {i}", f"{b.name} {b.values[i]}"


def _in_order(found, series) -> tuple[tuple[str, ...], list[tuple[int, int]]]:
  """Returns the times, and the file and place of the field at each of them."""
  where = [(k, i) for k, s in enumerate(series) for i in range(s.count)]
  dated = [p for p, s in zip(found, series, strict=True) if s.times is not None]
  if not dated:
    return tuple(str(i) for i in range(len(where))), where
  if len(dated) < len(found):
    bare = next(p for p in found if p not in dated)
    raise ValueError(
      f"{bare} has no times and {dated[0]} has: give all or none"
    )
  try:
    times = np.concatenate([s.times for s in series])
    order = np.argsort(times, kind="stable")
  except TypeError as error:
    raise ValueError(
      f"the times of {found[0]} to {found[-1]} are of several kinds and have "
      "no order: give files of one calendar"
    ) from error
  for i, j in itertools.pairwise(order):
    if times[i] == times[j]:
      raise ValueError(
        f"{found[where[i][0]]} and {found[where[j][0]]} both have a field at "
        f"{_label(times[i])}: fields of training would be tested on, so give "
        "each time once"
      )
  return tuple(_label(times[i]) for i in order), [where[i] for i in order]


def _label(time) -> str:
  if not isinstance(time, np.datetime64):
    return str(time)
  is_whole = time == time.astype("datetime64[s]")
  return str(np.datetime_as_string(time, unit="s" if is_whole else "ns"))
