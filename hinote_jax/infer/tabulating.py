"""Writes the tables of a trained run as a file that stands for the network.

python -m hinote_jax.infer.tabulating WORKDIR lut.npz [--provenance TEXT]

The file takes any field: what the run was told of the range of its own is left
out.
"""

import argparse
from collections.abc import Sequence
import os
import sys

from hinote_jax import models
from hinote_jax.cli import command_line
from hinote_jax.interop import tables
from hinote_jax.train import checkpoint


def tabulate(
  workdir: str | os.PathLike,
  path: str | os.PathLike,
  *,
  which: str = "best",
  provenance: str = "",
) -> None:
  """Writes the tables of a run.

  Args:
    workdir: of the run.
    path: the file, see `tables.save`.
    which: the checkpoint, "best" or "latest".
    provenance: of what and how it was trained, and the licence.

  Raises:
    FileNotFoundError: there is no such run, or no checkpoint yet.
    ValueError: the run is of a network that has no tables.
  """
  variables, meta = checkpoint.load_variables(workdir, which)
  name = meta["model"]["name"]
  if not models.spec(name).is_tabulated:
    raise ValueError(f"{workdir} is a run of {name}, which has no tables")
  own = {"name", "channels", "limits"}
  kwargs = {k: v for k, v in meta["model"].items() if k not in own}
  _, tabulated = models.build(name, **kwargs).tabulated(variables)
  kwargs["is_table"] = True
  tables.save(path, name, kwargs, tabulated, provenance=provenance)


def main(arguments: Sequence[str] | None = None) -> int:
  """Writes; returns 2 where there is no such run, else 0."""
  parser = argparse.ArgumentParser(
    prog="python -m hinote_jax.infer.tabulating", description=__doc__
  )
  parser.add_argument("workdir")
  parser.add_argument("file")
  parser.add_argument("--which", choices=("best", "latest"), default="best")
  parser.add_argument("--provenance", default="")
  given = parser.parse_args(arguments)
  try:
    tabulate(
      given.workdir,
      given.file,
      which=given.which,
      provenance=given.provenance,
    )
  except (OSError, ValueError) as error:
    return command_line.print_error(error)
  return 0


if __name__ == "__main__":
  sys.exit(main())
