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

from collections.abc import Sequence
import dataclasses
import functools
import hashlib
import pathlib

import numpy as np

from hinote_jax import fields
from hinote_jax.data import paths, series
from hinote_jax.data.sources import files, pairs
from hinote_jax.fields import axes
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
) -> series.Source:
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
  file_paths = paths.expand(path, SUFFIXES)
  readers = functools.lru_cache(maxsize=_OPEN)(_opened)
  source = _joined(file_paths, variables, functools.partial(_series, readers))
  if periodic is not None:
    source = source.wrapped(periodic)
  if not paired:
    return source
  coarse = _joined(
    file_paths, source.names, functools.partial(_lowres, readers)
  )
  text = coarse.fingerprint + _LOWRES  # of the same files as the fields
  coarse = dataclasses.replace(
    coarse.wrapped(source.periodic),
    fingerprint=hashlib.sha256(text.encode()).hexdigest(),
  )
  return pairs.pair(source, coarse)


def _joined(file_paths, variables, open_series) -> series.Source:
  source = files.join(file_paths, variables, open_series, grouped=True)
  is_weather = source.y.name == "latitude"
  is_turbulence = {"u", "v", "vorticity"} & set(source.names)
  is_published = len({p.parent for p in file_paths}) > 1
  is_grouped = len(file_paths) > 1 and (is_published or not is_weather)
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


def _opened(path: pathlib.Path, names, layout="superbench") -> fields.Reader:
  return hdf5.open(path, names, layout=layout)


def _series(readers, path, variables) -> fields.Reader:
  """Returns a reader that opens its file again when it is one of few."""
  reader = readers(path, variables and tuple(variables))
  names = reader.header.names
  return dataclasses.replace(
    reader, read=lambda i: readers(path, names).read(i)
  )


def _lowres(readers, path, variables) -> fields.Reader:
  """Returns the low resolution in a file as a series of its own."""
  fine = _series(readers, path, variables)
  every = readers(path, None).header.names
  try:
    header = readers(path, (_LOWRES,), "plain").header
  except ValueError as error:
    raise ValueError(
      f"{path} holds no {_LOWRES!r}, the low resolution of a simulation: leave "
      "out paired, or take the files of pairs (nskt_16k_sim and the like)"
    ) from error
  if header.lead_shape != (len(fine), len(every)):
    raise ValueError(
      f"{path}: {_LOWRES} has shape {header.lead_shape + header.shape} and "
      f"[{len(fine)}, {len(every)}, h, w] is needed beside its fields"
    )
  y, x = fine.header.y, fine.header.x
  channels = [every.index(name) for name in variables]

  def read(i: int) -> np.ndarray:
    coarse = readers(path, (_LOWRES,), "plain")
    planes = [coarse.read(i * len(every) + c) for c in channels]
    return np.concatenate(planes, axis=-1)

  return dataclasses.replace(
    fine,
    header=fine.header.on(
      axes.counted(y.name, len(header.y)), axes.counted(x.name, len(header.x))
    ),
    read=read,
  )
