"""Small good files of every format that is read."""

import json
import pathlib

from flax import traverse_util
import numpy as np

from hinote_jax import fields, interop, io
from hinote_jax.fields import axes
from hinote_jax.interop import checkpoints
from hinote_jax.io import inputs

# Kind -> name of its file, or of the folder that stands for one.
KINDS = {
  "npy": "a.npy",
  "npz": "a.npz",
  "hdf5": "a.h5",
  "hdf5-checked": "checked.h5",
  "netcdf3": "a.nc",
  "netcdf4": "four.nc",
  "zarr2": "two.zarr",
  "zarr3": "three.zarr",
  "png": "a.png",
  "tiff": "a.tif",
  "geotiff": "map.tif",
  "nii": "a.nii",
  "nii.gz": "a.nii.gz",
  "pth": "a.pth",
  "safetensors": "a.safetensors",
  "json": "config.json",
}
_VALUES = np.random.default_rng(7).normal(280.0, 9.0, (3, 12, 16))


def path_of(folder: pathlib.Path, kind: str) -> pathlib.Path:
  """Returns where the sample of a kind lies."""
  return folder / KINDS[kind]


def write(folder: pathlib.Path, kind: str) -> None:
  """Writes the sample of a kind into a folder of its own."""
  folder.mkdir(parents=True)
  path = path_of(folder, kind)
  _WRITERS.get(kind, _by_xarray)(path)


def _npy(path) -> None:
  np.save(path, _VALUES.astype(np.float32))


def _npz(path) -> None:
  latitude = np.linspace(60.0, 38.0, 12)
  np.savez_compressed(path, t=_VALUES.astype("f4"), latitude=latitude)


def _hdf5(path) -> None:
  h5py = inputs.require("h5py", "io")
  with h5py.File(path, "w") as file:
    made = file.create_dataset("t", data=_VALUES.astype("f4"), chunks=(1, 6, 8))
    made.attrs["units"] = "K"
    file["table"] = np.zeros(4, [("a", "f4"), ("b", "i4")])
    file["real"] = np.dtype("f4")
    for d, name in enumerate(("time", "y", "x")):
      file[name] = np.arange(float(_VALUES.shape[d]))
      file[name].make_scale(name)
      made.dims[d].attach_scale(file[name])


def _checked(path) -> None:
  h5py = inputs.require("h5py", "io")
  with h5py.File(path, "w", libver="latest") as file:
    values = _VALUES.astype("f4")
    file.create_dataset("t", data=values, chunks=(1, 12, 16), fletcher32=True)


def _by_xarray(path) -> None:
  xarray = inputs.require("xarray", "io")
  packed = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 280.0}
  data = xarray.Dataset(
    {"t": (("time", "lat", "lon"), _VALUES, {"units": "K"})},
    {
      "time": ("time", np.arange(3), {"units": "days since 2000-01-01"}),
      "lat": ("lat", np.linspace(60, 38, 12), {"units": "degrees_north"}),
      "lon": ("lon", np.linspace(0, 30, 16), {"units": "degrees_east"}),
    },
    {"title": "a sample"},
  )
  encoding = {"t": packed | {"_FillValue": -32768}}
  if path.suffix == ".zarr":
    version = 2 if path.name == KINDS["zarr2"] else 3
    data.to_zarr(
      path, encoding=encoding, zarr_format=version, consolidated=False
    )
    return
  kind = "NETCDF4" if path.name == KINDS["netcdf4"] else "NETCDF3_CLASSIC"
  data.to_netcdf(path, encoding=encoding, format=kind, engine="netcdf4")


def _picture(path) -> None:
  grey = np.clip(_VALUES[0, ..., None] / 400.0, 0.0, 1.0).astype(np.float32)
  header = fields.Header(
    (fields.Variable("grey", dtype="uint8", scale=1 / 255),),
    axes.counted("y", grey.shape[0]),
    axes.counted("x", grey.shape[1]),
  )
  io.write(path, io.Field(header, grey))


def _tiff(path) -> None:
  inputs.require("tifffile", "io").imwrite(path, _VALUES.astype("f4"))


def _geotiff(path) -> None:
  rasterio = inputs.require("rasterio", "io")
  profile = dict(driver="GTiff", height=12, width=16, count=1, dtype="float32")
  place = rasterio.Affine(0.5, 0, 10, 0, -0.5, 60)
  with rasterio.open(
    path, "w", crs="EPSG:4326", transform=place, compress="deflate", **profile
  ) as file:
    file.write(_VALUES[0].astype("f4"), 1)


def _nifti(path) -> None:
  nibabel = inputs.require("nibabel", "io")
  image = nibabel.Nifti1Image(_VALUES.astype("f4").T, np.diag([2, 2, 3, 1]))
  nibabel.save(image, path)


def _network(path) -> None:
  rng, kwargs = np.random.default_rng(3), {"channels": 1, "scale": 2}
  shapes = checkpoints.parameter_shapes("espcn", kwargs)
  params = {tuple(n.split("/")): rng.normal(size=s) for n, s in shapes.items()}
  variables = {"params": traverse_util.unflatten_dict(params)}
  if path.suffix == ".pth":
    interop.save_torch(path, "espcn", kwargs, variables)
    return
  library = inputs.require("safetensors.numpy", "interop")
  tensors = checkpoints.to_tensors("espcn", kwargs, variables)
  library.save_file(
    {n: np.ascontiguousarray(t) for n, t in tensors.items()}, path
  )


def _json(path) -> None:
  config = {"model": {"name": "hinote", "size": "S"}, "seed": 3, "steps": 2}
  path.write_text(json.dumps(config))


_WRITERS = {
  "npy": _npy,
  "npz": _npz,
  "hdf5": _hdf5,
  "hdf5-checked": _checked,
  "png": _picture,
  "tiff": _tiff,
  "geotiff": _geotiff,
  "nii": _nifti,
  "nii.gz": _nifti,
  "pth": _network,
  "safetensors": _network,
  "json": _json,
}
