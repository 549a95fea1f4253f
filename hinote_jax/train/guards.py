"""Losses that are out of the ordinary: no number, or far above the usual."""

import collections
from collections.abc import Callable, Mapping
import math
import statistics
from typing import Any

from absl import logging

LIMIT = 3  # steps in a row that may be left out
_SPIKE = 5.0  # times the median of the losses before
_REMEMBERED, _LEAST = 64, 16  # losses of that median, and how many it takes


class NonFiniteLoss(ArithmeticError):
  """The loss or the gradient is no longer a number."""


def drawn(data: Any, step: int, size: int) -> list[dict[str, Any]]:
  """Returns what the examples of a step are, as JSON has it.

  Args:
    data: of the run, `run_data.RunData`.
    step: of training, counted from 1.
    size: of the batch of all devices.
  """
  return [
    {
      "field": int(draw.field),
      "time": str(draw.time),
      "scale": float(draw.scale),
      "start": [float(place) for place in draw.start],
    }
    for draw in data.train.describe(step - 1, range(size))
  ]


def words(draws: list[dict[str, Any]]) -> str:
  """Returns what examples are in words, as `drawn` gives them."""
  return "; ".join(
    f"field {d['field']} ({d['time']}) x{d['scale']:.3f} at "
    f"({', '.join(f'{place:g}' for place in d['start'])})"
    for d in draws
  )


class Guard:
  """Follows the losses of a run, one step after the other."""

  def __init__(
    self,
    data: Any,
    size: int,
    *,
    limit: int | None = None,
    known: Mapping[str, Any] | None = None,
  ):
    """Begins, or goes on where a checkpoint stands.

    Args:
      data: of the run, `run_data.RunData`.
      size: of the batch of all devices.
      limit: steps in a row that may be left out; None is `LIMIT`.
      known: what `meta` gave.
    """
    known = known or {}
    self._data, self._size = data, size
    self._limit = LIMIT if limit is None else limit
    self._losses = collections.deque(known.get("losses", ()), _REMEMBERED)
    self._row, self.skipped = known.get("row", 0), known.get("skipped", 0)

  def meta(self) -> dict[str, Any]:
    """Returns what belongs with a checkpoint, as JSON has it."""
    return {
      "losses": list(self._losses),
      "row": self._row,
      "skipped": self.skipped,
    }

  def take(
    self,
    step: int,
    values: Mapping[str, float],
    saved: Callable[[], list[int]],
  ) -> dict[str, Any] | None:
    """Returns what is out of the ordinary about a step, or None.

    Args:
      step: counted from 1.
      values: of its metrics; those of a step that was left out are not finite.
      saved: returns the steps of the checkpoints there are.

    Raises:
      NonFiniteLoss: more steps in a row were left out than may be.
    """
    loss = values["loss"]
    if not all(map(math.isfinite, values.values())):
      return self._skip(step, values, saved)
    usual = math.inf
    if len(self._losses) >= _LEAST:
      usual = statistics.median(self._losses)
    self._row = 0
    self._losses.append(loss)
    if loss <= _SPIKE * usual:
      return None
    logging.warning(
      "step %d: the loss is %.3g, %.1f times the usual; --mode=replay "
      "--step=%d shows what was drawn",
      step,
      loss,
      loss / usual,
      step,
    )
    return self._event("spike", step, values, usual)

  def _skip(self, step, values, saved):
    self._row += 1
    self.skipped += 1
    if self._row > self._limit:
      draws = drawn(self._data, step, self._size)
      saved_steps = saved()
      raise NonFiniteLoss(
        f"loss {values['loss']:g}, gradient norm {values['grad_norm']:g} at "
        f"step {step}; batch indices {list(range(self._size))}: "
        f"{words(draws)}; {self._row} steps in a row were no numbers and "
        f"config.skip_limit is {self._limit}; last good checkpoint: "
        f"{f'step {saved_steps[-1]}' if saved_steps else 'none'}; try a lower "
        f"config.optim.learning_rate, and --mode=replay --step={step} to see "
        "which example it is"
      )
    logging.warning(
      "step %d: loss %g, gradient norm %g; it is left out, as %d so far",
      step,
      values["loss"],
      values["grad_norm"],
      self.skipped,
    )
    return self._event("skipped", step, values, None)

  def _event(self, kind, step, values, usual):
    event = {
      "kind": kind,
      "usual": usual,
      "drawn": drawn(self._data, step, self._size),
    }
    return event | {
      n: v if math.isfinite(v) else None for n, v in values.items()
    }
