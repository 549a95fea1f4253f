"""The command line: trains and evaluates the run of a config.

python -m hinote_jax.main --config=configs/hinote.py:demo --workdir=DIR
"""

import os
import sys
import traceback

from absl import app, flags, logging
from ml_collections import config_flags

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "Config file and run, e.g. configs/hinote.py:demo."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")
_MODE = flags.DEFINE_enum(
  "mode", "train", ["train", "evaluate"], "Train and evaluate, or evaluate."
)
flags.mark_flags_as_required(["config", "workdir"])


def _start_distributed(jax):
  """Joins the other processes where the environment tells of several.

  TPU pods, Slurm and Open MPI are found by jax. Elsewhere, set
  JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID.
  """
  environment = os.environ
  if "JAX_COORDINATOR_ADDRESS" in environment:
    jax.distributed.initialize(
      environment["JAX_COORDINATOR_ADDRESS"],
      int(environment["JAX_NUM_PROCESSES"]),
      int(environment["JAX_PROCESS_ID"]),
    )
    return
  counts = ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE")
  several = any(int(environment.get(name, 1)) > 1 for name in counts)
  if several or "," in environment.get("TPU_WORKER_HOSTNAMES", ""):
    jax.distributed.initialize()


def main(_):
  """Runs the chosen mode; a user's mistake is one sentence and exit code 2."""
  import jax

  from hinote_jax import train

  if not flags.FLAGS["verbosity"].present:
    logging.set_verbosity(logging.WARNING)  # Orbax tells a lot at INFO
  _start_distributed(jax)
  if jax.process_index() == 0:
    print(f"jax {jax.__version__} on {jax.device_count()} x", end=" ")
    print(jax.devices()[0].device_kind, flush=True)
  run_mode = {"train": train.train_and_evaluate, "evaluate": train.evaluate}
  try:
    run_mode[_MODE.value](_CONFIG.value, _WORKDIR.value)
  except (ValueError, OSError, ArithmeticError) as error:
    if os.environ.get("HINOTE_JAX_TRACEBACK"):
      traceback.print_exc()
    print(f"hinote_jax: {error}", file=sys.stderr)
    print("(HINOTE_JAX_TRACEBACK=1 shows where)", file=sys.stderr)
    return 2
  return 0


def run():
  """Entry point of the console script."""
  app.run(main)


if __name__ == "__main__":
  run()
