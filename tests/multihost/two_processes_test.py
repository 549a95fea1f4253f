import os
import pathlib
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from hinote_jax.train import checkpoint, metric_log
from hinote_jax.train import loop as train
from tests import quick_xla, runs, trials

ROOT = pathlib.Path(__file__).parents[2]


def _free_port() -> int:
  with socket.socket() as listener:
    listener.bind(("localhost", 0))
    return listener.getsockname()[1]


def _start(config_path, workdir, devices, rank=0, count=1, port=0):
  environment = os.environ | {
    "XLA_FLAGS": quick_xla.flags(devices),
    "JAX_PLATFORMS": "cpu",
  }
  if count > 1:
    environment |= {
      "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
      "JAX_NUM_PROCESSES": str(count),
      "JAX_PROCESS_ID": str(rank),
    }
  command = [sys.executable, "-m", "hinote_jax.main"]
  command += [f"--config={config_path}", f"--workdir={workdir}"]
  command += ["--distributed"] if count > 1 else []
  return subprocess.Popen(
    command,
    cwd=ROOT,
    env=environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def _wait(processes):
  for process in processes:
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output[-3000:]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
  """A run of one process, its folder, and what it was a run of."""
  folder = tmp_path_factory.mktemp("alone")
  path = runs.write_fields(folder / "fields.npy")
  config = runs.tiny_config(path, folder / "cache")
  train.train(config, folder / "one")
  return folder / "one", config


@pytest.mark.parametrize(
  "mode",
  trials.apart_from(lambda mode: mode == "pmap", ["pmap", "shard_map", "jit"]),
)
def test_two_processes_train_as_one(alone, tmp_path, mode):
  one, config = alone
  config = config.copy_and_resolve_references()
  config.parallel = mode
  config_path = runs.write_config(tmp_path / "run.py", config)
  port, two = _free_port(), tmp_path / "two"
  _wait([_start(config_path, two, 2, rank, 2, port) for rank in range(2)])
  # Six Adam steps; only the order of float32 sums differs.
  for name in ("loss", "grad_norm"):
    ours, theirs = (
      [x[name] for x in metric_log.read(run) if name in x] for run in (two, one)
    )
    np.testing.assert_allclose(ours, theirs, rtol=5e-4)
  (ours, _), (theirs, _) = (
    checkpoint.load(run, "latest") for run in (two, one)
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5),
    ours["params"],
    theirs["params"],
  )
  assert (two / "report.md").exists()
