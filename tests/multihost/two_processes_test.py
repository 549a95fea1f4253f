import os
import pathlib
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from hinote_jax import checkpoint, metric_log
from tests import runs

ROOT = pathlib.Path(__file__).parents[2]


def _free_port() -> int:
  with socket.socket() as listener:
    listener.bind(("localhost", 0))
    return listener.getsockname()[1]


def _start(config_path, workdir, devices, rank=0, count=1, port=0):
  environment = os.environ | {
    "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
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
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output[-3000:]


@pytest.mark.parametrize("mode", ["pmap", "shard_map", "jit"])
def test_two_processes_train_as_one(tmp_path, mode):
  path = runs.write_fields(tmp_path / "fields.npy")
  config = runs.tiny_config(path, tmp_path / "cache")
  config.parallel = mode
  config_path = runs.write_config(tmp_path / "run.py", config)
  _wait([_start(config_path, tmp_path / "one", devices=4)])
  port = _free_port()
  _wait(
    [
      _start(config_path, tmp_path / "two", 2, rank, 2, port)
      for rank in range(2)
    ]
  )
  # Six Adam steps; only the order of float32 sums differs.
  for name in ("loss", "grad_norm"):
    one, two = (
      [x[name] for x in metric_log.read(tmp_path / run) if name in x]
      for run in ("one", "two")
    )
    np.testing.assert_allclose(two, one, rtol=5e-4)
  (one, _), (two, _) = (
    checkpoint.load(tmp_path / run, "latest") for run in ("one", "two")
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5),
    two["params"],
    one["params"],
  )
  assert (tmp_path / "two" / "report.md").exists()
