"""Cuts a run down to what inference reads, small enough to be given to others.

python -m hinote_jax.infer.cutting WORKDIR FOLDER

Kept are the best weights, averaged, as one file of NumPy without what only
training needs; the config; what the run was told of the place, and how far it
is to be trusted at far scales. The folder is a checkpoint like the workdir, and
answers the same to the last bit.
"""

import argparse
from collections.abc import Sequence
import os
import pathlib
import shutil
import sys

from hinote_jax.cli import command_line
from hinote_jax.evaluate import far
from hinote_jax.io import files
from hinote_jax.train import (
  checkpoint,
  checkpoint_folder,
  static_run,
  workdir,
)

# Of training, and of no use without its state.
_OF_TRAINING = ("log", "guard")


def cut(run: str | os.PathLike, folder: str | os.PathLike) -> None:
  """Writes a run without what only training needs.

  Args:
    run: workdir of a run.
    folder: to be written, in the place of the one that is there.

  Raises:
    FileNotFoundError: there is no checkpoint.
    OSError: it cannot be written.
    ValueError: every checkpoint is damaged.

  Examples:
    >>> cut("runs/none", "small")
    Traceback (most recent call last):
    FileNotFoundError: there is no checkpoint in runs/none
  """
  run, folder = pathlib.Path(run), pathlib.Path(folder)
  variables, meta = checkpoint.load_variables(run)
  state = {"average": variables.pop("params")}
  if variables:
    state["untrained"] = {"model": variables}
  kept_meta = {k: v for k, v in meta.items() if k not in _OF_TRAINING}
  with files.whole(folder) as partial:
    checkpoints = partial / checkpoint.DIRECTORY
    checkpoints.mkdir(parents=True)
    checkpoint_folder.write(
      checkpoints / str(meta["step"]), state, kept_meta, is_final=True
    )
    workdir.write_json(partial / workdir.CONFIG, workdir.read_config(run))
    for name in (far.FILE, static_run.FILE):
      if (run / name).is_file():
        shutil.copyfile(run / name, partial / name)


def main(arguments: Sequence[str] | None = None) -> int:
  """Cuts; returns 2 where there is no such run, else 0."""
  parser = argparse.ArgumentParser(
    prog="python -m hinote_jax.infer.cutting", description=__doc__
  )
  parser.add_argument("workdir")
  parser.add_argument("folder")
  given = parser.parse_args(arguments)
  try:
    cut(given.workdir, given.folder)
  except (OSError, ValueError) as error:
    return command_line.print_error(error)
  return 0


if __name__ == "__main__":
  sys.exit(main())
