"""One field over two processes of two devices each against one call."""

import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from hinote_jax.core import grids
from hinote_jax.lazy import devices
from tests import quick_xla, trials
from tests.infer import networks
from tests.multihost import two_processes_test as processes

_NETWORKS = dict(srno={}, hinote=dict(preset="paper", width=8))


def _problem(name):
  module = networks.build(name, periodic=(True, False), **_NETWORKS[name])
  shape = (11, 8)
  lines = grids.cell_line(11, 30), grids.cell_line(8, 21)
  return networks.problem(module, shape, lines)


def write_answer(folder: str, name: str) -> None:
  """Writes what this process has of an answer, one of several processes."""
  address, count, rank = (
    os.environ[f"JAX_{name}"]
    for name in ("COORDINATOR_ADDRESS", "NUM_PROCESSES", "PROCESS_ID")
  )
  jax.distributed.initialize(address, int(count), int(rank))
  assert len(jax.devices()) == 4 and len(jax.local_devices()) == 2
  module, variables, lowres, queries = _problem(name)
  # Bands of 60 points: several to a slab.
  run = devices.Sharded(
    module, variables, queries.lines, devices=jax.devices(), points=60
  )
  answer = run(np.asarray(lowres))
  np.save(pathlib.Path(folder) / f"{rank}.npy", answer)


def _start(folder, name, rank, port):
  environment = os.environ | {
    "XLA_FLAGS": quick_xla.flags(2),
    "JAX_PLATFORMS": "cpu",
    "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
    "JAX_NUM_PROCESSES": "2",
    "JAX_PROCESS_ID": str(rank),
  }
  call = f"streaming_test.write_answer({str(folder)!r}, {name!r})"
  return subprocess.Popen(
    [
      sys.executable,
      "-c",
      f"from tests.multihost import streaming_test; {call}",
    ],
    cwd=processes.ROOT,
    env=environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


@pytest.mark.parametrize("name", trials.apart_from("srno".__eq__, _NETWORKS))
def test_two_processes_answer_as_one(tmp_path, name):
  port = processes._free_port()
  processes._wait([_start(tmp_path, name, rank, port) for rank in range(2)])
  wanted = networks.untiled(_problem(name))
  both = [np.load(tmp_path / f"{rank}.npy") for rank in range(2)]
  np.testing.assert_array_equal(*both)
  assert networks.error(both[0], wanted) <= networks.TOLERANCE
