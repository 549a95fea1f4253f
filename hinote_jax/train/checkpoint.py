"""Checkpoints of a workdir: the latest ones and the best on validation.

A thin hold on Orbax. Every checkpoint carries a digest of its values, because
a file with flipped bits otherwise restores without complaint.
"""

from collections.abc import Mapping
import hashlib
import os
import pathlib
from typing import Any

from absl import logging
import jax
import numpy as np

from hinote_jax.core import naming

DIRECTORY = "checkpoints"
BEST_KEY = "validation/error"  # lower is better


def _host(tree: Any) -> Any:
  """Copies a tree to NumPy: what is saved knows nothing of devices."""
  return jax.tree.map(np.asarray, jax.device_get(tree))


def digest(tree: Any, version: int = 2) -> str:
  """Returns the SHA-256 of the paths and values of a tree.

  A tree read back without a template has dictionaries where dataclasses were,
  and another order of leaves, but the same paths.

  Args:
    tree: of arrays.
    version: 1 leaves the paths out and sorts the leaves' own digests, so that
      two that change places go unseen; checkpoints without a mark have it.
  """
  leaves = []
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    leaf = np.ascontiguousarray(leaf)
    own = hashlib.sha256(f"{leaf.dtype}{leaf.shape}".encode())
    own.update(leaf.data)
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    prefix = f"\n{name} " if version > 1 else ""
    leaves.append(prefix + own.hexdigest())
  return hashlib.sha256("".join(sorted(leaves)).encode()).hexdigest()


def _reason(error: Exception) -> str:
  return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


class Checkpoints:
  """The checkpoints of one workdir; use as a context manager."""

  def __init__(
    self,
    workdir: str | os.PathLike,
    *,
    keep: int = 2,
    is_reader: bool = False,
  ):
    """Opens the folder, or makes it.

    Args:
      workdir: of the run.
      keep: how many of the latest to keep, beside the best.
      is_reader: change nothing: neither make the folder nor tidy it up, since
        a run may be writing in it.
    """
    import orbax.checkpoint as ocp  # slow to import, and only needed here
    from orbax.checkpoint import checkpoint_managers as managers

    self._ocp = ocp
    self.path = pathlib.Path(workdir).absolute() / DIRECTORY
    best = managers.BestN(
      get_metric_fn=lambda metrics: metrics[BEST_KEY], reverse=True, n=1
    )
    verbosity = logging.get_verbosity()
    if is_reader:  # Orbax warns that reading is what it is asked for
      logging.set_verbosity(logging.ERROR)
    try:
      options = ocp.CheckpointManagerOptions(
        preservation_policy=managers.AnyPreservationPolicy(
          [managers.LatestN(keep), best]
        ),
        best_fn=lambda metrics: metrics[BEST_KEY],
        best_mode="min",
        enable_async_checkpointing=False,
        cleanup_tmp_directories=not is_reader,
        create=not is_reader,
        read_only=is_reader,
      )
      self._manager = ocp.CheckpointManager(
        self.path, options=options, item_names=("state", "meta")
      )
    finally:
      logging.set_verbosity(verbosity)

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._manager.close()

  @property
  def steps(self) -> list[int]:
    """Steps of the checkpoints there are, in order."""
    return sorted(self._manager.all_steps())

  def save(
    self, step: int, state: Any, meta: dict, metrics: dict[str, float]
  ) -> None:
    """Writes a checkpoint; what was there before stays until it is whole.

    Args:
      step: its number.
      state: any tree.
      meta: what belongs with it, as JSON.
      metrics: of validation; `BEST_KEY` says which checkpoint is best.

    Raises:
      OSError: it cannot be written; names the last checkpoint that stands.
    """
    args = self._ocp.args
    state = _host(state)
    meta = {**meta, "step": step, "sha256": digest(state), "digest": 2}
    meta["metrics"] = {name: float(value) for name, value in metrics.items()}
    before = self.steps
    try:
      is_saved = self._manager.save(
        step,
        args=args.Composite(
          state=args.StandardSave(state), meta=args.JsonSave(meta)
        ),
        metrics=meta["metrics"],
      )
      if not is_saved:
        raise ValueError("a later step is there already")
    except Exception as error:
      kept = f"step {before[-1]} is still there" if before else "none was there"
      raise OSError(
        f"cannot write the checkpoint of step {step} in {self.path} "
        f"({_reason(error)}); of earlier checkpoints, {kept}"
      ) from error

  def _read(self, step: int, template: Any | None) -> tuple[Any, dict]:
    """Reads a checkpoint; raises ValueError where its values are damaged."""
    args = self._ocp.args
    try:
      restored = self._manager.restore(
        step,
        args=args.Composite(
          state=args.StandardRestore(template), meta=args.JsonRestore()
        ),
      )
    except Exception as error:  # Orbax raises many kinds for a damaged file
      raise ValueError(f"step {step}: {_reason(error)}") from error
    state, meta = _host(restored["state"]), restored["meta"]
    if digest(state, meta.get("digest", 1)) != meta["sha256"]:
      raise ValueError(f"step {step}: its values do not match their digest")
    return state, meta

  def restore(self, like: Any) -> tuple[Any, dict] | None:
    """Returns the latest whole checkpoint as (state, meta), or None.

    Damaged ones that are later are removed, so that the run can write them
    again.

    Raises:
      ValueError: checkpoints exist and none of them is whole.
    """
    template = _host(like)
    damaged = {}
    for step in reversed(self.steps):
      try:
        state, meta = self._read(step, template)
      except ValueError as error:
        damaged[step] = str(error)
        continue
      for later in damaged:
        self._manager.delete(later)
      return state, meta
    if damaged:
      raise ValueError(
        f"no checkpoint in {self.path} can be read "
        f"({'; '.join(damaged.values())}): move the folder away to start afresh"
      )
    return None

  def load(self, which: str = "best") -> tuple[Any, dict]:
    """Returns (state, meta) of the "best" or "latest" as plain NumPy trees.

    Raises:
      FileNotFoundError: there is no checkpoint.
      ValueError: `which` is unknown, or the values are damaged.
    """
    choose = {
      "best": self._manager.best_step,
      "latest": self._manager.latest_step,
    }
    step = naming.look_up("checkpoint", which, choose)()
    if step is None:
      raise FileNotFoundError(f"there is no checkpoint in {self.path}")
    try:
      return self._read(step, None)
    except ValueError as error:
      raise ValueError(
        f"the {which} checkpoint in {self.path} is damaged ({error})"
      ) from error


def load(
  workdir: str | os.PathLike, which: str = "best"
) -> tuple[dict, dict] | None:
  """Returns the state and what belongs with it, or None if nothing was saved.

  Args:
    workdir: of a run.
    which: "best" on validation or "latest".

  Raises:
    ValueError: the checkpoint is damaged.
  """
  if not (pathlib.Path(workdir) / DIRECTORY).is_dir():
    return None
  with Checkpoints(workdir, is_reader=True) as checkpoints:
    return checkpoints.load(which) if checkpoints.steps else None


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

  Raises:
    FileNotFoundError: there is no checkpoint.
    ValueError: it is damaged.
  """
  stored = load(workdir, which)
  if stored is None:
    raise FileNotFoundError(f"there is no checkpoint in {workdir}")
  state, meta = stored
  return averaged(state), meta
