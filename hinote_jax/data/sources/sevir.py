"""SEVIR: storms over the USA, seen by radar and by satellite.

Source: Veillette, Samsi & Mattioli 2020, SEVIR: A Storm Event Imagery Dataset,
NeurIPS; made of NEXRAD and GOES-16 data of NOAA, free to use. Get parts of it
(1 TB in all) by

    aws s3 cp --no-sign-request s3://sevir/CATALOG.csv SEVIR/CATALOG.csv
    aws s3 sync --no-sign-request s3://sevir/data/vil SEVIR/data/vil

Layout, as its tutorial describes it: data/TYPE/YEAR/SEVIR_*.h5, each with `id`
[event] and the image type [event y x frame], 49 frames in 4 hours over
384 km x 384 km; `io.sevir` has types, steps and what stands for missing:

    vis    768 x 768  reflectance [1], in steps of 1e-4
    ir069  192 x 192  brightness temperature at 6.9 um [degC], steps of 1e-2
    ir107  192 x 192  the same at 10.7 um [degC]
    vil    384 x 384  vertically integrated liquid: 0 to 254, as stored, or
                      decoded [kg m-2] by the rule of the tutorial

Split: by event, never within one, in order of time; test="2019-06-01" is the
published date (events from then on are held out). Events may overlap in time:
those of training that do with one held out are left out, see `splits.by_group`.
"""

from collections.abc import Sequence
import functools
import os
import pathlib

import numpy as np

from hinote_jax import fields
from hinote_jax.core import naming
from hinote_jax.data import paths, series
from hinote_jax.data.sources import sevir_catalog
from hinote_jax.io import hdf5, inputs

TYPES = {
  "vil": ("", "vertically integrated liquid, as stored"),
  "vis": ("1", "visible reflectance at 0.64 um"),
  "ir069": ("degC", "brightness temperature at 6.9 um"),
  "ir107": ("degC", "brightness temperature at 10.7 um"),
}
_SUFFIXES = (".h5", ".hdf5")
_MISSING = ("event", "frame")
_CITATION = (
  "SEVIR, Veillette et al. 2020 (NeurIPS), of NEXRAD and GOES-16 data of NOAA, "
  "US public domain"
)
# Files kept open: each may hold an event of 58 MB.
_OPEN = 4


def sevir(
  variables: Sequence[str] | None = None,
  *,
  path: paths.Paths,
  catalog: str | os.PathLike | None = None,
  every: int = 6,
  limit: int | None = None,
  missing: str = "event",
  partial: bool = False,
  decode_vil: bool = False,
) -> series.Source:
  """Returns frames of SEVIR's events, each event a group.

  Args:
    variables: some of `TYPES` on one grid; None is vil.
    path: the folder that the catalogue and the data lie in, or files.
    catalog: None takes CATALOG.csv of that folder. Without one events have no
      dates, and are in the order of the files.
    every: take each so many-th frame; 6 is one in half an hour.
    limit: take so many events, spread evenly over time.
    missing: "event" leaves out events of which the catalogue says that they
      lack values, as the published loader does; "frame" reads those and leaves
      out frames that lack values, all events where there is no catalogue.
    partial: take the events whose files are here, of more in the catalogue.
    decode_vil: give vil in kg m-2.

  Raises:
    FileNotFoundError: no such file.
    ValueError: a file is cut short or lacks a type, the catalogue names absent
      files or other events than the files hold, or the types differ in grid.
  """
  types = inputs.choose(variables or ("vil",), TYPES, "SEVIR")
  naming.look_up("way to leave out", missing, dict.fromkeys(_MISSING))
  for name, number in (("every", every), ("limit", limit)):
    if number is not None and number < 1:
      raise ValueError(f"{name} must be at least 1, got {number}")
  by_name = {p.name: p for p in paths.expand(path, _SUFFIXES)}
  listed = _catalog(path, catalog)
  if listed is None:
    events = _events(by_name, types)
  else:
    events = _present(
      sevir_catalog.read(listed, types), by_name, listed, partial
    )
  if missing == "event":
    events = [event for event in events if event.is_complete is not False]
  if limit is not None and limit < len(events):
    chosen = np.linspace(0, len(events) - 1, limit).round().astype(int)
    events = [events[i] for i in chosen]
  if not events:
    raise ValueError(f"no event of SEVIR with {', '.join(types)} at {path}")
  files = _Files(by_name, types)
  frames = files.check(events)
  where = [(e, f) for e in range(len(events)) for f in range(0, frames, every)]
  if missing == "frame":
    where = files.complete(events, where)
  return _source(events, files, where, decode_vil)


def _source(events, files, where, decode_vil) -> series.Source:
  header = files.header
  frames = header.lead_shape[1]
  times = tuple(events[e].label(f, frames) for e, f in where)
  groups = tuple(events[e].id for e, _ in where)
  used = sorted({p for event in events for p in files.paths_of(event)})
  names = [
    *files.types,
    str(decode_vil),
    *map("@".join, zip(groups, times, strict=True)),
  ]
  variables = tuple(_variable(kind, decode_vil) for kind in files.types)
  return series.Source(
    name="sevir",
    header=fields.Header(variables, header.y, header.x),
    times=times,
    citation=_CITATION,
    fingerprint=paths.fingerprint(used, names),
    reader=lambda i: files.read(events[where[i][0]], where[i][1], decode_vil),
    groups=groups,
    domain="radar",
  )


def decoded_vil(stored: np.ndarray) -> np.ndarray:
  """Returns vertically integrated liquid [kg m-2] of what SEVIR stores.

  The rule of its tutorial: 0 up to 5, (X - 2) / 90.66 up to 18, beyond
  exp((X - 83.9) / 38.9).

  Args:
    stored: [..], 0 to 254, NaN where missing.
  """
  linear = (stored - 2.0) / 90.66
  steep = np.exp((stored - 83.9) / 38.9)
  values = np.where(stored > 18.0, steep, linear)
  return np.where(stored <= 5.0, 0.0, values).astype(stored.dtype)


def _variable(kind, decode_vil) -> fields.Variable:
  units, long_name = TYPES[kind]
  if kind == "vil" and decode_vil:
    units, long_name = "kg m-2", "vertically integrated liquid"
  return fields.Variable(kind, units, {"long_name": long_name})


def _catalog(path, catalog) -> pathlib.Path | None:
  """Returns where the catalogue lies, None where there is none."""
  if catalog is not None:
    listed = pathlib.Path(catalog)
    if not listed.is_file():
      raise FileNotFoundError(f"no catalogue at {catalog}: check the path")
    return listed
  if not isinstance(path, str | os.PathLike):
    return None
  listed = pathlib.Path(path) / sevir_catalog.NAME
  return listed if listed.is_file() else None


def _events(by_name, types) -> list[sevir_catalog.Event]:
  """Returns the events of files that no catalogue lists."""
  places, held = {}, {}
  for name, path in by_name.items():
    header = _opened(path, None).header
    ids = header.leads[0].coordinates.get("id")
    if ids is None:
      raise ValueError(f"{path} does not name its events: give the catalogue")
    held |= dict.fromkeys(header.names)
    for kind in set(types) & set(header.names):
      for index, id_ in enumerate(ids):
        places.setdefault(id_.decode(), {}).setdefault(kind, (name, index))
  for kind in types:
    if kind not in held:
      raise ValueError(
        f"the files of SEVIR have no {kind!r}; {naming.hint(kind, held)}"
      )
  return [
    sevir_catalog.Event(id_, of_event)
    for id_, of_event in places.items()
    if set(of_event) == set(types)
  ]


def _present(events, by_name, listed, partial) -> list[sevir_catalog.Event]:
  """Returns the events whose files are here; refuses absent ones."""
  absent = {}
  for event in events:
    for name, _ in event.places.values():
      if name not in by_name:
        absent.setdefault(name, set()).add(event.id)
  if absent and not partial:
    name, lost = next(iter(absent.items()))
    raise ValueError(
      f"{listed} names {len(absent)} files that are not here, the first "
      f"{name} with {len(lost)} events: fetch them, or say "
      "config.data.partial=True to do without their events"
    )
  gone = set().union(*absent.values())
  return [event for event in events if event.id not in gone]


def _opened(path, kind):
  return hdf5.open(path, kind and [kind], layout="sevir")


class _Files:
  """The files of some image types."""

  def __init__(self, by_name, types):
    self._by_name, self.types = by_name, types
    self._opened = functools.lru_cache(maxsize=_OPEN)(_opened)
    self._header = None

  @property
  def header(self) -> fields.Header:
    """Of the first file; known once events have been checked."""
    assert self._header is not None
    return self._header

  def paths_of(self, event):
    """Returns the files that an event lies in."""
    return [self._by_name[name] for name, _ in event.places.values()]

  def check(self, events) -> int:
    """Checks grids and names of the events; returns how many frames each has.

    Raises:
      ValueError: the types differ in grid, or a file holds another event.
    """
    first, ids = None, {}
    for event in events:
      for kind, (name, index) in event.places.items():
        if (name, kind) not in ids:
          header = self._opened(self._by_name[name], kind).header
          self._header = self._header or header
          first = first or (kind, name)
          self._check_grid(first, (kind, name), header)
          ids[name, kind] = header.leads[0].coordinates.get("id"), header
        self._check_event(event, name, index, *ids[name, kind])
    return self.header.lead_shape[1]

  def _check_grid(self, first, other, header):
    grids = [(*h.shape, h.lead_shape[1]) for h in (self.header, header)]
    if grids[0] != grids[1]:
      (a, in_a), (b, in_b) = first, other
      raise ValueError(
        f"{a} of {in_a} and {b} of {in_b} have different grids, "
        f"{grids[0]} and {grids[1]} cells and frames: take types of one grid"
      )

  def _check_event(self, event, name, index, ids, header):
    count = header.lead_shape[0]
    stored_id = "no event" if not 0 <= index < count else event.id
    if ids is not None and 0 <= index < count:
      stored_id = ids[index].decode()
    if stored_id != event.id:
      raise ValueError(
        f"{self._by_name[name]} holds {stored_id} at index {index} where the "
        f"catalogue has {event.id}: they are of different versions"
      )

  def complete(self, events, where) -> list[tuple[int, int]]:
    """Returns the frames without missing values, of event and frame."""
    complete = [
      (e, f)
      for e, f in where
      if events[e].is_complete
      or np.isfinite(self.read(events[e], f, False)).all()
    ]
    if not complete:
      raise ValueError(f"all {len(where)} frames of SEVIR lack values")
    return complete

  def read(self, event, frame, decode_vil) -> np.ndarray:
    """Returns a frame of an event, [y x c], NaN where values are missing."""
    planes = []
    for kind in self.types:
      name, index = event.places[kind]
      reader = self._opened(self._by_name[name], kind)
      plane = reader.read(index * reader.header.lead_shape[1] + frame)[..., 0]
      is_stored = kind == "vil" and decode_vil
      planes.append(decoded_vil(plane) if is_stored else plane)
    return np.stack(planes, axis=-1)
