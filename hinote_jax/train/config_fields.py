"""Fields of a config that no function takes by name; the ranges of all."""

from collections.abc import Sequence
import math
from typing import Any, NamedTuple

Pair = tuple[int, int]
Texts = str | Sequence[str]

# Fields that no function takes by their names.
RUN = {
  "seed": int,
  "steps": int,
  "batch_size": int,
  "accumulate": int,
  "parallel": str,
  "ema_decay": float,
  "degradation": str,
  "log_every": int,
  "validate_every": int,
  "validation_examples": int,
  "start": str,
  **dict.fromkeys(("query_devices", "skip_limit"), int),
  "remat": bool,
  "saves_behind": bool,
  "loss_scale": float,
}
WINDOWS = {
  "window": Pair,
  "queries": Pair,
  **dict.fromkeys(("min_scale", "max_scale", "whole", "power", "noise"), float),
  **dict.fromkeys(("symmetries", "blurs"), Sequence[str]),
  "scales": Sequence[int],
}
OPTIONAL = (
  *("start", "query_devices", "skip_limit", "remat", "loss_scale"),
  "saves_behind",
  *("whole", "symmetries", "power", "scales", "blurs", "noise"),
)
EVALUATE = {
  "scales": Sequence[float],
  "against": Sequence[str],
  "path": Texts,
  **dict.fromkeys(("consistent", "figures"), bool),
  "metrics": str,
}
REQUIRED = (
  *(name for name in RUN if name not in OPTIONAL),
  *(f"windows.{name}" for name in WINDOWS if name not in OPTIONAL),
  *("split.validation", "split.test", "evaluate.scales", "evaluate.against"),
)
DATA = {
  "name": str,
  "path": Texts,
  "variables": Texts,
  "cache_dir": str,
  "static": Texts,
}


class Range(NamedTuple):
  """Numbers of fields: `low` is one of them, `above` and `below` are not."""

  fields: str  # a regular expression
  low: float = -math.inf
  high: float = math.inf
  above: float = -math.inf
  below: float = math.inf

  def wrong(self, value: Any) -> str:
    """Returns what is wrong with a number, or nothing."""
    if value < self.low:
      return f"at least {self.low:g}"
    if value > self.high:
      return f"at most {self.high:g}"
    if value <= self.above:
      return f"above {self.above:g}"
    if value >= self.below:
      return f"below {self.below:g}"
    return ""


# The first that fits; whole numbers that none fits are 0 or more.
RANGES = (
  Range(r"(.*\.)?seed", low=0, high=2**63 - 1),
  Range(r"steps|(log|validate)_every|validation_examples", low=1),
  Range("batch_size|accumulate|query_devices", low=1, high=2**24),
  Range("ema_decay|windows.whole", low=0, high=1),
  Range(r"windows\.power", low=0, high=8),
  Range("windows.(window|queries|scales)", low=1, high=2**20),
  Range("(windows|model).m(in|ax)_scale|evaluate.scales", low=1, high=1e6),
  Range("optim.(learning_rate|clip)|loss_scale", above=0),
  Range("optim.(final|weight_decay)|windows.noise", low=0),
  Range(r"optim.b2|model.(.*\.)?drop_path", low=0, below=1),
  Range("split.(validation|test|train)|loss.(epsilon|patch_factor)", above=0),
  Range(r"model.((.*\.)?(level_)?(blocks|convs)|head_(depth|heads))", 0, 1000),
  Range(r"model.(.*\.)?(layers|depths)", low=1, high=1000),
  Range(r"model.(.*\.)?(width|heads|scale|upsample|window_size)", low=1),
  Range(r"model.(.*\.)?.*_(widths?|dim|heads|feat)", low=1),
  Range("data.(every|limit|tiles|grid|shape|coarse|snapshots)", low=1),
)
