"""Prints what a checkpoint file is, its tensors, and what would be built.

python -m hinote_jax.interop.inspect FILE [--widen] [option=value ...]
"""

import argparse
from collections.abc import Mapping, Sequence
import math
import os
import sys
from typing import Any

from hinote_jax import interop
from hinote_jax.cli import command_line
from hinote_jax.interop import checkpoints, layout, reader


def describe(
  path: str | os.PathLike, *, widen: bool = False, **options: Any
) -> str:
  """Returns what is to be said of a file, in lines.

  Args:
    path: of the file.
    widen: take half-precision tensors.
    **options: of `interop.load_checkpoint`.

  Raises:
    FileNotFoundError: no such file.
    ValueError: it cannot be read.
  """
  contents = reader.read(path, widen=widen)
  values = sum(tensor.size for tensor in contents.tensors.values())
  where = f" under {contents.held_in!r}" if contents.held_in else ""
  lines = [
    f"{os.fspath(path)}: {contents.kind}, {len(contents.tensors)} tensors of "
    f"{values:,} values{where}"
  ]
  if contents.spec:
    lines.append(f"beside them: {contents.spec}")
  width = max(map(len, contents.tensors))
  lines += [
    f"  {name:{width}}  {tensor.dtype}  {' x '.join(map(str, tensor.shape))}"
    for name, tensor in contents.tensors.items()
  ]
  try:
    imported = checkpoints.from_contents(contents, **options)
  except ValueError as error:
    return "\n".join([*lines, f"no model: {error}"])
  return "\n".join([*lines, *_model(imported)])


def _model(imported: interop.Imported) -> list[str]:
  """Returns the call that builds the model, and what could be told of it."""
  arguments = ", ".join(f"{k}={v!r}" for k, v in imported.kwargs.items())
  lines = [
    f"model: models.build({imported.name!r}, {arguments})",
    f"parameters: {_count(imported.variables['params']):,}",
  ]
  found = list(layout.layouts().values())
  options = next(f.options for f in found if f.model == imported.name)
  if options:
    known = ", ".join(f"{k}={v!r}" for k, v in options.items())
    lines.append(f"options, with what the release has: {known}")
  return lines


def _count(tree: Mapping[str, Any]) -> int:
  return sum(
    _count(leaf) if isinstance(leaf, Mapping) else math.prod(leaf.shape)
    for leaf in tree.values()
  )


def main(arguments: Sequence[str] | None = None) -> int:
  """Prints; returns 2 where the file cannot be read, else 0."""
  parser = argparse.ArgumentParser(
    prog="python -m hinote_jax.interop.inspect", description=__doc__
  )
  parser.add_argument("file")
  parser.add_argument("options", nargs="*", metavar="name=value")
  parser.add_argument(
    "--widen", action="store_true", help="take half-precision tensors"
  )
  given = parser.parse_args(arguments)
  try:
    options = dict(map(interop.parse_option, given.options))
    print(describe(given.file, widen=given.widen, **options))
  except (OSError, ValueError) as error:
    return command_line.print_error(error)
  return 0


if __name__ == "__main__":
  sys.exit(main())
