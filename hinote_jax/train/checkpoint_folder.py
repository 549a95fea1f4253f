"""One checkpoint on the disk: a folder, and one thing under one digest.

  state      the tree, as Orbax writes it; of a run that was cut down for others
             one file of NumPy, which reads alike for good
  meta.json  what belongs with it, digests of the tree and of the files that
             hold it, and one of all that

Nothing of it is used before the digests are found to be right, because flipped
bits otherwise go unseen. Those of earlier versions, with a digest of the values
alone, are read as well.
"""

import json
import pathlib
from typing import Any

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax.io import inputs
from hinote_jax.train import digests

_STATE, _META = "state", "meta.json"
_ARRAYS = "arrays.npz"


def host(tree: Any) -> Any:
  """Copies a tree to NumPy: what is saved knows nothing of devices."""
  return jax.tree.map(np.asarray, jax.device_get(tree))


@jax.jit
def _device_copy(tree: Any) -> Any:
  """Copies a tree where it is, in one call that does not wait for it."""
  return jax.tree.map(jnp.copy, tree)


def own(tree: Any) -> Any:
  """Copies a tree, for steps may use its memory again."""
  if all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(tree)):
    return _device_copy(tree)
  return jax.tree.map(np.array, tree)


def _orbax() -> Any:
  """Returns what reads or writes a tree in this process, whatever others do.

  Left to itself Orbax waits for all processes, by a collective that gives up
  where one of them is late.
  """
  import orbax.checkpoint as ocp  # slow to import, and only needed here

  options: dict[str, Any] = {}
  if jax.process_count() > 1:
    own = jax.process_index()
    options["multiprocessing_options"] = ocp.options.MultiprocessingOptions(
      primary_host=own,
      active_processes={own},
      barrier_sync_key_prefix=f"state of {own}",
    )
  return ocp.Checkpointer(ocp.StandardCheckpointHandler(**options), **options)


def write(
  folder: pathlib.Path,
  state: Any,
  meta: dict[str, Any],
  *,
  is_final: bool = False,
) -> None:
  """Makes the folder of a checkpoint.

  Args:
    folder: which must not be there.
    state: any tree.
    meta: what belongs with it, as JSON.
    is_final: no training goes on from it; its tree, of dictionaries, is one
      file of NumPy.

  Raises:
    OSError: it cannot be written.
  """
  folder.mkdir()
  try:
    if is_final:
      (folder / _STATE).mkdir()
      arrays: Any = traverse_util.flatten_dict(state, sep="/")
      np.savez_compressed(folder / _STATE / _ARRAYS, **arrays)
    else:
      with _orbax() as writer:
        writer.save(folder / _STATE, state)
  except Exception as error:  # Orbax raises many kinds where a disk is full
    raise OSError(inputs.line(error)) from error
  meta = meta | {"values": digests.of_tree(state), "digest": 3}
  meta = digests.sealed(meta) | {"files": digests.of_files(folder / _STATE)}
  text = json.dumps(meta, indent=2) + "\n"
  (folder / _META).write_text(text, encoding="utf-8")


def read_meta(folder: pathlib.Path) -> dict[str, Any]:
  """Reads what belongs with a state.

  Raises:
    ValueError: it is damaged.
  """
  path = folder / _META
  try:
    if not path.exists():
      return json.loads((folder / "meta" / "metadata").read_text())
    meta = json.loads(path.read_text())
    if meta["sha256"] != digests.sealed(meta)["sha256"]:
      raise ValueError(f"{path.name} does not match its digest")
  except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
    raise ValueError(f"step {folder.name}: {inputs.line(error)}") from error
  return meta


def read(folder: pathlib.Path, template: Any | None) -> tuple[Any, dict]:
  """Reads a checkpoint, into the shape of a template where there is one.

  Raises:
    ValueError: it is damaged, or is not of the template.
  """
  meta = read_meta(folder)
  version = meta.get("digest", 1)
  if version > 2 and digests.of_files(folder / _STATE) != meta.get("files"):
    raise ValueError(f"step {folder.name}: its files do not match their digest")
  try:
    state = _read_state(folder / _STATE, template)
    known = meta["values"] if version > 2 else meta["sha256"]
    is_whole = digests.of_tree(state, min(version, 2)) == known
  except Exception as error:  # Orbax raises many kinds for a damaged file
    raise ValueError(f"step {folder.name}: {inputs.line(error)}") from error
  if not is_whole:
    raise ValueError(
      f"step {folder.name}: its values do not match their digest"
    )
  return state, meta


def _read_state(folder: pathlib.Path, template: Any | None) -> Any:
  if not (folder / _ARRAYS).is_file():
    with _orbax() as reader:
      return host(reader.restore(folder, template))
  if template is not None:
    raise ValueError("it has weights alone, from which no training goes on")
  with np.load(folder / _ARRAYS) as arrays:
    return traverse_util.unflatten_dict(dict(arrays), sep="/")
