"""SuperBench's HDF5 files: turbulence (NSKT), weather (ERA5), cosmology.

Source: Ren et al. 2023, SuperBench: A Super-Resolution Benchmark Dataset for
Scientific Machine Learning (arXiv 2306.14070), MIT licence; its weather is of
ERA5. Get it by

    wget https://portal.nersc.gov/project/dasrepo/superbench/superbench_v1.tar

Layout, as its loader has it: folders train, valid_1, test_1 (interpolation)
and valid_2, test_2 (extrapolation), in them files of one dataset each,
`fields` [time channel y x] float32, see `io.superbench`. Files of pairs hold
`LR_fields` beside it, what a coarse simulation gives at the same times.
Turbulence has no units; weather has them where `io.superbench` says so.

Split: by file, a file being one run or one year, and so by the published
folders: train="train/*", validation="valid_1/*", test="test_1/*". Years of
weather that lie in one folder are one series, divided by time with a gap.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import hashlib
import pathlib

import numpy as np

from hinote_jax.data import fields, formats, paths
from hinote_jax.data.sources import files as sources
from hinote_jax.data.sources import pairs
from hinote_jax.io import hdf5

SUFFIXES = (".h5", ".hdf5")
_LOWRES = "LR_fields"
_CITATION = (
  "SuperBench, Ren et al. 2023 (arXiv:2306.14070), MIT licence; its weather "
  "contains modified Copernicus Climate Change Service information (ERA5)"
)
# Files kept open: each may hold chunks of 128 MiB.
_OPEN = 4


def superbench(
  variables: Sequence[str] | None = None,
  *,
  path: paths.Paths,
  paired: bool = False,
  periodic: tuple[bool, bool] | None = None,
) -> fields.Source:
  """Returns the fields of SuperBench's files.

  Args:
    variables: u, v, vorticity; kinetic_energy [no units given], temperature
      [K], water_vapour [kg m-2]; or temperature, baryon_density. None is all.
    path: files, a pattern, or a folder of them, such as the published one.
    paired: take `LR_fields` as the low resolution.
    periodic: which axes (y, x) wrap around. None takes longitude for periodic
      and a box of turbulence for a window, which the files do not tell apart.

  Raises:
    FileNotFoundError: no such file.
    ValueError: a file is cut short, is not of this layout, lacks a channel or
      the low resolution, or the files are not alike.
  """
  found = paths.expand(path, SUFFIXES)
  readers = _Readers()
  source = _joined(found, variables, functools.partial(_series, readers))
  if periodic is not None:
    source = dataclasses.replace(source, periodic=tuple(periodic))
  if not paired:
    return source
  names = [v.name for v in source.variables]
  coarse = _joined(found, names, functools.partial(_lowres, readers))
  text = coarse.fingerprint + _LOWRES  # of the same files as the fields
  coarse = dataclasses.replace(
    coarse,
    periodic=source.periodic,
    fingerprint=hashlib.sha256(text.encode()).hexdigest(),
  )
  return pairs.pair(source, coarse)


def _joined(found, variables, open_series) -> fields.Source:
  source = sources.join(found, variables, open_series, grouped=True)
  is_weather = source.y.name == "latitude"
  is_turbulence = {"u", "v", "vorticity"} & {v.name for v in source.variables}
  is_published = len({p.parent for p in found}) > 1
  is_grouped = len(found) > 1 and (is_published or not is_weather)
  counts = {group: 0 for group in source.groups}
  times = []
  for group in source.groups:
    times.append(f"{group} field {counts[group]}")
    counts[group] += 1
  return dataclasses.replace(
    source,
    name="superbench",
    times=tuple(times),
    groups=source.groups if is_grouped else (),
    domain="weather" if is_weather else "turbulence" if is_turbulence else "",
    citation=_CITATION,
  )


class _Readers:
  """Readers of files, of which a few are open at a time."""

  def __init__(self):
    self._open = functools.lru_cache(maxsize=_OPEN)(_opened)

  def __call__(self, path: pathlib.Path, names: Sequence[str] | None):
    return self._open(path, None if names is None else tuple(names))


def _opened(path: pathlib.Path, names):
  reader = hdf5.open(path, names)
  if reader.header.extra.get("layout") != "superbench":
    raise ValueError(
      f"{path} is not as SuperBench has it: it holds no dataset 'fields' of "
      "[time channel y x]"
    )
  return reader


def _series(readers, path, variables) -> formats.Series:
  header = readers(path, variables).header
  names = header.names
  y, x = (
    fields.Coordinate(axis.name, axis.units, axis.values)
    for axis in (header.y, header.x)
  )
  return formats.Series(
    variables=tuple(fields.Variable(v.name, v.units) for v in header.variables),
    count=header.count,
    times=None,
    y=y,
    x=x,
    read=lambda i: readers(path, names).read(i),
  )


def _lowres(readers, path, variables) -> formats.Series:
  """Returns the low resolution in a file as a series of its own."""
  fine = _series(readers, path, variables)
  every = [v.name for v in _series(readers, path, None).variables]
  channels = [every.index(name) for name in variables]
  shape, read = _dataset(path, _LOWRES)
  if len(shape) != 4 or shape[:2] != (fine.count, len(every)):
    raise ValueError(
      f"{path}: {_LOWRES} has shape {shape} and [{fine.count}, {len(every)}, "
      "h, w] is needed beside its fields"
    )
  return dataclasses.replace(
    fine,
    y=fields.Coordinate(fine.y.name, "cell", np.arange(shape[2])),
    x=fields.Coordinate(fine.x.name, "cell", np.arange(shape[3])),
    read=lambda i: np.stack([read(i, c) for c in channels], axis=-1),
  )


def _dataset(path, name) -> tuple[tuple[int, ...], Callable]:
  """Returns the shape of a dataset and what reads a part of it."""
  h5py = formats.require("h5py", "io")
  with h5py.File(path, "r") as file:
    if name not in file:
      raise ValueError(
        f"{path} holds no {name!r}, the low resolution of a simulation: leave "
        "out paired, or take the files of pairs (nskt_16k_sim and the like)"
      )
    shape = file[name].shape

  def read(*index):
    with h5py.File(path, "r") as file:
      return file[name][index]

  return shape, read
