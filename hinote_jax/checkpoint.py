"""Checkpoints of a workdir: the latest ones and the best on validation.

A thin hold on Orbax. Every checkpoint carries a digest of its values, because
a file with flipped bits otherwise restores without complaint.
"""

import hashlib
import os
import pathlib
from typing import Any

import jax
import numpy as np

DIRECTORY = "checkpoints"
BEST_KEY = "validation/error"  # lower is better


def _host(tree: Any) -> Any:
  """Copies a tree to NumPy: what is saved knows nothing of devices."""
  return jax.tree.map(np.asarray, jax.device_get(tree))


def digest(tree: Any) -> str:
  """Returns the SHA-256 of a tree's values, in the order of its leaves."""
  total = hashlib.sha256()
  for leaf in jax.tree.leaves(tree):
    leaf = np.ascontiguousarray(leaf)
    total.update(f"{leaf.dtype}{leaf.shape}".encode())
    total.update(leaf.data)
  return total.hexdigest()


class Checkpoints:
  """The checkpoints of one workdir; use as a context manager."""

  def __init__(self, workdir: str | os.PathLike, *, keep: int = 2):
    """Opens or makes the folder.

    Args:
      workdir: of the run.
      keep: how many of the latest to keep, beside the best.
    """
    import orbax.checkpoint as ocp  # slow to import, and only needed here
    from orbax.checkpoint import checkpoint_managers as managers

    self._ocp = ocp
    self.path = pathlib.Path(workdir).absolute() / DIRECTORY
    best = managers.BestN(
      get_metric_fn=lambda metrics: metrics[BEST_KEY], reverse=True, n=1
    )
    options = ocp.CheckpointManagerOptions(
      preservation_policy=managers.AnyPreservationPolicy(
        [managers.LatestN(keep), best]
      ),
      best_fn=lambda metrics: metrics[BEST_KEY],
      best_mode="min",
      enable_async_checkpointing=False,
      cleanup_tmp_directories=True,
      create=True,
    )
    self._manager = ocp.CheckpointManager(
      self.path, options=options, item_names=("state", "meta")
    )

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
    meta = {**meta, "step": step, "sha256": digest(state)}
    meta["metrics"] = {name: float(value) for name, value in metrics.items()}
    before = self.steps
    try:
      self._manager.save(
        step,
        args=args.Composite(
          state=args.StandardSave(state), meta=args.JsonSave(meta)
        ),
        metrics=meta["metrics"],
      )
    except Exception as error:
      kept = f"step {before[-1]} is still there" if before else "none was there"
      reason = str(error).strip().splitlines()[0][:200]
      raise OSError(
        f"cannot write the checkpoint of step {step} in {self.path} "
        f"({reason}); of earlier checkpoints, {kept}"
      ) from error

  def _read(self, step: int, template: Any | None) -> tuple[Any, dict]:
    args = self._ocp.args
    restored = self._manager.restore(
      step,
      args=args.Composite(
        state=args.StandardRestore(template), meta=args.JsonRestore()
      ),
    )
    return _host(restored.state), restored.meta

  def restore(self, like: Any) -> tuple[Any, dict] | None:
    """Returns the latest whole checkpoint as (state, meta), or None.

    Raises:
      ValueError: checkpoints exist and none of them is whole.
    """
    template = _host(like)
    reasons = []
    for step in reversed(self.steps):
      try:
        state, meta = self._read(step, template)
      except Exception as error:  # a damaged one: an older may be whole
        reasons.append(f"step {step}: {str(error).splitlines()[0][:120]}")
        continue
      if digest(state) == meta["sha256"]:
        return state, meta
      reasons.append(f"step {step}: its values do not match their digest")
    if reasons:
      raise ValueError(
        f"no checkpoint in {self.path} can be read ({'; '.join(reasons)}): "
        "move the folder away to start afresh"
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
    if which not in choose:
      raise ValueError(f"unknown checkpoint {which!r}; known: best, latest")
    step = choose[which]()
    if step is None:
      raise FileNotFoundError(f"there is no checkpoint in {self.path}")
    state, meta = self._read(step, None)
    return state, meta


def load_variables(
  workdir: str | os.PathLike, which: str = "best"
) -> tuple[dict, dict]:
  """Returns a trained model's averaged variables and what belongs with them.

  Args:
    workdir: of a run.
    which: "best" on validation or "latest".

  Raises:
    FileNotFoundError: there is no checkpoint.
  """
  if not (pathlib.Path(workdir) / DIRECTORY).is_dir():
    raise FileNotFoundError(f"there is no checkpoint in {workdir}")
  with Checkpoints(workdir) as checkpoints:
    state, meta = checkpoints.load(which)
  return {"params": state["average"]}, meta
