"""Digests of what a checkpoint holds: of values, of files, of what belongs."""

import hashlib
import json
import pathlib
from typing import Any

import jax
import numpy as np

from hinote_jax.io import files


def _named(tree: Any) -> dict[str, Any]:
  """Returns the leaves of a tree by their paths."""
  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): leaf
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def of_tree(tree: Any, version: int = 2) -> str:
  """Returns the SHA-256 of the paths and values of a tree.

  A tree read back without a template has dictionaries where dataclasses were,
  and another order of leaves, but the same paths.

  Args:
    tree: of arrays.
    version: 1 leaves the paths out and sorts the leaves' own digests, so that
      two that change places go unseen; checkpoints without a mark have it.
  """
  leaves = []
  for name, leaf in _named(tree).items():
    leaf = np.ascontiguousarray(leaf)
    own = hashlib.sha256(f"{leaf.dtype}{leaf.shape}".encode())
    own.update(leaf.reshape(-1).view(np.uint8).data)
    prefix = f"\n{name} " if version > 1 else ""
    leaves.append(prefix + own.hexdigest())
  return hashlib.sha256("".join(sorted(leaves)).encode()).hexdigest()


def sealed(meta: dict[str, Any]) -> dict[str, Any]:
  """Returns what belongs with a state as JSON has it, with the digest of it.

  The files are left out: Orbax writes the time into them, and equal runs have
  equal digests.
  """
  meta = json.loads(json.dumps(meta | {"sha256": ""}))
  text = json.dumps(meta | {"files": ""}, sort_keys=True)
  return meta | {"sha256": hashlib.sha256(text.encode()).hexdigest()}


def of_files(folder: pathlib.Path) -> str:
  """Returns a digest of the names and contents of all files in a folder."""
  known = hashlib.sha256()
  for path in sorted(p for p in folder.rglob("*") if p.is_file()):
    name = path.relative_to(folder).as_posix()
    known.update(f"{name} {files.digest(path)}\n".encode())
  return known.hexdigest()
