"""Writes invented storms in the layout of SEVIR, to try what reads it.

    python -m experiments.four_sciences.storms FOLDER

Beside it, in `events`, stands the same as a NetCDF file an event. They are no
weather: spots of smooth noise that drift. SEVIR itself is 1 TB; how
to get it is said in `hinote_jax/data/sources/sevir.py`. No number is made with
these.
"""

import csv
import pathlib
import sys

import h5py
import numpy as np
from scipy import ndimage
import xarray as xr

_SIDE, _FRAMES, _EVENTS = 384, 13, 10
_STEP = 5  # minutes from frame to frame
_DRIFT = (2, 5)  # cells a frame


def storm(seed: int) -> np.ndarray:
  """Returns the liquid of one event as stored, [y x frame] uint8."""
  noise = np.random.default_rng(seed).normal(size=(_SIDE, _SIDE))
  field = sum(
    ndimage.gaussian_filter(noise, width, mode="wrap") * width
    for width in (2, 6, 18)
  )
  field = 254.0 * np.clip((field / field.std() - 0.8) / 2.5, 0.0, 1.0)
  frames = [
    np.roll(field, [i * d for d in _DRIFT], axis=(0, 1)) for i in range(_FRAMES)
  ]
  return np.stack(frames, axis=-1).round().astype(np.uint8)


def write(folder: pathlib.Path) -> None:
  """Writes events of 2018 and 2019, and their catalogue."""
  name = "vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0630.h5"
  path = folder / "data" / name
  path.parent.mkdir(parents=True, exist_ok=True)
  ids = [f"S{i:06d}" for i in range(_EVENTS)]
  with h5py.File(path, "w") as file:
    file["id"] = np.asarray(ids, "S16")
    shape = (_EVENTS, _SIDE, _SIDE, _FRAMES)
    values = file.create_dataset("vil", shape, "uint8", compression="lzf")
    for i in range(_EVENTS):
      values[i] = storm(i)
  middle = _FRAMES // 2
  offsets = ":".join(str(_STEP * (i - middle)) for i in range(_FRAMES))
  with open(folder / "CATALOG.csv", "w", newline="") as file:
    table = csv.writer(file)
    columns = ["id", "file_name", "file_index", "img_type", "time_utc"]
    table.writerow([*columns, "minute_offsets", "pct_missing"])
    for i, event in enumerate(ids):
      time = np.datetime64("2019-01-05T12:00") + np.timedelta64(15 * i, "D")
      time = str(time).replace("T", " ") + ":00"
      table.writerow([event, name, i, "vil", time, offsets, 0.0])


def write_events(folder: pathlib.Path) -> None:
  """Writes the same as files of one event each, as somebody's own radar."""
  folder.mkdir(parents=True, exist_ok=True)
  for i in range(_EVENTS):
    values = np.moveaxis(storm(i), -1, 0).astype(np.float32)
    array = xr.DataArray(values, dims=("frame", "y", "x"), name="vil")
    array.to_netcdf(folder / f"event_{i}.nc")


if __name__ == "__main__":
  write(pathlib.Path(sys.argv[1]))
  write_events(pathlib.Path(sys.argv[1]) / "events")
