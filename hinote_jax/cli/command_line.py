"""Flags read with a sentence, not a traceback, for what is misspelt."""

import os
import runpy
import sys
import traceback

from absl import flags

from hinote_jax.core import naming

_CONFIG = "--config="
_FIELD = "--config."


def print_error(error: Exception) -> int:
  """Says what is wrong in one sentence; returns the exit code for that."""
  if os.environ.get("HINOTE_JAX_TRACEBACK"):
    traceback.print_exc()
  print(f"hinote_jax: {error}", file=sys.stderr)
  print("(HINOTE_JAX_TRACEBACK=1 shows where)", file=sys.stderr)
  return 2


def _check_fields(arguments: list[str]) -> None:
  """Raises ValueError for an overridden field that the config has not."""
  names = [a for a in arguments if a.startswith(_CONFIG)]
  if not names:
    return
  path, _, run = names[-1].removeprefix(_CONFIG).partition(":")
  if not os.path.isfile(path):
    raise FileNotFoundError(f"there is no config file {path!r}")
  make = runpy.run_path(path)["get_config"]
  config = make(run) if run else make()
  for argument in arguments:
    if not argument.startswith(_FIELD):
      continue
    part = config
    for name in argument.removeprefix(_FIELD).partition("=")[0].split("."):
      part = naming.look_up(f"config field in {argument}", name, part)


def parse(arguments: list[str]) -> list[str]:
  """Reads the flags, or says what is wrong with them and exits."""
  try:
    _check_fields(arguments)
    return flags.FLAGS(arguments)
  except (flags.Error, ValueError, TypeError, OSError) as error:
    sys.exit(print_error(error))
