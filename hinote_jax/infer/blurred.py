"""What blurred an input and how noisy it is, as a user says it."""

from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np

from hinote_jax.core import grids


@dataclasses.dataclass(frozen=True)
class Blur:
  """The kernel and the noise of an input, for networks that unfold them.

  Attributes:
    kernel: [p q] or [p q c] in cells of the result, as nested tuples, in the
      middle and with the sum 1; None takes what the network was made with.
    noise: deviation in units of what the network sees: of white for
      photographs, of the deviation of the fields of training for a run's; None
      likewise.
    said: what was done to the kernel.
  """

  kernel: Any = None
  noise: float | int | None = None
  said: str = dataclasses.field(default="", compare=False, repr=False)

  @classmethod
  def of(
    cls, kernel: np.ndarray | None, noise: float | None, said: str = ""
  ) -> "Blur | None":
    """Returns the blur; None where nothing is said.

    Raises:
      ValueError: the noise is not finite or below 0.
    """
    if noise is not None and not 0.0 <= noise < np.inf:
      raise ValueError(
        f"--noise is a deviation, finite and not below 0, got {noise:g}"
      )
    if kernel is None and noise is None:
      return None
    return cls(None if kernel is None else _tuples(kernel), noise, said)

  def extras(self) -> dict[str, Any]:
    """Returns what the network is called with, by name."""
    given = {"kernel": self.kernel, "noise": self.noise}
    return {
      name: np.asarray(value, np.float32)
      for name, value in given.items()
      if value is not None
    }

  def require(
    self, takes: Sequence[str], shape: tuple[int, int], channels: int
  ) -> None:
    """Refuses what the network could not use.

    Args:
      takes: extras of the network.
      shape: (H, W) of the result.
      channels: of the input.

    Raises:
      ValueError: it takes none, or the kernel is of another size.
    """
    for name in self.extras():
      if name not in takes:
        raise ValueError(
          f"the network takes no {name}: leave --{_FLAGS[name]} out, or take "
          "one that unfolds a blur, as usrnet"
        )
    if self.kernel is None:
      return
    sides, own = np.shape(self.kernel)[:2], np.shape(self.kernel)[2:]
    if any(n > m for n, m in zip(sides, shape, strict=True)):
      raise ValueError(
        f"the kernel of {sides[0]} x {sides[1]} cells is larger than the "
        f"result of {shape[0]} x {shape[1]}: cut it, or ask for more cells"
      )
    if own not in ((), (1,), (channels,)):
      raise ValueError(
        f"the kernel has {own[0]} channels and the input {channels}: give one "
        "kernel for all, or one a channel"
      )

  def notes(self, lines: tuple[grids.Line, grids.Line]) -> list[str]:
    """Returns what a user must know of it, for a result at these points."""
    notes = [self.said] if self.said else []
    scales = [1.0 / line.step for line in lines]
    if any(abs(scale - round(scale)) > 1e-6 for scale in scales):
      whole = " x ".join(f"{np.ceil(scale - 1e-6):g}" for scale in scales)
      notes.append(
        "the closed form wants whole scales, not "
        f"{scales[0]:.4g} x {scales[1]:.4g}: the field is made {whole} times "
        "finer, in whose cells the kernel is, and read between these"
      )
    return notes


_FLAGS = {"kernel": "psf", "noise": "noise"}


def _tuples(values):
  values = np.asarray(values)
  if values.ndim == 1:
    return tuple(map(float, values))
  return tuple(_tuples(row) for row in values)
