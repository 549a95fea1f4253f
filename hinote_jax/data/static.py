"""Static fields: what is known of a place before anything is measured there.

    config.data.static = ("earth:orography", "earth:land", "latitude",
                          "climatology", "dem.nc:z")

earth:orography  height of the surface [m], ETOPO5, 5 minutes of arc
earth:land       share of land, GLOBE
earth:roughness  spread of the height within a cell [m]
latitude         its sine
longitude        sine and cosine
climatology      mean and log spread of the training part, by variable
FILE:VARIABLE    of any file that `io` reads, on the fields' coordinates
"""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import hashlib
import logging
import pathlib
from typing import Any

import numpy as np

from hinote_jax import io
from hinote_jax.core import naming
from hinote_jax.data import rasters
from hinote_jax.fields import axes

_EARTH = pathlib.Path(__file__).with_name("earth_5min.npz")
CLIMATOLOGY = "climatology"
COMPUTED = {
  "earth:orography": ("m",),
  "earth:land": ("1",),
  "earth:roughness": ("m",),
  "latitude": ("1",),
  "longitude": ("1", "1"),
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
  axis = y if name == "latitude" else x
  is_such = axis.is_latitude if name == "latitude" else axis.is_longitude
  if not is_such:
    raise ValueError(
      f"static field {name!r}: the fields lie on {y.name} [{y.units}] and "
      f"{x.name} [{x.units}], which tell no {name}"
    )
  angle = np.deg2rad(axis.values)
  if name == "latitude":
    values = np.sin(angle)[:, None, None]
  else:
    values = np.stack([np.sin(angle), np.cos(angle)], axis=-1)[None]
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
    sources: as of the config, in order; a climatology comes last.
    units: of every channel.
    mean: of every channel over the data set, [s].
    std: the same, above 0.
    digests: of what files hold, by source.
    climatology: of the training part on its grid, or None.
  """

  sources: tuple[str, ...]
  units: tuple[str, ...]
  mean: np.ndarray
  std: np.ndarray
  digests: Mapping[str, str]
  climatology: rasters.Raster | None = None

  def on(self, y: axes.Axis, x: axes.Axis) -> np.ndarray:
    """Returns all channels, normalised, on a grid, [H W s] float32.

    Raises:
      ValueError: a source does not cover it.
    """
    parts = [raw(source, y, x) for source in self.sources if _is_fixed(source)]
    if self.climatology is not None:
      parts.append(self.climatology.on(y, x))
    values = np.concatenate(parts, axis=-1)
    return ((values - self.mean) / self.std).astype(np.float32)

  def to_meta(self) -> dict[str, Any]:
    """Returns what a checkpoint keeps of them, but for the climatology."""
    return {
      "sources": list(self.sources),
      "units": list(self.units),
      "mean": self.mean.tolist(),
      "std": self.std.tolist(),
      "digests": dict(self.digests),
    }


def _is_fixed(source: str) -> bool:
  return source != CLIMATOLOGY


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
  known = (*COMPUTED, CLIMATOLOGY, "FILE:VARIABLE")
  raise ValueError(
    f"unknown static field {source!r}; {naming.hint(source, known)}"
  )


def fit(
  sources: Sequence[str],
  y: axes.Axis,
  x: axes.Axis,
  climatology: np.ndarray | None = None,
) -> tuple[Static, np.ndarray]:
  """Returns static fields normalised over a grid, and the fixed ones on it.

  Args:
    sources: names.
    y: rows of the data set.
    x: its columns.
    climatology: of its training part, [H W 2*c], where it is asked for.

  Raises:
    ValueError: a source is unknown, constant, or does not cover the grid.
  """
  ordered = sorted(sources, key=lambda s: not _is_fixed(s))  # stable
  parts = {s: raw(s, y, x) for s in ordered if _is_fixed(s)}
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
  every, raster = fixed, None
  if climatology is not None:
    raster = rasters.Raster(CLIMATOLOGY, climatology, y, x)
    every = np.concatenate([fixed, climatology], axis=-1)
    units += ["1"] * climatology.shape[-1]
  flat = every.reshape(-1, every.shape[-1]).astype(np.float64)
  std = np.maximum(flat.std(0), 1e-6)
  static = Static(
    tuple(ordered), tuple(units), flat.mean(0), std, digests, raster
  )
  return static, fixed


def load(
  meta: Mapping[str, Any],
  climatology: rasters.Raster | None,
  files: Sequence[str] = (),
) -> Static:
  """Returns the static fields of a checkpoint.

  Args:
    meta: of `Static.to_meta`.
    climatology: that was stored with it.
    files: FILE:VARIABLE that take the places of those it was trained with, by
      variable.

  Raises:
    ValueError: one lacks, has other units, or another digest.
  """
  sources, given = [], {s.rpartition(":")[2]: s for s in files}
  channel = 0
  for source in meta["sources"]:
    variable = source.rpartition(":")[2]
    if source in COMPUTED or not _is_fixed(source):
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
    climatology,
  )
