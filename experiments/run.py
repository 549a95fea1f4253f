"""Any experiment by its name.

    python -m experiments.run                     # names them
    python -m experiments.run loss_prior --smoke  # all of it, in minutes
    python -m experiments.run loss_prior          # goes on where it stopped

What follows the name is the experiment's own, as in its README.md.
"""

import pathlib
import runpy
import sys

from hinote_jax.core import naming

_FOLDER = pathlib.Path(__file__).parent


def names() -> tuple[str, ...]:
  """Returns the experiments that there are."""
  return tuple(sorted(path.parent.name for path in _FOLDER.glob("*/run.py")))


def main() -> None:
  """Runs one, or says which there are."""
  name, *rest = sys.argv[1:] or ["--help"]
  if name in ("-h", "--help"):
    print(__doc__, *names(), sep="\n")
    return
  naming.look_up("experiment", name, dict.fromkeys(names()))
  module = f"experiments.{name}.run"
  sys.argv = [module, *rest]
  runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
  main()
