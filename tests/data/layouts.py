"""Small files in the layouts in which data sets are published.

The numbers in them say whose they are: field i of owner k holds 100 k + i and
more, so that what a field belongs to can be read off its values.
"""

import csv
import pathlib

import h5py
import numpy as np

FRAMES = 49

CATALOG_COLUMNS = (
  "id,file_name,file_index,img_type,time_utc,minute_offsets,episode_id,"
  "event_id,event_type,llcrnrlat,llcrnrlon,urcrnrlat,urcrnrlon,proj,size_x,"
  "size_y,height_m,width_m,data_min,data_max,pct_missing"
).split(",")


def sevir(
  root: pathlib.Path,
  dates: list[str],
  types: tuple[str, ...] = ("vil",),
  *,
  size: int = 6,
  missing: dict[int, int] | None = None,
) -> pathlib.Path:
  """Writes events as SEVIR publishes them; returns their folder.

  One file an image type and a year, frame f of event k holding k % 5 * 50 + f.

  Args:
    root: made, with CATALOG.csv and data/TYPE/YEAR/.
    dates: of the middle frames of the events, in order.
    types: image types.
    size: pixels along an edge of ir069; vil has twice as many.
    missing: event -> a frame of which a pixel is missing.
  """
  missing = missing or {}
  rows = []
  years = sorted({date[:4] for date in dates})
  for kind in types:
    n = size * {"vil": 2, "vis": 4}.get(kind, 1)
    dtype, gap = ("uint8", 255) if kind == "vil" else ("int16", -32768)
    for year in years:
      inside = [k for k, date in enumerate(dates) if date[:4] == year]
      name = f"SEVIR_{kind.upper()}_STORMEVENTS_{year}_0101_1231.h5"
      relative = f"{kind}/{year}/{name}"
      path = root / "data" / relative
      path.parent.mkdir(parents=True, exist_ok=True)
      values = np.zeros((len(inside), n, n, FRAMES), dtype)
      for place, k in enumerate(inside):
        values[place] = k % 5 * 50 + np.arange(FRAMES)
        values[place, 0, 0] += 1  # no constant field
        if k in missing:
          values[place, 1, 1, missing[k]] = gap
        rows.append(
          dict.fromkeys(CATALOG_COLUMNS, "")
          | {
            "id": f"S{700000 + k}",
            "file_name": relative,
            "file_index": place,
            "img_type": kind,
            "time_utc": dates[k],
            "minute_offsets": ":".join(
              str(5 * (f - FRAMES // 2)) for f in range(FRAMES)
            ),
            "pct_missing": 0.1 if k in missing else 0.0,
          }
        )
      with h5py.File(path, "w") as file:
        file["id"] = np.array([f"S{700000 + k}" for k in inside], "S")
        file.create_dataset(kind, data=values, chunks=(1, n, n, FRAMES))
  with open(root / "CATALOG.csv", "w", newline="") as file:
    table = csv.DictWriter(file, CATALOG_COLUMNS)
    table.writeheader()
    table.writerows(rows)
  return root


def superbench(
  path: pathlib.Path,
  owner: int,
  *,
  count: int = 3,
  shape: tuple[int, int] = (8, 8),
  channels: int = 3,
  lowres: int | None = None,
) -> pathlib.Path:
  """Writes a file of SuperBench; channel c of field i holds 100 owner + i + c.

  Args:
    path: of the file; folders are made.
    owner: whose fields they are.
    count: number of fields.
    shape: (H, W).
    channels: how many.
    lowres: how many times coarser `LR_fields` are; None leaves them out.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  start = 100.0 * owner + np.arange(count)[:, None] + np.arange(channels)
  fine = np.zeros((count, channels, *shape), np.float32)
  fine += start[..., None, None]
  fine[..., 0, 0] += 0.5
  with h5py.File(path, "w") as file:
    file.create_dataset("fields", data=fine)
    if lowres is not None:
      coarse = tuple(n // lowres for n in shape)
      values = np.zeros((count, channels, *coarse)) + start[..., None, None]
      file.create_dataset("LR_fields", data=values.astype(np.float32) + 0.25)
  return path


_HEADER = """<?xml version="1.0" encoding="utf-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
  <encoding>
    <encodedSpace>
      <matrixSize><x>{wide}</x><y>{columns}</y><z>1</z></matrixSize>
      <fieldOfView_mm><x>{long}</x><y>{width}</y><z>4</z></fieldOfView_mm>
    </encodedSpace>
    <reconSpace>
      <matrixSize><x>{rows}</x><y>{columns}</y><z>1</z></matrixSize>
      <fieldOfView_mm><x>{height}</x><y>{width}</y><z>3</z></fieldOfView_mm>
    </reconSpace>
    <encodingLimits>
      <kspace_encoding_step_1>
        <minimum>0</minimum><maximum>7</maximum><center>4</center>
      </kspace_encoding_step_1>
    </encodingLimits>
  </encoding>
</ismrmrdHeader>
"""


def fastmri(
  path: pathlib.Path,
  images: np.ndarray,
  *,
  patient: str = "",
  coils: np.ndarray | None = None,
  with_images: bool = True,
  mask: bool = False,
) -> pathlib.Path:
  """Writes a scan as fastMRI publishes them, of images [slice y x].

  The k-space is that of the images in a field of view twice as tall, seen by
  each of the coils [coil] with that sensitivity; pixels are 2 mm x 3 mm.
  """
  count, rows, columns = images.shape
  tall = np.zeros((count, 2 * rows, columns))
  tall[:, rows // 2 : rows // 2 + rows] = images
  parts = tall if coils is None else tall[:, None] * coils[:, None, None]
  kspace = np.fft.fftshift(
    np.fft.fft2(np.fft.ifftshift(parts, axes=(-2, -1)), norm="ortho"),
    axes=(-2, -1),
  )
  header = _HEADER.format(
    rows=rows,
    columns=columns,
    wide=2 * rows,
    long=4.0 * rows,
    height=2.0 * rows,
    width=3.0 * columns,
  )
  with h5py.File(path, "w") as file:
    file["ismrmrd_header"] = header.encode()
    file.create_dataset("kspace", data=kspace.astype(np.complex64))
    if mask:
      file["mask"] = np.ones(columns, bool)
    if with_images:
      file.create_dataset("reconstruction_rss", data=images.astype("f4"))
      file.attrs["max"] = float(images.max())
      file.attrs["norm"] = float(np.linalg.norm(images))
    file.attrs["acquisition"] = "AXT2"
    file.attrs["patient_id"] = patient
  return path
