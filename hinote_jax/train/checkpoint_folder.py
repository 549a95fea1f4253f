"""One checkpoint on the disk: a folder, and one thing under one digest.

  state      the tree, as Orbax writes it; of a run that was cut down for others
             one file of NumPy, which reads alike for good
  meta.json  what belongs with it, digests of the tree and of the files that
             hold it, and one of all that

Nothing of it is used before the digests are found to be right, because flipped
bits otherwise go unseen. Where they are, or the system does not read, it is not
damaged, whatever fails: it may be read another time. Those of earlier versions,
with a digest of the values alone, are read as well.
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
_ABSENT = (FileNotFoundError, NotADirectoryError)


class Damaged(ValueError):
  """What is on the disk is not what was written."""


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
    Damaged: it is not what was written, or is not there.
    OSError: the system does not read it.
  """
  path = folder / _META
  try:
    if not path.exists():
      return json.loads((folder / "meta" / "metadata").read_text())
    meta = json.loads(path.read_text())
    if meta["sha256"] != digests.sealed(meta)["sha256"]:
      raise ValueError(f"{path.name} does not match its digest")
  except (
    *_ABSENT,
    ValueError,
    LookupError,
    TypeError,
    RecursionError,
  ) as error:
    raise Damaged(f"step {folder.name}: {inputs.line(error)}") from error
  return meta


def read(folder: pathlib.Path, template: Any | None) -> tuple[Any, dict]:
  """Reads a checkpoint, into the shape of a template where there is one.

  Raises:
    Damaged: it is not what was written; of earlier versions, whose files have
      no digest, it cannot be read.
    ValueError: it is whole and cannot be read, or is not of the template.
    OSError: the system does not read it.
  """
  meta = read_meta(folder)
  version = meta.get("digest", 1)
  if version > 2 and digests.of_files(folder / _STATE) != meta.get("files"):
    raise Damaged(f"step {folder.name}: its files do not match their digest")
  try:
    state = _read_state(folder / _STATE, template)
  except Exception as error:  # Orbax raises many kinds
    kind = ValueError if version > 2 else Damaged
    if isinstance(error, OSError) and not isinstance(error, _ABSENT):
      kind = OSError
    raise kind(f"step {folder.name}: {inputs.line(error)}") from error
  known = meta.get("values" if version > 2 else "sha256")
  if digests.of_tree(state, min(version, 2)) != known:
    raise Damaged(f"step {folder.name}: its values do not match their digest")
  return state, meta


def _read_state(folder: pathlib.Path, template: Any | None) -> Any:
  if not (folder / _ARRAYS).is_file():
    with _orbax() as reader:
      return host(reader.restore(folder, template))
  if template is not None:
    raise ValueError("it has weights alone, from which no training goes on")
  with np.load(folder / _ARRAYS) as arrays:
    return traverse_util.unflatten_dict(dict(arrays), sep="/")
