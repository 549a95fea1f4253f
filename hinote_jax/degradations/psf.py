"""Point-spread functions that a user gives, as kernels of unfolded networks."""

import re

import numpy as np

from hinote_jax.degradations import blurs

_GAUSSIAN = re.compile(r"\s*gaussian\s*\(([^()]*)\)\s*")


def read(text: str) -> tuple[np.ndarray, str]:
  """Reads a kernel and puts its centre of mass in its middle cell.

  It is moved by whole cells, with zeros where it then needs more room, and sums
  to 1, of several channels each.

  Args:
    text: "gaussian(1.2)", "gaussian(1.2, 0.6, 30)" with deviations in cells of
      the fine grid as of `blurs.Gaussian`; or a file as of `blurs.read`, [p q]
      or [p q c].

  Returns:
    the kernel, both sides odd, float64; what was done to it, in a sentence.

  Raises:
    OSError: the file cannot be read.
    ValueError: it holds no kernel, or the Gaussian is none.
  """
  if match := _GAUSSIAN.fullmatch(text):
    return _gaussian(text, match.group(1))
  _, values = blurs.load(text)
  if values.ndim not in (2, 3) or not values.size:
    raise ValueError(
      f"kernel {text} has the shape {values.shape}: it must have two sides "
      "and, if wanted, an axis of channels last"
    )
  kernel = blurs.normalised(values, f"kernel {text}")
  total = values.sum((0, 1), dtype=np.float64)
  moved = []
  for axis in (0, 1):
    n = kernel.shape[axis]
    weight = kernel.sum(tuple(i for i in range(kernel.ndim) if i != axis))
    mass = int(np.clip(round(weight @ np.arange(n) / weight.sum()), 0, n - 1))
    half = max(mass, n - 1 - mass)
    room = [(0, 0)] * kernel.ndim
    room[axis] = half - mass, half - (n - 1 - mass)
    kernel = np.pad(kernel, room)
    moved.append(n // 2 - mass)
  sums = ", ".join(f"{t:.4g}" for t in np.ravel(total))
  return kernel, (
    f"{text}: a kernel of {values.shape[0]} x {values.shape[1]} cells, divided "
    f"by its sum {sums} and moved by {moved[0]} and {moved[1]} cells along y "
    "and x, so that its centre of mass is in its middle"
  )


def _gaussian(text, inside):
  try:
    numbers = [float(part) for part in inside.split(",")]
    if len(numbers) == 1:
      numbers *= 2
    blur = blurs.Gaussian(*numbers)
  except (TypeError, ValueError) as error:
    raise ValueError(
      f"{text}: write gaussian(deviation) or gaussian(along y, along x, "
      f"degrees), in cells of the fine grid ({error})"
    ) from error
  along_y, along_x = blur.profiles((1, 1))
  kernel = along_y.T @ along_x
  kernel = kernel / kernel.sum()
  sides = " x ".join(map(str, kernel.shape))
  return kernel, f"{text}: a kernel of {sides} cells with the sum 1"
