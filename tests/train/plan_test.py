"""What a plan promises, against a run that takes its steps."""

import ctypes
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from configs import baselines, hinote
from hinote_jax.train import host_memory, parallel, parts, plan
from tests import runs

ROOT = pathlib.Path(__file__).parents[2]
_STEPS = 6
_PEERS = "liif", "srno", "lte", "metasr", "edsr", "rdn", "swinir"


def _config(name: str, folder: pathlib.Path):
  size, _, peer = name.partition(" of ")
  if peer:
    config = baselines.get_config(f"model={peer},{size}")
  else:
    config = hinote.get_config("untold")
    config.update_from_flattened_dict(hinote.LEVELS | {"model.size": size})
  config.unlock()
  data = runs.tiny_config(folder / "fields.npy", folder / "cache")
  config.data, config.split = data.data, data.split
  return config


def measure(name: str, folder: str) -> None:
  """Prints a plan's device memory and step, and those of a run."""
  host_memory.keep_freed()
  config = _config(name, pathlib.Path(folder))
  planned = plan.plan(config, pathlib.Path(folder) / "run")
  run = parts.make(config, pathlib.Path(folder) / "run")
  batch = run.batch(0)
  take = run.step().compile(run.state, batch)
  state, seconds = parallel.put_state(run.state, config.parallel), []
  for step in range(_STEPS):
    batch = run.batch(step)
    begun = time.monotonic()
    state, metrics = take(state, batch)
    jax.block_until_ready(metrics)
    seconds.append(time.monotonic() - begun)
  step = statistics.median(seconds[1:])
  print(json.dumps(dict(device=planned.device, step=planned.step, took=step)))


def peak(name: str, folder: str, steps: str) -> None:
  """Prints the resident memory of a process that takes so many steps."""
  config = _config(name, pathlib.Path(folder))
  run = parts.make(config, pathlib.Path(folder) / "run")
  batch = run.batch(0)
  take = run.step().compile(run.state, batch)
  ctypes.CDLL(None).malloc_trim(0)  # what compilation took and gave back
  pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak so far
  state = parallel.put_state(run.state, config.parallel)
  for _ in range(int(steps)):
    state, metrics = take(state, batch)
    jax.block_until_ready(metrics)
  status = pathlib.Path("/proc/self/status").read_text()
  (line,) = (x for x in status.splitlines() if x.startswith("VmHWM"))
  print(json.dumps(1024 * int(line.split()[1])))


def _child(call: str, *arguments: str):
  environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
  code = f"from tests.train import plan_test; plan_test.{call}{arguments!r}"
  ran = subprocess.run(
    [sys.executable, "-c", code],
    cwd=ROOT,
    env=environment,
    capture_output=True,
    text=True,
    check=True,
  )
  return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.trial
@pytest.mark.parametrize("name", ["S", "B", *(f"demo of {p}" for p in _PEERS)])
def test_memory_is_within_a_fifth_and_a_step_within_half(tmp_path, name):
  fields = np.random.default_rng(0).normal(size=(12, 200, 200))
  np.save(tmp_path / "fields.npy", fields.astype(np.float32))
  told = _child("measure", name, str(tmp_path))
  # What steps add to a process that has compiled them and taken none.
  none, some = (_child("peak", name, str(tmp_path), n) for n in ("0", "3"))
  print(f"{name}: planned {told}, took {some - none}")
  assert told["took"] == pytest.approx(told["step"], rel=0.5)
  assert some - none == pytest.approx(told["device"], rel=0.2)
