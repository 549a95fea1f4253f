"""What a plan promises, against a run that takes its steps."""

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
  config = _config(name, pathlib.Path(folder))
  planned = plan.plan(config, pathlib.Path(folder) / "run")
  run = parts.make(config, pathlib.Path(folder) / "run")
  batch = run.batch(0)
  take = run.step().compile(run.state, batch)
  jax.block_until_ready(run.state)
  seconds = []
  with host_memory.growth() as more:
    state = parallel.put_state(run.state, config.parallel)
    for _ in range(2):
      state, metrics = take(state, batch)
      jax.block_until_ready(metrics)
      time.sleep(0.2)  # what it worked in is freed after its answer is there
  for step in range(_STEPS):
    batch = run.batch(step)
    begun = time.monotonic()
    state, metrics = take(state, batch)
    jax.block_until_ready(metrics)
    seconds.append(time.monotonic() - begun)
  found = dict(
    device=planned.device,
    used=max(more),
    step=planned.step,
    took=statistics.median(seconds),
  )
  print(json.dumps(found))


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
  print(name, told)
  assert told["took"] == pytest.approx(told["step"], rel=0.5)
  assert told["used"] == pytest.approx(told["device"], rel=0.2)
