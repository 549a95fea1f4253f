"""Static fields: what is known of a place before anything is measured there.

    config.data.static = ("earth:orography", "earth:land", "latitude",
                          "climatology", "dem.nc:z")

earth:orography  height of the surface [m], ETOPO5, 5 minutes of arc
earth:land       share of land, GLOBE
earth:roughness  spread of the height within a cell [m]
latitude         its sine
longitude        sine and cosine
FILE:VARIABLE    of any file that `io` reads, on any projection that is named
sun              cosine of the solar zenith angle at the date of a field
season           sine and cosine of its time of the year
climatology      mean and log spread of the training part, by variable;
                 climatology:hour and climatology:month: of that hour or month
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import hashlib
import logging
import math
import pathlib
from typing import Any

import numpy as np

from hinote_jax import io
from hinote_jax.core import naming
from hinote_jax.data import calendar, rasters, reprojection
from hinote_jax.fields import axes

_EARTH = pathlib.Path(__file__).with_name("earth_5min.npz")
# What a field belongs to the climatology of, by its date; None: all to one.
CLIMATOLOGIES: dict[str, Callable[[np.datetime64], int] | None] = {
  "climatology": None,
  "climatology:hour": calendar.hour,
  "climatology:month": calendar.month,
}
# Functions of (date, y, x), within [-1, 1] and not normalised.
TIMED = {"sun": calendar.sun, "season": calendar.season}
COMPUTED = {
  "earth:orography": ("m",),
  "earth:land": ("1",),
  "earth:roughness": ("m",),
  "latitude": ("1",),
  "longitude": ("1", "1"),
  "sun": ("1",),
  "season": ("1", "1"),
}


@functools.cache
def _earth(name: str) -> rasters.Raster:
  with np.load(_EARTH) as file:
    y, x = (
      axes.Axis.of(axis, file[axis], units)
      for axis, units in (
        ("latitude", "degrees_north"),
        ("longitude", "degrees_east"),
      )
    )
    height = file["orography"].astype(np.float32)[..., None]
    known = {
      "orography": lambda: height,
      "land": lambda: file["land"].astype(np.float32)[..., None] / 100.0,
      "roughness": lambda: np.concatenate([height, height**2], axis=-1),
    }
    return rasters.Raster(f"earth:{name}", known[name](), y, x)


def _degrees(name: str, y: axes.Axis, x: axes.Axis) -> np.ndarray:
  """Returns functions of latitude or longitude at cell centres, [H W k]."""
  places = reprojection.degrees(name, y, x)
  angle = np.deg2rad(places[name == "longitude"])[..., None]
  values = np.sin(angle)
  if name == "longitude":
    values = np.concatenate([values, np.cos(angle)], axis=-1)
  shape = len(y), len(x), values.shape[-1]
  return np.broadcast_to(values, shape).astype(np.float32)


def _of_file(source: str) -> tuple[rasters.Raster, str, str]:
  """Returns the raster of FILE:VARIABLE, its units and a digest."""
  path, _, variable = source.rpartition(":")
  reader = io.open(path, [variable])
  if len(reader) != 1:
    raise ValueError(
      f"static field {source}: it has {len(reader)} fields and a static one "
      "has one; select it first"
    )
  values, share = rasters.filled(source, reader.read(0))
  if share:
    logging.getLogger(__name__).warning(
      "static field %s: %.2g %% is missing and takes the nearest values",
      source,
      100 * share,
    )
  header, digest = reader.header, hashlib.sha256(values.tobytes())
  for axis in (header.y, header.x):
    digest.update(axis.values.tobytes())
  raster = rasters.Raster(source, values, header.y, header.x)
  return raster, header.variables[0].units, digest.hexdigest()


@dataclasses.dataclass(frozen=True, eq=False)
class Static:
  """Named static fields on any grid.

  Attributes:
    sources: as of the config, in order: what is fixed, what changes with the
      date, a climatology.
    units: of every channel.
    mean: of every channel over the data set, [s].
    std: the same, above 0.
    digests: of what files hold, by source.
    climatology: of the training part on its grid, by hour or month, or by 0
      where it is one; empty: none is asked for.
    months: that a climatology of all fields together is of, 1 to 12; empty
      where they have no dates, or there is none such.
  """

  sources: tuple[str, ...]
  units: tuple[str, ...]
  mean: np.ndarray
  std: np.ndarray
  digests: Mapping[str, str]
  climatology: Mapping[int, rasters.Raster] = dataclasses.field(
    default_factory=dict
  )
  months: tuple[int, ...] = ()

  @property
  def timed(self) -> str:
    """The first source that takes the date of a field; "" for none."""
    return takes_date(self.sources)

  def normalised(self, values: np.ndarray, channels: slice) -> np.ndarray:
    """Returns some channels [.. k] as the network takes them, float32."""
    known = self.mean[channels], self.std[channels]
    return ((values - known[0]) / known[1]).astype(np.float32)

  def on(self, y: axes.Axis, x: axes.Axis) -> "OnGrid":
    """Returns all channels on a grid, a function of the date of a field.

    Raises:
      ValueError: a source does not cover it.
    """
    return OnGrid(self, y, x)

  def to_meta(self) -> dict[str, Any]:
    """Returns what a checkpoint keeps of them, but for the climatology."""
    meta = {
      "sources": list(self.sources),
      "units": list(self.units),
      "mean": self.mean.tolist(),
      "std": self.std.tolist(),
      "digests": dict(self.digests),
    }
    return meta | ({"months": list(self.months)} if self.months else {})


class OnGrid:
  """Static fields on one grid."""

  def __init__(self, known: Static, y: axes.Axis, x: axes.Axis):
    self._known, self._y, self._x = known, y, x
    fixed = [raw(source, y, x) for source in known.sources if is_fixed(source)]
    values = np.concatenate([np.zeros((len(y), len(x), 0)), *fixed], axis=-1)
    self._fixed = known.normalised(values, slice(values.shape[-1]))
    # Fields follow each other that have one date, or none.
    self._at = functools.lru_cache(maxsize=1)(self._made)

  def __call__(self, when: Any = None) -> np.ndarray:
    """Returns all channels, normalised, [H W s] float32.

    Args:
      when: date of the field, np.datetime64; None: it has none.

    Raises:
      ValueError: it needs one, or there is no climatology of its like.
    """
    if self._known.timed and when is None:
      raise ValueError(
        f"the run was told of {self._known.timed}, which takes the date of a "
        "field, and this one has none that a year has: give a file with times"
      )
    return self._at(when)

  def _made(self, when: Any) -> np.ndarray:
    parts = [self._fixed]
    for source in self._known.sources:
      if source in TIMED:
        parts.append(TIMED[source](when, self._y, self._x))
      elif source in CLIMATOLOGIES:
        parts.append(self._climatology(source, when))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)

  def _climatology(self, source: str, when: Any) -> np.ndarray:
    known, of_date = self._known, CLIMATOLOGIES[source]
    key = 0 if of_date is None else of_date(when)
    if key not in known.climatology:
      kind, keys = source.partition(":")[2], sorted(known.climatology)
      raise ValueError(
        f"there is no climatology of {kind} {key}, which {when} is of: the run "
        f"was trained on {', '.join(map(str, keys))}"
      )
    values = known.climatology[key].on(self._y, self._x)
    return known.normalised(values, slice(-values.shape[-1], None))


def takes_date(sources: Sequence[str]) -> str:
  """Returns the first source that takes the date of a field; "" for none."""
  takes = (s for s in sources if s in TIMED or CLIMATOLOGIES.get(s))
  return next(takes, "")


def count(sources: Sequence[str], variables: int) -> int:
  """Returns how many channels sources have beside so many variables.

  Examples:
    >>> count(("longitude", "dem.nc:z", "climatology"), variables=3)
    9
  """
  return sum(
    2 * variables if s in CLIMATOLOGIES else len(COMPUTED.get(s, ("1",)))
    for s in sources
  )


def is_fixed(source: str) -> bool:
  """Says whether a source is the same for all fields."""
  return source not in TIMED and source not in CLIMATOLOGIES


def _is_of_file(source: str) -> bool:
  return source not in COMPUTED and source not in CLIMATOLOGIES


def _order(source: str) -> int:
  return 0 if is_fixed(source) else 1 if source in TIMED else 2


_files = functools.cache(_of_file)


def raw(source: str, y: axes.Axis, x: axes.Axis) -> np.ndarray:
  """Returns one source on a grid, in its units, [H W k] float32.

  Raises:
    ValueError: it is unknown, does not cover the grid, or lies on other
      coordinates.
    OSError: its file is missing.
  """
  if source in ("latitude", "longitude"):
    return _degrees(source, y, x)
  if source.startswith("earth:"):
    naming.look_up("static field", source, COMPUTED)
    values = _earth(source.removeprefix("earth:")).on(y, x)
    if source != "earth:roughness":
      return values
    variance = values[..., 1:].astype(np.float64) - values[..., :1] ** 2
    return np.sqrt(np.maximum(variance, 0.0)).astype(np.float32)
  if ":" in source:
    return _files(source)[0].on(y, x)
  known = (*COMPUTED, *CLIMATOLOGIES, "FILE:VARIABLE")
  raise ValueError(
    f"unknown static field {source!r}; {naming.hint(source, known)}"
  )


def fit(
  sources: Sequence[str],
  y: axes.Axis,
  x: axes.Axis,
  climatology: Mapping[int, np.ndarray] | None = None,
) -> tuple[Static, np.ndarray]:
  """Returns static fields normalised over a grid, and the fixed ones on it.

  Args:
    sources: names.
    y: rows of the data set.
    x: its columns.
    climatology: of its training part, [H W 2*c], where it is asked for; by
      hour or month, or by 0.

  Raises:
    ValueError: a source is unknown, constant, or does not cover the grid.
  """
  ordered = sorted(sources, key=_order)  # stable
  parts = {s: raw(s, y, x) for s in ordered if is_fixed(s)}
  units, digests = [], {}
  for source, values in parts.items():
    known = COMPUTED.get(source)
    if known is None:
      _, unit, digests[source] = _files(source)
      known = (unit,)
    units += known
    if not np.ptp(values, axis=(0, 1)).max() > 0:
      raise ValueError(
        f"static field {source} is {values.flat[0]:g} everywhere on this grid: "
        "leave it out"
      )
  shape = (len(y), len(x), 0)
  fixed = np.concatenate([np.zeros(shape), *parts.values()], axis=-1)
  timed = [unit for s in ordered if s in TIMED for unit in COMPUTED[s]]
  usual = climatology or {}
  mean, std = (
    np.concatenate([of_fixed, np.full(len(timed), is_std), of_usual])
    for of_fixed, is_std, of_usual in zip(
      _moments([fixed]), (0.0, 1.0), _moments(list(usual.values())), strict=True
    )
  )
  units += timed + ["1"] * (len(mean) - len(units) - len(timed))
  climatologies = {
    k: rasters.Raster("climatology", v, y, x) for k, v in usual.items()
  }
  known = Static(
    tuple(ordered), tuple(units), mean, std, digests, climatologies
  )
  return known, fixed


def _moments(grids: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
  """Returns mean and deviation by channel over grids [H W k], [k] each."""
  if not grids:
    return np.zeros(0), np.zeros(0)
  # There may be no channels: -1 would not say how many cells there are.
  rows = [g.reshape(math.prod(g.shape[:-1]), g.shape[-1]) for g in grids]
  flat = np.concatenate(rows).astype(np.float64)
  return flat.mean(0), np.maximum(flat.std(0), 1e-6)


def load(
  meta: Mapping[str, Any],
  climatology: Mapping[int, rasters.Raster] | None = None,
  files: Sequence[str] = (),
) -> Static:
  """Returns the static fields of a checkpoint.

  Args:
    meta: of `Static.to_meta`.
    climatology: that was stored with it, by hour or month, or by 0.
    files: FILE:VARIABLE that take the places of those it was trained with, by
      variable.

  Raises:
    ValueError: one lacks, has other units, or another digest.
  """
  sources, given = [], {s.rpartition(":")[2]: s for s in files}
  channel = 0
  for source in meta["sources"]:
    variable = source.rpartition(":")[2]
    if not _is_of_file(source):
      sources.append(source)
      channel += len(COMPUTED.get(source, ()))
      continue
    chosen = given.pop(variable, source)
    try:
      _, units, digest = _files(chosen)
    except OSError as error:
      raise ValueError(
        f"the run was told of {source}, which cannot be read ({error}): give "
        f"it as --static FILE:{variable}"
      ) from error
    if units != meta["units"][channel]:
      raise ValueError(
        f"static field {chosen} is in {units!r} and the run was told of it in "
        f"{meta['units'][channel]!r}"
      )
    if digest != meta["digests"][source]:
      raise ValueError(
        f"static field {chosen} is not what the run was told of: its values or "
        "its grid differ"
      )
    sources.append(chosen)
    channel += 1
  if given:
    raise ValueError(
      f"the run was told of {', '.join(meta['sources'])}, not of "
      f"{', '.join(given)}"
    )
  return Static(
    tuple(sources),
    tuple(meta["units"]),
    np.asarray(meta["mean"]),
    np.asarray(meta["std"]),
    dict(meta["digests"]),
    climatology or {},
    tuple(meta.get("months", ())),
  )
