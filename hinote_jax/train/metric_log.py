"""What a run says: JSON lines, TensorBoard, and a progress bar.

metrics.jsonl holds nothing that depends on the clock, so that two runs of one
config can be compared byte for byte; how long things took is in
timings.jsonl. Steps out of the ordinary are in events.jsonl, see `guards`.
"""

import json
import math
import os
import pathlib
from typing import Any

from absl import logging
import tqdm

from hinote_jax.io import files

METRICS = "metrics.jsonl"
TIMINGS = "timings.jsonl"
EVENTS = "events.jsonl"


def read(
  workdir: str | os.PathLike, name: str = METRICS
) -> list[dict[str, Any]]:
  """Returns the lines of a workdir's metrics, in order of writing.

  Args:
    workdir: of a run.
    name: of one of its other logs.
  """
  return [record for record, _ in _lines(pathlib.Path(workdir) / name)]


def _lines(path: pathlib.Path) -> list[tuple[dict[str, Any], str]]:
  """Returns the records of a log and their lines; damaged ones are left out."""
  if not path.exists():
    return []
  whole, damaged = [], 0
  for line in path.read_text(errors="replace").splitlines(keepends=True):
    try:
      record = json.loads(line)
      if not isinstance(record["step"], int) or not line.endswith("\n"):
        raise ValueError(line)
    except (ValueError, TypeError, KeyError, RecursionError):
      damaged += line.endswith("\n")  # the others are of a run that was killed
      continue
    whole.append((record, line))
  if damaged:
    logging.warning("%s: %d damaged lines are left out", path, damaged)
  return whole


def _rewind(path: pathlib.Path, step: int) -> None:
  """Drops what a stopped run wrote after the checkpoint it goes on from."""
  if path.exists():
    kept = [line for record, line in _lines(path) if record["step"] <= step]
    files.write_text(path, "".join(kept))


class MetricLog:
  """Writes a run's metrics; use as a context manager."""

  def __init__(
    self,
    workdir: str | os.PathLike,
    *,
    first_step: int,
    steps: int,
    digest: str | None = None,
    is_leader: bool = True,
  ):
    """Opens the files, rewound to `first_step`.

    Args:
      workdir: of the run.
      first_step: steps already taken.
      steps: of the whole run.
      digest: of the metrics until then, where it is known.
      is_leader: whether this process writes; the others stay silent.
    """
    self._is_leader = is_leader
    self._files = {}
    self._board = None
    workdir = pathlib.Path(workdir)
    self._path = workdir / METRICS
    if is_leader:
      for name in (METRICS, TIMINGS, EVENTS):
        _rewind(workdir / name, first_step)
        if name != EVENTS:  # which is there where there are any
          self._files[name] = (workdir / name).open("a")
      if digest and files.digest(self._path) != digest:
        logging.warning("%s is damaged or was changed", self._path)
      self._board = _open_board(workdir / "tensorboard", first_step)
    hidden: dict[str, Any] = {} if is_leader else {"disable": True}
    self._bar = tqdm.tqdm(
      total=steps,
      initial=first_step,
      desc="training",
      unit="step",
      **hidden,
      dynamic_ncols=True,
      mininterval=0.5,
    )

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._bar.close()
    for file in self._files.values():
      file.close()
    if self._board is not None:
      self._board.close()

  def write(self, step: int, values: dict[str, float]) -> None:
    """Writes a line of metrics: step first, then by name, what is a number."""
    values = {n: value for n, value in values.items() if math.isfinite(value)}
    self._line(METRICS, step, values)
    if self._board is not None:
      for name, value in values.items():
        self._board.add_scalar(name, value, step)

  def write_timing(self, step: int, values: dict[str, float]) -> None:
    """Writes a line of timings."""
    self._line(TIMINGS, step, values)

  def write_event(self, step: int, values: dict[str, Any]) -> None:
    """Writes what is out of the ordinary about a step."""
    if self._is_leader:
      with self._path.with_name(EVENTS).open("a") as file:
        file.write(json.dumps({"step": step} | values) + "\n")

  def _line(self, name, step, values):
    if self._is_leader:
      record = {"step": step} | {k: float(values[k]) for k in sorted(values)}
      self._files[name].write(json.dumps(record) + "\n")
      self._files[name].flush()

  def digest(self) -> str:
    """Returns the digest of the metrics, which are on the disk then."""
    if not self._is_leader:
      return ""
    for file in self._files.values():
      os.fsync(file.fileno())
    return files.digest(self._path)

  def advance(self, **shown: str) -> None:
    """Moves the bar by a step; `shown` is written beside it."""
    if shown:
      self._bar.set_postfix(shown, refresh=False)
    self._bar.update()


def _open_board(path: pathlib.Path, first_step: int):
  """Opens TensorBoard's writer where tensorboardX is installed."""
  try:
    import tensorboardX
  except ImportError:
    return None
  return tensorboardX.SummaryWriter(str(path), purge_step=first_step + 1)
