"""What becomes of one trial of damage."""

from typing import NamedTuple

# The first two are good; the rest are faults.
GOOD = ("right", "refused")
BAD = ("wrong", "traceback", "abort", "hang", "litter")


class Outcome(NamedTuple):
  """One trial.

  Attributes:
    kind: of the trial, such as "png" or "kill".
    seed: that makes it again.
    verdict: "right", the answer is what it is without damage, or what the
      damaged bytes plainly say where the format has no way to tell; "refused",
      one sentence that names the file or field; "wrong", another answer and no
      word; "traceback"; "abort"; "hang"; or "litter", files left behind.
    detail: what was seen.
  """

  kind: str
  seed: int
  verdict: str
  detail: str
