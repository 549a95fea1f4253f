"""What blurred an input and how noisy it is, as a user says it."""

from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np

from hinote_jax import fields
from hinote_jax.core import grids


@dataclasses.dataclass(frozen=True)
class Blur:
  """The kernel and the noise of an input, for networks that unfold them.

  Attributes:
    kernel: [p q] or [p q c] in cells of the result, as nested tuples, in the
      middle and with the sum 1; None takes what the network was made with.
    noise: deviation in the units of the input's values, one number for all
      variables or one each; None likewise.
    note: what was done to the kernel.
  """

  kernel: Any = None
  noise: tuple[float, ...] | None = None
  note: str = dataclasses.field(default="", compare=False, repr=False)

  @classmethod
  def of(
    cls,
    kernel: np.ndarray | None,
    noise: float | Sequence[float] | None,
    note: str = "",
  ) -> "Blur | None":
    """Returns the blur; None where nothing is said.

    Raises:
      ValueError: the noise is not finite or below 0.
    """
    if kernel is None and noise is None:
      return None
    if noise is not None:
      noise = tuple(np.ravel(np.asarray(noise, np.float64)).tolist())
      for value in noise:
        if not 0.0 <= value < np.inf:
          raise ValueError(
            f"--noise is a deviation, finite and not below 0, got {value:g}"
          )
    return cls(None if kernel is None else _tuples(kernel), noise, note)

  def extras(self, units: np.ndarray) -> dict[str, Any]:
    """Returns what the network is called with, by name.

    Args:
      units: of the input's values to the network, see `units`, [c]. The
        noise that it is told is the root mean square of its variables'.
    """
    given: dict[str, Any] = {"kernel": self.kernel}
    if self.noise is not None:
      given["noise"] = np.sqrt(np.mean(np.square(self.noise * units)))
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
    for name in _FLAGS:
      if getattr(self, name) is not None and name not in takes:
        raise ValueError(
          f"the network takes no {name}: leave --{_FLAGS[name]} out, or take "
          "one that unfolds a blur, as usrnet"
        )
    if self.noise is not None and len(self.noise) not in (1, channels):
      raise ValueError(
        f"--noise has {len(self.noise)} numbers and the input {channels} "
        "variables: give one for all, or one each"
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

  def notes(
    self,
    lines: tuple[grids.Line, grids.Line],
    variables: Sequence[fields.Variable],
    units: np.ndarray,
  ) -> list[str]:
    """Returns what a user must know of it.

    Args:
      lines: points of the result.
      variables: of the input.
      units: of `extras`.
    """
    notes = [self.note] if self.note else []
    if self.noise is not None:
      deviations = np.broadcast_to(self.noise, len(variables))
      parts = ", ".join(
        f"{value:.4g}{f' {v.units}' if v.units not in ('', '1') else ''} in "
        f"{v.name}, {value * unit:.4g} in units of the network"
        for v, value, unit in zip(variables, deviations, units, strict=False)
      )
      rms = self.extras(units)["noise"]
      is_mean = bool(np.ptp(deviations * units[: len(deviations)]) > 1e-6 * rms)
      mean = f"; it is told their root mean square, {rms:.4g}" * is_mean
      notes.append(f"the noise has a deviation of {parts}{mean}")
    scales = [1.0 / line.step for line in lines]
    if any(abs(scale - round(scale)) > 1e-6 for scale in scales):
      whole = " x ".join(f"{np.ceil(scale - 1e-6):g}" for scale in scales)
      notes.append(
        "the closed form wants whole scales, not "
        f"{scales[0]:.4g} x {scales[1]:.4g}: the field is made {whole} times "
        "finer, in whose cells the kernel is, and read between these"
      )
    return notes


def units(predictor: Any, channels: int) -> np.ndarray:
  """Returns what a difference of 1 is to a network, [c] float64.

  Args:
    predictor: an `infer.Predictor` of the units of the values.
    channels: of a field; one that is repeated counts once for each.
  """
  ends = np.zeros((2, predictor.channels or channels)) + [[0.0], [1.0]]
  if predictor.normaliser is not None:
    ends = np.asarray(predictor.normaliser.normalise(ends))
  return ends[1] - ends[0]


def extras(blur: Blur | None, predictor: Any, channels: int) -> dict[str, Any]:
  """Returns what a network is told of a blur, by name; nothing of None."""
  return {} if blur is None else blur.extras(units(predictor, channels))


def notes(
  options: Any,
  predictor: Any,
  variables: Sequence[fields.Variable],
  lines: tuple[grids.Line, grids.Line],
) -> list[str]:
  """Returns what a user must know of the blur of `upscaling.Options`."""
  if options.blur is None:
    return []
  own = units(predictor.of(variables, options.span), len(variables))
  return options.blur.notes(lines, variables, own)


_FLAGS = {"kernel": "psf", "noise": "noise"}


def _tuples(values):
  values = np.asarray(values)
  if values.ndim == 1:
    return tuple(map(float, values))
  return tuple(_tuples(row) for row in values)
