"""Blurs before a reduction: Gaussians, and kernels from files.

A blur is a sum of products of one profile an axis,

    K(dy, dx) = sum_r Y_r(dy) X_r(dx),

one product for a Gaussian along the axes, and for any other kernel what its
singular values leave. Each product then goes with the reduction into one
matrix an axis, so that a kernel in two dimensions costs a few separable ones.
Kernels sum to 1.
"""

import dataclasses
import functools
import hashlib
import io
import pathlib
import zipfile

import numpy as np

Profiles = tuple[np.ndarray, np.ndarray]

# Beyond four deviations a Gaussian holds 6e-5 of its weight.
_REACH = 4.0
# What may be left out of a kernel that sums to 1: below rounding in float32.
_LEFT = 1e-8
_DIGITS = 12


@dataclasses.dataclass(frozen=True)
class Gaussian:
  """A Gaussian, sampled at the fine cells and cut at four deviations.

  Its response is exp(-2 pi^2 f^T C f), C its covariance in fine cells and f the
  wavenumber in cycles per fine cell, but for deviations under half a fine cell,
  which the samples do not resolve: `responses.response` gives what they do.

  Attributes:
    along_y: deviation in coarse cells along the first principal axis, which is
      y where the angle is 0.
    along_x: along the other one.
    angle: degrees by which the first one is turned from y towards x.
  """

  along_y: float | int
  along_x: float | int
  angle: float | int = 0.0

  def __post_init__(self):
    deviations = self.along_y, self.along_x
    for value in deviations:
      if not 0.0 <= value < np.inf:
        raise ValueError(f"blur must be finite and not below 0, got {value}")
    if not np.isfinite(self.angle):
      raise ValueError(f"the angle of a blur must be finite, got {self.angle}")
    if self._is_turned and not min(deviations):
      raise ValueError(
        f"a blur at an angle needs two deviations above 0, got {self}"
      )

  def __bool__(self) -> bool:
    return bool(self.along_y or self.along_x)

  def __str__(self) -> str:
    numbers = [self.along_y, self.along_x, self.angle]
    if not self.angle:
      numbers.pop()
      if self.along_x == self.along_y:
        numbers.pop()
    return f"blur({', '.join(map(repr, numbers))})"

  @property
  def _is_turned(self) -> bool:
    return self.along_y != self.along_x and self.angle % 90.0 != 0.0

  def profiles(self, scale: tuple[float | int, float | int]) -> Profiles:
    """Returns Y_r and X_r, [r 2p+1] and [r 2q+1], about the cell in the middle.

    Args:
      scale: fine cells per coarse cell (y, x).
    """
    if self._is_turned:
      deviations = float(self.along_y), float(self.along_x)
      return _turned(deviations, float(self.angle), tuple(map(float, scale)))
    along_y, along_x = self.along_y, self.along_x
    if self.angle % 180.0 != 0.0:
      along_y, along_x = along_x, along_y
    y, x = scale
    return _profile(along_y * y)[None], _profile(along_x * x)[None]


@dataclasses.dataclass(frozen=True)
class Kernel:
  """A kernel in fine cells, whatever the scale, as a point is spread by it.

  Attributes:
    path: the file, as it was named.
    digest: the first digits of the SHA-256 of its bytes.
    values: [2p+1 2q+1], sum 1; row p, column q is where the point lies.
  """

  path: str
  digest: str
  values: np.ndarray = dataclasses.field(compare=False, repr=False)

  def __str__(self) -> str:
    return f"kernel({self.path}, {self.digest})"

  def profiles(self, scale: tuple[float | int, float | int]) -> Profiles:
    """As `Gaussian.profiles`: what a cell gathers, so the kernel reversed."""
    del scale
    return self._profiles

  @functools.cached_property
  def _profiles(self):
    return separated(self.values[::-1, ::-1])


Blur = Gaussian | Kernel


def separated(kernel: np.ndarray) -> Profiles:
  """Returns a kernel as a sum of products of profiles, the largest first.

  Args:
    kernel: [p q].

  Returns:
    Y [r p] and X [r q] with sum_r Y_r X_r^T = kernel, to `_LEFT` of its sum.
  """
  left, sizes, right = np.linalg.svd(kernel, full_matrices=False)
  beyond = np.cumsum(sizes[::-1])[::-1]
  count = max(1, np.count_nonzero(beyond > _LEFT * abs(kernel.sum())))
  root = np.sqrt(sizes[:count, None])
  return root * left.T[:count], root * right[:count]


def read(path: str, digest: str | None = None) -> Kernel:
  """Reads a kernel in two dimensions and makes it sum to 1.

  Args:
    path: .npy; .npz with one array, or one called "kernel"; else a text of
      numbers, by spaces or by commas, a line for each row.
    digest: the first digits of the SHA-256 that the file must have; None takes
      any.

  Raises:
    OSError: the file cannot be read.
    ValueError: it is another file, or holds no kernel.
  """
  sha256, values = load(path, digest)
  if values.ndim != 2 or not all(n % 2 for n in values.shape):
    raise ValueError(
      f"kernel {path} has the shape {values.shape}: it must have two sides, "
      "both odd, so that one cell is in the middle"
    )
  return Kernel(path, sha256[:_DIGITS], normalised(values, f"kernel {path}"))


def load(path: str, digest: str | None = None) -> tuple[str, np.ndarray]:
  """Returns the SHA-256 of a file and the array in it; see `read`."""
  try:
    content = pathlib.Path(path).read_bytes()
  except OSError as error:
    raise OSError(f"kernel {path} cannot be read: {error.strerror}") from error
  sha256 = hashlib.sha256(content).hexdigest()
  if digest is not None and not (digest and sha256.startswith(digest)):
    raise ValueError(
      f"kernel {path} is not the file that was named: its SHA-256 begins with "
      f"{sha256[:_DIGITS]}, not with {digest!r}; leave the digits out to take "
      "it as it is"
    )
  try:
    values = _values(content, path)
  except (ValueError, EOFError, zipfile.BadZipFile) as error:
    raise ValueError(f"kernel {path} cannot be read: {error}") from error
  return sha256, values


def normalised(values: np.ndarray, name: str) -> np.ndarray:
  """Returns a kernel [p q ..] that sums to 1 over its sides, float64.

  Raises:
    ValueError: it holds what is no finite number, or sums to nothing.
  """
  if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
    raise ValueError(f"{name} holds values that are no finite numbers")
  values = values.astype(np.float64)
  total = values.sum((0, 1))
  if not np.all(total > 0.0):
    raise ValueError(
      f"{name} cannot be made to sum to 1: its values sum to {total.min():g}"
    )
  return values / total


def _values(content, path):
  if path.endswith(".npy"):
    return np.load(io.BytesIO(content))
  if not path.endswith(".npz"):
    text = content.decode().replace(",", " ")
    return np.loadtxt(text.splitlines(), ndmin=2)
  with np.load(io.BytesIO(content)) as arrays:
    names = arrays.files
    if len(names) != 1 and "kernel" not in names:
      raise ValueError(
        f"it holds {len(names)} arrays, {', '.join(names)}: call the one that "
        "is meant 'kernel'"
      )
    return arrays["kernel" if "kernel" in names else names[0]]


def _profile(sigma):
  reach = int(np.ceil(_REACH * sigma))
  if not reach:
    return np.ones(1)
  weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
  return weight / weight.sum()


# Runs at one scale, and those that take a field in blocks, ask again.
@functools.lru_cache(maxsize=16)
def _turned(deviations, angle, scale):
  turn = np.deg2rad(angle)
  axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
  axes = np.asarray(scale)[:, None] * axes * np.asarray(deviations)
  reach = np.ceil(_REACH * np.sqrt(np.sum(axes**2, axis=1))).astype(int)
  places = np.indices(2 * reach + 1) - reach[:, None, None]
  # In units of the deviation along each principal axis.
  units = np.tensordot(np.linalg.inv(axes), places, axes=1)
  kernel = np.exp(-0.5 * np.sum(units**2, axis=0))
  return separated(kernel / kernel.sum())
