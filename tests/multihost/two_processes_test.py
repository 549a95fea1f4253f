"""Runs of real processes over loopback: as one, and when one of them dies."""

import functools
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from hinote_jax.train import checkpoint, metric_log
from hinote_jax.train import loop as train
from tests import quick_xla, runs

ROOT = pathlib.Path(__file__).parents[2]
# In a config file, which is read more than once: a process gets one signal from
# itself after some steps, or after 0 when it has compiled the first.
_HOOK = """
import os
from hinote_jax.train import metric_log, peers
rank, steps, number = (os.environ.get("SIGNAL") or "-1:0:0").split(":")
log = metric_log.MetricLog
if rank == os.environ.get("JAX_PROCESS_ID") and not hasattr(log, "seen"):
  log.seen, advance, barrier = 0, log.advance, peers.barrier
  def signalled(go, *args, **kwargs):
    go(*args, **kwargs)
    if log.seen == int(steps):
      os.kill(os.getpid(), int(number))
    log.seen += 1
  peers.barrier = lambda *args: signalled(barrier, *args)
  log.advance = lambda *args, **kwargs: signalled(advance, *args, **kwargs)
"""


def _free_port() -> int:
  with socket.socket() as listener:
    listener.bind(("localhost", 0))
    return listener.getsockname()[1]


def _start(
  config_path,
  workdir,
  devices,
  rank=0,
  count=1,
  port=0,
  signalled="",
  wait=300,
):
  environment = os.environ | {
    "XLA_FLAGS": quick_xla.flags(devices),
    "JAX_PLATFORMS": "cpu",
    "SIGNAL": signalled,
    "JAX_PROCESS_ID": str(rank),  # of the hook in the config
  }
  if count > 1:
    environment |= {
      "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
      "JAX_NUM_PROCESSES": str(count),
      "JAX_PROCESS_ID": str(rank),
    }
  command = [sys.executable, "-m", "hinote_jax.main"]
  command += [f"--config={config_path}", f"--workdir={workdir}"]
  command += ["--distributed", f"--wait={wait}"] if count > 1 else []
  return subprocess.Popen(
    command,
    cwd=ROOT,
    env=environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def _start_all(config_path, workdir, count, signalled=""):
  port = _free_port()
  return [
    _start(config_path, workdir, 2, rank, count, port, signalled)
    for rank in range(count)
  ]


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


def _write_hooked(folder, config):
  path = runs.write_config(folder / "run.py", config)
  path.write_text(path.read_text() + _HOOK)
  return path


@pytest.fixture(scope="module")
def undisturbed(alone, tmp_path_factory):
  """Returns what runs the same by so many processes: config file, folder."""
  _, config = alone

  @functools.cache
  def run(count):
    folder = tmp_path_factory.mktemp(f"by_{count}")
    path = _write_hooked(folder, config)
    _wait(_start_all(path, folder / "run", count))
    return path, folder / "run"

  return run


def _assert_trained_as(one, two):
  """Six Adam steps; only the order of float32 sums differs."""
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


# In the suite, two processes of which one is killed train as one.
@pytest.mark.trial
@pytest.mark.parametrize("mode", ["pmap", "shard_map", "jit"])
def test_two_processes_train_as_one(alone, undisturbed, tmp_path, mode):
  one, config = alone
  if mode == config.parallel:
    _, two = undisturbed(2)
  else:
    config = config.copy_and_resolve_references()
    config.parallel, two = mode, tmp_path / "two"
    config.saves_behind = True
    _wait(_start_all(runs.write_config(tmp_path / "run.py", config), two, 2))
  _assert_trained_as(one, two)


@pytest.fixture(scope="module")
def twenty(alone, tmp_path_factory):
  """Returns the losses of twenty steps by so many processes and devices."""
  config = alone[1].copy_and_resolve_references()
  config.steps, config.validate_every = 20, 20
  folder = tmp_path_factory.mktemp("twenty")
  path = runs.write_config(folder / "run.py", config)

  @functools.cache
  def losses(count, devices):
    run, port = folder / f"{count}x{devices}", _free_port()
    ranks = range(count)
    _wait([_start(path, run, devices, rank, count, port) for rank in ranks])
    return [line["loss"] for line in metric_log.read(run) if "loss" in line]

  return losses


@pytest.mark.trial
@pytest.mark.parametrize("count, devices", [(1, 8), (2, 4), (4, 2)])
def test_twenty_steps_of_any_mesh_are_those_of_one_device(
  twenty, count, devices
):
  ours, one = np.asarray(twenty(count, devices)), np.asarray(twenty(1, 1))
  assert len(one) == 20
  print(f"{count} x {devices}: {np.max(np.abs(ours / one - 1)):.2g}")
  np.testing.assert_allclose(ours, one, rtol=2e-5)


def _assert_same_run(ours, theirs):
  (_, meta), (_, other) = (checkpoint.load(r, "latest") for r in (ours, theirs))
  assert meta["sha256"] == other["sha256"]
  logs = [(run / metric_log.METRICS).read_bytes() for run in (ours, theirs)]
  assert logs[0] == logs[1]


def _kill_and_go_on(path, run, count, rank):
  """Runs so many of which one is killed and all end; then all to the end."""
  killed = f"{rank}:4:{int(signal.SIGKILL)}"
  processes = _start_all(path, run, count, killed)
  processes[rank].communicate(timeout=400)
  assert processes[rank].returncode == -signal.SIGKILL
  since = time.monotonic()
  for other, process in enumerate(processes):
    if other == rank:
      continue
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 75, output[-3000:]
    assert f"process {rank} of {count} (" in output
    assert ") was lost: the same command on all of them goes on" in output
    assert "Traceback" not in output and "***" not in output
  assert time.monotonic() - since < 30
  _wait(_start_all(path, run, count))


def test_one_that_is_killed_ends_all_and_the_run_goes_on(alone, tmp_path):
  one, config = alone
  _kill_and_go_on(_write_hooked(tmp_path, config), tmp_path / "run", 2, 0)
  _assert_trained_as(one, tmp_path / "run")


@pytest.mark.trial
@pytest.mark.parametrize(
  "count, rank", [(count, rank) for count in (2, 4) for rank in range(count)]
)
def test_whoever_is_killed_the_run_is_the_undisturbed_one(
  undisturbed, tmp_path, count, rank
):
  path, whole = undisturbed(count)
  _kill_and_go_on(path, tmp_path / "run", count, rank)
  _assert_same_run(tmp_path / "run", whole)


@pytest.mark.trial
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_saves_and_ends_all(undisturbed, tmp_path, rank, name):
  path, whole = undisturbed(2)
  run, number = tmp_path / "run", int(getattr(signal, name))
  for process in _start_all(path, run, 2, f"{rank}:2:{number}"):
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 128 + number, output[-3000:]
    said = [f"stopped by {name} at step {n} of 6" for n in (3, 4)]
    assert any(text in output for text in said), output[-3000:]
  _wait(_start_all(path, run, 2))
  (ours, _), (theirs, _) = (checkpoint.load(r, "latest") for r in (run, whole))
  jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.trial
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_before_it_trains_ends_all(alone, tmp_path, rank):
  path = _write_hooked(tmp_path, alone[1])
  told = f"{rank}:0:{int(signal.SIGTERM)}"
  processes = _start_all(path, tmp_path / "run", 2, told)
  said = [process.communicate(timeout=100)[0] for process in processes]
  codes = [process.returncode for process in processes]
  assert codes == ([143, 75] if rank == 0 else [75, 143]), said
  assert f"process {rank} of 2 (" in said[1 - rank]
  assert "ended with exit code 143: see why" in said[1 - rank]
  assert "stopped by SIGTERM; the same command goes on" in said[rank]


@pytest.mark.trial
def test_one_that_does_not_come_is_named(undisturbed, tmp_path):
  path, _ = undisturbed(2)
  process = _start(path, tmp_path / "run", 2, 0, 2, _free_port(), wait=3)
  output, _ = process.communicate(timeout=400)
  assert process.returncode == 75
  assert "process 1 of 2 did not come to localhost:" in output
  assert "within 3 s (--wait)" in output and "Traceback" not in output


@pytest.mark.trial
@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_no_start_hangs(undisturbed, tmp_path, cache, monkeypatch):
  path, _ = undisturbed(2)
  for n in range(25):
    folder = tmp_path / ("warm" if cache == "warm" else f"cold{n}")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder))
    _wait(_start_all(path, tmp_path / f"run{n}", 2))


@pytest.mark.trial
@pytest.mark.parametrize("devices, count", [(1, 1), (2, 1), (4, 1), (2, 2)])
def test_a_run_of_eight_devices_goes_on_on_fewer(
  alone, undisturbed, tmp_path, devices, count
):
  path, _ = undisturbed(2)
  run = tmp_path / "run"
  told = f"0:2:{int(signal.SIGTERM)}"
  output, _ = _start(path, run, 8, signalled=told).communicate(timeout=400)
  assert "stopped by SIGTERM" in output
  if count > 1:
    _wait(_start_all(path, run, count))
  else:
    _wait([_start(path, run, devices)])
  ours, theirs = (
    [line["loss"] for line in metric_log.read(folder) if "loss" in line]
    for folder in (run, alone[0])
  )
  np.testing.assert_allclose(ours, theirs, rtol=5e-4)


@pytest.mark.trial
def test_a_run_goes_on_on_three_devices_with_a_batch_that_divides(
  alone, undisturbed, tmp_path
):
  path, _ = undisturbed(2)
  run = tmp_path / "run"
  told = f"0:2:{int(signal.SIGTERM)}"
  _start(path, run, 8, signalled=told).communicate(timeout=400)
  refused = _start(path, run, 3)
  output, _ = refused.communicate(timeout=400)
  assert refused.returncode == 2
  assert (
    "a batch of 8 does not divide among 3 devices; use a multiple" in output
  )
  config = alone[1].copy_and_resolve_references()
  config.batch_size = 6
  _wait([_start(runs.write_config(tmp_path / "six.py", config), run, 3)])
  assert checkpoint.load(run, "latest")[1]["step"] == config.steps
