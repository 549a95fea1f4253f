"""Checkpoints of a workdir: the latest ones and the best on validation.

Each is a folder called after its step, see `checkpoint_folder`.
"""

from collections.abc import Mapping
from concurrent import futures
import contextlib
import math
import os
import pathlib
from typing import Any

from absl import logging
import jax

from hinote_jax.core import naming
from hinote_jax.io import files, inputs
from hinote_jax.train import checkpoint_folder, peers

DIRECTORY = "checkpoints"
BEST_KEY = "validation/error"  # lower is better


def _error(meta: Mapping[str, Any]) -> float:
  """Returns the validation error of a checkpoint, infinite without one."""
  error = meta.get("metrics", {}).get(BEST_KEY, math.inf)
  return math.inf if math.isnan(error) else error


class Checkpoints:
  """The checkpoints of one workdir; use as a context manager."""

  def __init__(
    self,
    workdir: str | os.PathLike,
    *,
    keep: int = 2,
    is_reader: bool = False,
    is_behind: bool = False,
  ):
    """Opens the folder, or makes it; what killed runs left is removed.

    Args:
      workdir: of the run.
      keep: how many of the latest to keep, beside the best.
      is_reader: change nothing: neither make the folder nor tidy it up, since
        a run may be writing in it.
      is_behind: write while training goes on; see `finish`.
    """
    self.path = pathlib.Path(workdir).absolute() / DIRECTORY
    self._keep, self._is_leader = keep, jax.process_index() == 0
    self._writer = futures.ThreadPoolExecutor(1) if is_behind else None
    self._under_way: tuple[int, futures.Future | None] | None = None
    if is_reader or not self._is_leader:
      return
    self.path.mkdir(parents=True, exist_ok=True)
    files.tidy(self.path)
    for stray in self.path.glob("*.orbax-checkpoint-tmp*"):
      files.remove(stray)

  def __enter__(self):
    return self

  def __exit__(self, kind, *_):
    if kind is None:
      self.finish()
    if self._writer is not None:
      self._writer.shutdown()  # what was begun is written

  @property
  def steps(self) -> list[int]:
    """Steps of the checkpoints there are, in order."""
    if not self.path.is_dir():
      return []
    return sorted(int(p.name) for p in self.path.iterdir() if p.name.isdigit())

  def _folder(self, step: int) -> pathlib.Path:
    return self.path / str(step)

  def metas(self) -> dict[int, dict[str, Any]]:
    """Returns what belongs with each checkpoint, where that is whole.

    Raises:
      OSError: the system does not read one.
    """
    whole = {}
    for step in self.steps:
      with contextlib.suppress(checkpoint_folder.Damaged):
        whole[step] = checkpoint_folder.read_meta(self._folder(step))
    return whole

  def save(
    self,
    step: int,
    state: Any,
    meta: dict,
    metrics: Mapping[str, float],
  ) -> None:
    """Writes a checkpoint; what was there before stays until it is whole.

    Where it is written behind, that of before is waited for, and its errors
    are those of now.

    Args:
      step: its number.
      state: any tree.
      meta: what belongs with it, as JSON.
      metrics: of validation; `BEST_KEY` says which checkpoint is best. One
        without goes when the next is there.

    Raises:
      OSError: it cannot be written; names the last checkpoint that stands.
    """
    self.finish()
    written = None
    if self._is_leader:
      scores = {name: float(value) for name, value in metrics.items()}
      meta = {**meta, "step": step, "metrics": scores}
      if self._writer is None:
        self._save(step, state, meta)
      else:
        written = self._writer.submit(
          self._save, step, checkpoint_folder.own(state), meta
        )
    self._under_way = step, written
    if self._writer is None:
      self.finish()

  def finish(self) -> None:
    """Waits for what is written behind, and for all processes.

    Raises:
      OSError: it could not be written.
    """
    if self._under_way is None:
      return
    (step, written), self._under_way = self._under_way, None
    if written is not None:
      written.result()
    peers.barrier(f"checkpoint {step}")

  def _save(self, step: int, state: Any, meta: dict[str, Any]) -> None:
    before = self.steps
    try:
      with files.whole(self._folder(step)) as partial:
        checkpoint_folder.write(partial, checkpoint_folder.host(state), meta)
    except OSError as error:
      left = f"step {before[-1]} is still there" if before else "none was"
      raise OSError(
        f"cannot write the checkpoint of step {step} in {self.path} "
        f"({inputs.line(error)}); of earlier checkpoints, {left}"
      ) from error
    self._retain()

  def _retain(self) -> None:
    """Removes all but the latest and the best."""
    metas = self.metas()
    scored = [step for step, meta in metas.items() if meta.get("metrics")]
    kept = {*scored[-self._keep :], *self.steps[-1:]}
    kept |= (
      {min(scored, key=lambda s: (_error(metas[s]), s))} if scored else set()
    )
    for step in set(self.steps) - kept:
      self._remove(step)

  def _remove(self, step: int) -> None:
    """Removes a checkpoint; it never stands half under its name."""
    if self._is_leader:
      old = files.aside(self._folder(step), "tmp")
      os.replace(self._folder(step), old)
      files.remove(old)

  def restore(self, like: Any) -> tuple[Any, dict] | None:
    """Returns the latest whole checkpoint as (state, meta), or None.

    Damaged ones that are later are removed, so that the run can write them
    again, and what `save` would not have kept. One that is whole and cannot be
    read now is left, and none is taken in its place.

    Raises:
      ValueError: checkpoints exist and none of them is whole, or the latest
        whole one is of another state.
      OSError: the system does not read one.
    """
    steps = self.steps[::-1]
    if not steps:
      return None
    state, meta, damaged = self._first_whole(
      steps, checkpoint_folder.host(like)
    )
    for step in damaged:
      self._remove(step)
    if self._is_leader:
      self._retain()  # a killed run may not have come to it
    return state, meta

  def before(self, step: int, like: Any) -> tuple[Any, dict] | None:
    """Returns the latest whole checkpoint before a step, or None; only reads.

    Args:
      step: that one and those after it are left out.
      like: what its state looks like.

    Raises:
      ValueError: those before it are all damaged.
    """
    steps = [known for known in self.steps[::-1] if known < step]
    template = checkpoint_folder.host(like)
    return self._first_whole(steps, template)[:2] if steps else None

  def _first_whole(
    self, steps: list[int], template: Any | None = None
  ) -> tuple[Any, dict, list[int]]:
    """Reads the first checkpoint that is whole; says what it stands for.

    Returns:
      its state, what belongs with it, and those before it.
    """
    damaged = {}
    for step in steps:
      try:
        state, meta = checkpoint_folder.read(self._folder(step), template)
      except checkpoint_folder.Damaged as error:
        damaged[step] = str(error)
        continue
      if damaged:
        logging.warning(
          "of the checkpoints in %s, damaged: %s; taking step %d",
          self.path,
          "; ".join(damaged.values()),
          step,
        )
      return state, meta, list(damaged)
    raise ValueError(
      f"no checkpoint in {self.path} can be read "
      f"({'; '.join(damaged.values())}): move the folder away to start afresh"
    )

  def load(
    self, which: str = "best", *, falls_back: bool = False
  ) -> tuple[Any, dict]:
    """Returns (state, meta) of the "best" or "latest" as plain NumPy trees.

    Args:
      which: one of them; without any scores the best is the latest.
      falls_back: where it is damaged take the newest that is not.

    Raises:
      FileNotFoundError: there is no checkpoint.
      ValueError: `which` is unknown, or what was to be read is damaged.
    """
    naming.look_up("checkpoint", which, dict.fromkeys(("best", "latest")))
    steps = self.steps[::-1]
    if not steps:
      raise FileNotFoundError(f"there is no checkpoint in {self.path}")
    if which == "best":
      metas = self.metas()
      for step in set(steps) - metas.keys():
        logging.warning("step %d in %s is damaged", step, self.path)
      steps.sort(key=lambda s: _error(metas.get(s, {})))
      # Then the newest.
      steps[1:] = sorted(steps[1:], reverse=True)
    if falls_back:
      return self._first_whole(steps)[:2]
    try:
      return checkpoint_folder.read(self._folder(steps[0]), None)
    except checkpoint_folder.Damaged as error:
      raise ValueError(
        f"the {which} checkpoint in {self.path} is damaged ({error})"
      ) from error


def load(
  workdir: str | os.PathLike, which: str = "best", *, falls_back: bool = False
) -> tuple[dict, dict] | None:
  """Returns the state and what belongs with it, or None if nothing was saved.

  Args:
    workdir: of a run.
    which: "best" on validation or "latest".
    falls_back: where it is damaged take the newest that is not, and say so.

  Raises:
    ValueError: the checkpoint is damaged.
  """
  checkpoints = Checkpoints(workdir, is_reader=True)
  if not checkpoints.steps:
    return None
  return checkpoints.load(which, falls_back=falls_back)


def averaged(state: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the variables of the model with its parameters averaged.

  Args:
    state: as `step.TrainState.to_dict` has it, or as it is read back.
  """
  untrained = state.get("untrained", {}).get("model", {})
  return {"params": state["average"], **untrained}


def load_variables(
  workdir: str | os.PathLike, which: str = "best"
) -> tuple[dict, dict]:
  """Returns a trained model's variables and what belongs with them.

  Its parameters are averaged; the collections beside them are as they were.
  Where it is damaged the newest that is not stands for it.

  Raises:
    FileNotFoundError: there is no checkpoint.
    ValueError: all of them are damaged.
  """
  stored = load(workdir, which, falls_back=True)
  if stored is None:
    raise FileNotFoundError(f"there is no checkpoint in {workdir}")
  state, meta = stored
  variables = averaged(state)
  return variables, meta | {"model": _named(meta["model"], variables)}


def _named(model: dict[str, Any], variables: Any) -> dict[str, Any]:
  """Returns a network's arguments: older ones that name no preset have levels.

  Only hinote has presets, and a hierarchy.
  """
  if model["name"] != "hinote" or "preset" in model:
    return model
  paths = jax.tree_util.tree_leaves_with_path(variables)
  is_in = any("hierarchy" in jax.tree_util.keystr(path) for path, _ in paths)
  return model | ({"preset": "levels"} if is_in else {})
