"""Writes real fields as files that a run reads, with units and positions.

    python -m experiments.four_sciences.archives rain ARCHIVE.npz FOLDER
    python -m experiments.four_sciences.archives vorticity ARCHIVE.npz FOLDER

rain       of an archive with `rate_0p1mmh`, tenths of mm/h, [n y x] at 1 km,
           and `yx`, the corner of each tile, [n 2]: a NetCDF file a place.
           Ours is of MRMS, the radars of the United States (public domain), as
           github.com/pySTEPS/pysteps-data has them: 25 places, 12 times each.
vorticity  of an archive with `omega`, [n N N], in a box of side 2 pi that
           closes on itself: one NetCDF file. Ours is 16 snapshots of forced
           two-dimensional turbulence of github.com/envfluids/py2d (MIT).
"""

import pathlib
import sys

import numpy as np
import xarray as xr


def _axis(count: int, step: float, units: str) -> tuple:
  """Returns the centres of cells as a coordinate of xarray."""
  return (np.arange(count) + 0.5) * step, {"units": units}


def _dataset(name, values, lead, step, **attributes) -> xr.Dataset:
  *_, height, width = values.shape
  units = attributes.pop("step_units")
  coords = {
    axis: (axis, *_axis(count, step, units))
    for axis, count in (("y", height), ("x", width))
  }
  return xr.Dataset({name: ((lead, "y", "x"), values, attributes)}, coords)


def rain(archive: pathlib.Path, folder: pathlib.Path) -> None:
  """Writes a file a place: neighbours in time must not be parted."""
  with np.load(archive) as found:
    rate, corners = found["rate_0p1mmh"], found["yx"]
  for corner in np.unique(corners, axis=0):
    y, x = (int(n) for n in corner)
    values = rate[np.all(corners == corner, axis=1)] / np.float32(10.0)
    _dataset(
      "rate",
      values.astype(np.float32),
      "frame",
      1.0,
      step_units="km",
      units="mm h-1",
      long_name="precipitation rate",
    ).to_netcdf(folder / f"place_{y:04d}_{x:04d}.nc")


def vorticity(archive: pathlib.Path, folder: pathlib.Path) -> None:
  """Writes independent snapshots as one file."""
  with np.load(archive) as found:
    omega = found["omega"].astype(np.float32)
  # Spectral grids begin at 0; in a box that closes, where it begins is free.
  _dataset(
    "omega",
    omega,
    "snapshot",
    2.0 * np.pi / omega.shape[-1],
    step_units="m",
    units="s-1",
    long_name="vorticity",
  ).to_netcdf(folder / "vorticity.nc")


def main(kind: str, archive: str, folder: str) -> None:
  """Writes the files of one kind into a folder, made where it is missing."""
  into = pathlib.Path(folder)
  into.mkdir(parents=True, exist_ok=True)
  {"rain": rain, "vorticity": vorticity}[kind](pathlib.Path(archive), into)


if __name__ == "__main__":
  main(*sys.argv[1:])
