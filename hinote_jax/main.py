"""The command line: trains and evaluates the run of a config.

python -m hinote_jax.main --config=configs/hinote.py:demo --workdir=DIR
"""

from collections.abc import Callable
import contextlib
import os
import sys
from typing import Any

from absl import app, flags, logging
from ml_collections import config_flags

from hinote_jax.cli import command_line
from hinote_jax.core import naming
from hinote_jax.train import host_memory, meeting, peers, preemption

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "Config file and run, e.g. configs/hinote.py:demo."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")
_MODE = flags.DEFINE_enum(
  "mode",
  "train",
  ["train", "evaluate", "plan", "replay"],
  "Train and evaluate; evaluate; say what training will need and take; or take "
  "a step once more and say what was drawn.",
)
_STEP = flags.DEFINE_integer("step", None, "Of --mode=replay, from 1.")
_DISTRIBUTED = flags.DEFINE_bool(
  "distributed",
  False,
  "Join the other processes: of a TPU pod, Slurm or Open MPI, or as "
  "--coordinator, --processes and --process say.",
)
_COORDINATOR = flags.DEFINE_string(
  "coordinator",
  None,
  "HOST:PORT of process 0; else JAX_COORDINATOR_ADDRESS.",
)
_PROCESSES = flags.DEFINE_integer(
  "processes", None, "How many there are; else JAX_NUM_PROCESSES."
)
_PROCESS = flags.DEFINE_integer(
  "process", None, "Which of them this is, from 0; else JAX_PROCESS_ID."
)
_WAIT = flags.DEFINE_float(
  "wait", meeting.WAIT, "Seconds to wait for the other processes to come."
)
_QUIET = flags.DEFINE_bool(
  "quiet", False, "Show no progress and no summary, only what is wrong."
)
flags.mark_flags_as_required(["config", "workdir"])


def _modes(config) -> dict[str, Callable[[Any, Any], Any]]:
  """Returns mode -> what runs it: a function of the config and the workdir."""
  if config.get("task") == "images":
    from hinote_jax.evaluate import run_images

    every = run_images.train_and_evaluate, run_images.evaluate
    return dict(zip(("train", "evaluate"), every, strict=True))
  from hinote_jax.train import loop

  return {
    "train": loop.train_and_evaluate,
    "evaluate": loop.evaluate,
    "plan": _plan,
    "replay": _replay,
  }


def _plan(config, workdir):
  from hinote_jax.train import plan

  print(plan.plan(config, workdir).text())


def _replay(config, workdir):
  from hinote_jax.train import replay

  if _STEP.value is None:
    raise ValueError("--mode=replay takes --step, that of the log")
  print(replay.text(replay.replay(config, workdir, _STEP.value)))


def main(_):
  """Runs the chosen mode; a user's mistake is one sentence and exit code 2.

  Stopped by a signal in training, the step is finished and saved, and the exit
  code is 128 and the number of the signal; where another process is missing or
  lost it is 75.
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
    code = 0
  except (ValueError, OSError, ArithmeticError, ImportError) as error:
    code = 2
    with contextlib.suppress(OSError):
      command_line.print_error(error)
  except meeting.Missing as error:
    print(f"hinote_jax: {error}", file=sys.stderr)
    code = error.code
  except preemption.Stopped as stopped:
    print(f"\nhinote_jax: {stopped}", file=sys.stderr)
    preemption.leave(stopped.code)
  if code and _DISTRIBUTED.value:
    preemption.leave(code)  # others may not come to where JAX would wait
  return code


def _run() -> None:
  import jax

  run_mode = _modes(_CONFIG.value)
  naming.look_up("mode of these configs", _MODE.value, run_mode)
  with contextlib.ExitStack() as stack:
    if _DISTRIBUTED.value:
      given = _COORDINATOR.value, _PROCESSES.value, _PROCESS.value
      where = meeting.place(*given, wait=_WAIT.value)
      stack.enter_context(peers.joined(where, _WAIT.value))
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
