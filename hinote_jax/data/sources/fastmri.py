"""fastMRI's HDF5 files: one scan each, as images or as raw k-space.

Layout, as the data's README and loader (facebookresearch/fastMRI) have it:

    reconstruction_rss  [slice y x] float32, root of the sum of squares of all
                        coils, cropped to the middle
    reconstruction_esc  [slice y x] float32, of one emulated coil (knees)
    kspace              [slice (coil) y x] complex64, zero frequency amid
    mask                [x], which columns were measured (test data)
    ismrmrd_header      XML: matrix and field of view of the reconstruction
    attributes          patient_id, acquisition, max, norm

Files of test data have a mask and no reconstruction: there is no truth in them.
"""

from collections.abc import Sequence
import pathlib
from typing import Any
from xml.etree import ElementTree

import numpy as np

from hinote_jax.core import naming
from hinote_jax.data.sources import volumes
from hinote_jax.io import inputs

SUFFIXES = (".h5", ".hdf5")
IMAGES = ("reconstruction_rss", "reconstruction_esc")
KSPACE, _MASK, _HEADER = "kspace", "mask", "ismrmrd_header"
_NAMESPACE = "{http://www.ismrm.org/ISMRMRD}"


def volume(
  path: pathlib.Path, variables: Sequence[str] | None = None
) -> volumes.Volume:
  """Opens a scan.

  The subject is the attribute patient_id, or the file where there is none.

  Args:
    path: of the file.
    variables: one of `IMAGES`, or "kspace" for the root of the sum of squares
      over the coils of its inverse transform, cropped to the reconstruction's
      matrix. None takes the first that there is.

  Raises:
    ModuleNotFoundError: h5py is missing.
    ValueError: the file cannot be read, lacks the variable, or has k-space of
      which columns were not measured.
  """
  h5py = inputs.require("h5py", "io")
  try:
    with h5py.File(path, "r") as file:
      held = [name for name in (*IMAGES, KSPACE) if name in file]
      name = _chosen(path, variables, held, is_masked=_MASK in file)
      count, *_, height, width = file[name].shape
      matrix, field = _reconstruction(path, file)
      subject = file.attrs.get("patient_id", "")
  except OSError as error:
    raise ValueError(f"cannot read {path} ({inputs.line(error)})") from error
  if name == KSPACE and matrix:
    height, width = min(height, matrix[0]), min(width, matrix[1])
  shape, spacing = (height, width), None
  if matrix and field:
    spacing = field[0] / matrix[0], field[1] / matrix[1]

  def read(i: int) -> np.ndarray:
    with h5py.File(path, "r") as file:
      values = file[name][i]
    return root_sum_of_squares(values, shape) if name == KSPACE else values

  subject = subject.decode() if isinstance(subject, bytes) else str(subject)
  return volumes.Volume(
    path=path,
    name=name,
    subject=subject or path.stem,
    count=count,
    shape=shape,
    spacing=spacing,
    read=read,
  )


def root_sum_of_squares(
  kspace: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
  """Returns the image of a slice of k-space.

  Args:
    kspace: [h w] or [coil h w] complex, zero frequency amid.
    shape: (H, W) of the middle to keep.

  Returns:
    [H W] float32.
  """
  coils = kspace.reshape(-1, *kspace.shape[-2:])
  shifted = np.fft.ifftshift(coils, axes=(-2, -1))
  images = np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=(-2, -1))
  power = np.sum(np.abs(images) ** 2, axis=0)
  return volumes.fitted(np.sqrt(power), shape).astype(np.float32)


def _chosen(path, variables, held, *, is_masked) -> str:
  """Returns which dataset to read."""
  if not held:
    raise ValueError(
      f"{path} is not as fastMRI has it: it holds none of "
      f"{', '.join((*IMAGES, KSPACE))}"
    )
  names = held[:1] if variables is None else list(variables)
  if len(names) != 1:
    raise ValueError(
      f"a scan of fastMRI is one variable, got {', '.join(names)}: name one of "
      f"{', '.join(held)}"
    )
  (name,) = names
  if name not in held:
    raise ValueError(f"{path} has no {name!r}; {naming.hint(name, held)}")
  if name == KSPACE and is_masked:
    raise ValueError(
      f"{path} has k-space of which a mask leaves out columns and no "
      "reconstruction: it is test data without a truth"
    )
  return name


def _reconstruction(path, file: Any):
  """Returns rows and columns of the reconstruction, and their extents in mm.

  Rows of the file are the header's x, the direction of readout.
  """
  if _HEADER not in file:
    return None, None
  try:
    root = ElementTree.fromstring(file[_HEADER][()])
    rows, columns, height, width = (
      root.findtext("/".join(_NAMESPACE + tag for tag in tags), "")
      for part in ("matrixSize", "fieldOfView_mm")
      for tags in (("encoding", "reconSpace", part, axis) for axis in "xy")
    )
    return (int(rows), int(columns)), (float(height), float(width))
  except (ElementTree.ParseError, ValueError) as error:
    raise ValueError(
      f"{path}: its {_HEADER} does not say the matrix and the field of view of "
      f"the reconstruction ({inputs.line(error)})"
    ) from error
