"""Flags read with a sentence, not a traceback, for what is misspelt.

What reads them is imported when it is asked to: a command that says only what
is wrong does not wait for it.
"""

import os
import pathlib
import runpy
import sys
import traceback

from hinote_jax.core import naming

_CONFIG = "--config="
_FIELD = "--config."
# Whose errors are sentences to a user: the package, its configs and its flags.
_EXPECTED = ("__main__", "<run_path>", "hinote_jax", "absl.flags", "argparse")
# configs/ lies beside the package; in it, where a wheel has been installed.
_HOMES = [pathlib.Path(__file__).parents[2]]
_HOMES += [pathlib.Path(__file__).parents[1] / "shipped"]
_ROOT = next(
  (h for h in _HOMES if (h / "configs/hinote.py").is_file()), _HOMES[0]
)


def print_error(error: Exception) -> int:
  """Says what is wrong in one sentence; returns the exit code for that.

  What a library raised, and nobody here expected, comes with how to find where.
  """
  if os.environ.get("HINOTE_JAX_TRACEBACK"):
    traceback.print_exc()
  print(f"hinote_jax: {error}", file=sys.stderr)
  frames = [f for f, _ in traceback.walk_tb(error.__traceback__)]
  names = [f.f_globals.get("__name__", "") for f in frames[-1:]]
  if any(not name.startswith(_EXPECTED) for name in names):
    print("(HINOTE_JAX_TRACEBACK=1 shows where)", file=sys.stderr)
  return 2


def _placed(arguments: list[str]) -> list[str]:
  """Returns the arguments; configs of the package are found from any folder.

  Raises:
    FileNotFoundError: there is no such config file.
  """
  arguments = list(arguments)
  # A config of one's own may build on them, too.
  sys.path.append(str(_ROOT))
  for i, argument in enumerate(arguments):
    if argument in ("--config", "-config") and i + 1 < len(arguments):
      arguments[i : i + 2] = ["", f"{_CONFIG}{arguments[i + 1]}"]
    elif argument.startswith(("-config=", _CONFIG)):
      path, colon, run = argument.partition("=")[2].partition(":")
      if not os.path.isfile(path) and (_ROOT / path).is_file():
        path = str(_ROOT / path)
        sys.path.insert(0, str(_ROOT))
      if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no config file {path!r}")
      arguments[i] = f"{_CONFIG}{path}{colon}{run}"
  return [argument for argument in arguments if argument]


def _check_fields(arguments: list[str]) -> None:
  """Raises ValueError for an overridden field that the config has not."""
  import ml_collections

  names = [a for a in arguments if a.startswith(_CONFIG)]
  if not names:
    return
  path, _, run = names[-1].removeprefix(_CONFIG).partition(":")
  try:
    make = runpy.run_path(path)["get_config"]
    config = make(run) if run else make()
  except ValueError:
    raise
  except Exception as error:  # of code that is not ours
    raise ValueError(
      f"config file {path}: {type(error).__name__}: {error}"
    ) from error
  for argument in arguments:
    if not argument.startswith(_FIELD):
      continue
    part, place = config, "config"
    for name in argument.removeprefix(_FIELD).partition("=")[0].split("."):
      if not isinstance(part, ml_collections.ConfigDict):
        raise ValueError(f"{place} in {argument} has no fields")
      part = naming.look_up(f"config field in {argument}", name, dict(part))
      place = f"{place}.{name}"


def check(arguments: list[str]) -> list[str]:
  """Returns the arguments, configs of the package by their whole paths.

  Raises:
    FileNotFoundError: there is no such config file.
    ValueError: the config has no such run, or not the fields of the arguments.
  """
  arguments = _placed(arguments)
  _check_fields(arguments)
  return arguments


def parse(arguments: list[str]) -> list[str]:
  """Reads the flags, or says what is wrong with them and exits."""
  from absl import flags

  try:
    return flags.FLAGS(check(arguments))
  except (flags.Error, ValueError, TypeError, OSError) as error:
    sys.exit(print_error(error))
