"""The command line: trains and evaluates the run of a config.

python -m hinote_jax.main --config=configs/hinote.py:demo --workdir=DIR
"""

import contextlib
import os
import sys

from absl import app, flags, logging
from ml_collections import config_flags

from hinote_jax.cli import command_line
from hinote_jax.train import host_memory, preemption

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "Config file and run, e.g. configs/hinote.py:demo."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")
_MODE = flags.DEFINE_enum(
  "mode", "train", ["train", "evaluate"], "Train and evaluate, or evaluate."
)
_DISTRIBUTED = flags.DEFINE_bool(
  "distributed",
  False,
  "Join the other processes: of a TPU pod, Slurm or Open MPI, or as "
  "JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID say.",
)
_QUIET = flags.DEFINE_bool(
  "quiet", False, "Show no progress and no summary, only what is wrong."
)
flags.mark_flags_as_required(["config", "workdir"])


def _start_distributed(jax):
  """Joins the other processes, before any device is used."""
  names = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
  values = [os.environ[name] for name in names if os.environ.get(name)]
  if not values:
    jax.distributed.initialize()
    return
  if len(values) < len(names):
    raise ValueError(f"set all of {', '.join(names)}")
  address, count, index = values
  jax.distributed.initialize(address, int(count), int(index))


def _modes(config):
  """Returns mode -> what runs it: a function of the config and the workdir."""
  if config.get("task") == "images":
    from hinote_jax.evaluate import run_images as runs
  else:
    from hinote_jax.train import loop as runs
  return {"train": runs.train_and_evaluate, "evaluate": runs.evaluate}


def main(_):
  """Runs the chosen mode; a user's mistake is one sentence and exit code 2.

  Stopped by a signal in training, the step is finished and saved, and the exit
  code is 128 and the number of the signal.
  """
  host_memory.keep_freed()
  if not flags.FLAGS["verbosity"].present:
    logging.set_verbosity(logging.WARNING)  # Orbax tells a lot at INFO
  try:
    with preemption.raised(), contextlib.ExitStack() as stack:
      if _QUIET.value:
        os.environ["TQDM_DISABLE"] = "1"  # read as its bars are imported
        nowhere = stack.enter_context(open(os.devnull, "w"))
        stack.enter_context(contextlib.redirect_stdout(nowhere))
      _run()
  except (ValueError, OSError, ArithmeticError, ImportError) as error:
    return command_line.print_error(error)
  except preemption.Stopped as stopped:
    print(f"\nhinote_jax: {stopped}", file=sys.stderr)
    preemption.leave(stopped.code)
  return 0


def _run() -> None:
  import jax

  run_mode = _modes(_CONFIG.value)
  if _DISTRIBUTED.value:
    _start_distributed(jax)
  if jax.process_index() == 0:
    kind = jax.devices()[0].device_kind
    print(f"jax {jax.__version__} on {jax.device_count()} x {kind}")
  run_mode[_MODE.value](_CONFIG.value, _WORKDIR.value)


def run():
  """Entry point of the console script."""
  sys.path.insert(0, os.getcwd())  # where a config of one's own finds others
  app.run(main, flags_parser=command_line.parse)


if __name__ == "__main__":
  run()
