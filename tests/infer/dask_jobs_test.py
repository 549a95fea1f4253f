"""A cluster of processes makes what one makes, though one of them dies."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from hinote_jax import infer, upscale
from hinote_jax.infer import batch, dask_jobs, jobs, progress, upscaling
from tests import era5

distributed = pytest.importorskip("distributed")
pytest.importorskip("zarr")


@pytest.mark.parametrize(
  ("count", "workers", "size"),
  [(1, 1, 1), (48, 2, 6), (9, 2, 2), (10_000, 4, 8), (0, 2, 1)],
)
def test_blocks_are_all_fields_in_order(count, workers, size):
  found = dask_jobs.blocks(range(3, 3 + count), workers)
  assert [i for block in found for i in block] == list(range(3, 3 + count))
  assert {len(block) for block in found[:-1]} <= {size}


def test_a_worker_says_what_is_wrong_with_the_input(tmp_path):
  data = era5.dataset(2, 15.0)[["d2m"]].isel(latitude=slice(1, 12))
  data.d2m.values[1] = np.inf
  source = era5.write(tmp_path / "in.zarr", data)
  request = jobs.Request(
    str(source), str(tmp_path / "out.zarr"), "nearest", scale=2
  )
  job = jobs.Job(request, infer.load("nearest"))
  with job.partial.locked():
    job.partial.begin(job.manifest())
    assert dask_jobs._block(request, job.partial.attempt, [0]) == 1
    # What no retry mends is no reason for one.
    found = dask_jobs._block(request, job.partial.attempt, [0, 1])
    assert isinstance(found, ValueError) and "time 1" in str(found)
    found = dask_jobs._block(request, "another attempt", [1])
    assert isinstance(found, OSError)


def test_no_scheduler_is_one_sentence(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(dask_jobs, "_TIMEOUT_S", 0.1)
  np.save(tmp_path / "a.npy", np.ones((4, 5), np.float32))
  paths = [str(tmp_path / name) for name in ("a.npy", "b.npy")]
  options = ["--scale", "2", "--checkpoint", "nearest"]
  assert upscale.main([*paths, *options, "--scheduler", "127.0.0.1:9"]) == 2
  said = capsys.readouterr().err.splitlines()
  assert "no Dask workers at 127.0.0.1:9" in said[0] and len(said) == 1
  assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


def _kill(find, done, noted):
  """Kills a worker once some tiles are there."""
  while len(list(done.glob("*/*"))) < 4:
    time.sleep(0.002)
  os.kill(find(), signal.SIGKILL)
  noted.append(len(list(done.glob("*"))))


def _requests(folder):
  """Returns the same request twice; the first one is made."""
  source = era5.write(folder / "in.zarr", era5.dataset(48, 6.0)[["t2m"]])
  options = upscaling.Options(memory="1GB", side=64)
  one, two = (
    jobs.Request(
      str(source), str(folder / name), "bicubic", scale=3.7, options=options
    )
    for name in ("one.zarr", "two.zarr")
  )
  batch.run([one], infer.load("bicubic"), progress.Progress(is_quiet=True))
  return two


def _make_while_one_dies(request, find, *connected):
  """Makes a request by workers, of which one is killed."""
  noted, folder = [], pathlib.Path(request.path).parent
  done = folder / "two.zarr.partial" / "done"
  killer = threading.Thread(target=_kill, args=(find, done, noted))
  killer.start()
  bar = progress.Progress(is_quiet=True)
  with dask_jobs.connected(*connected) as make:
    batch.run([request], infer.load("bicubic"), bar, make)
  killer.join()
  assert noted[0] < 48, "all was done before the worker was killed"
  one, two = (
    {
      str(p.relative_to(folder / name)): p.read_bytes()
      for p in sorted((folder / name).rglob("*"))
      if p.is_file()
    }
    for name in ("one.zarr", "two.zarr")
  )
  assert len(one) > 48 * 2 and one == two
  assert {p.name for p in folder.iterdir()} == {
    "in.zarr",
    "one.zarr",
    "two.zarr",
  }


@pytest.mark.trial  # the suite has one worker, in told_test
def test_two_workers_make_what_one_process_does(tmp_path, monkeypatch):
  cluster, make_cluster = [], dask_jobs._local

  def watched(*args):
    cluster.append(make_cluster(*args))
    return cluster[0]

  monkeypatch.setattr(dask_jobs, "_local", watched)
  request = _requests(tmp_path)
  _make_while_one_dies(request, lambda: cluster[0].workers[0].pid, None, 2)


@pytest.mark.trial
def test_workers_and_a_scheduler_of_their_own_commands(tmp_path):
  known = tmp_path / "scheduler.json"
  rest = ["--scheduler-file", str(known), "--no-dashboard"]
  commands = [["dask_scheduler", "--host", "127.0.0.1", "--port", "0"]]
  commands += [["dask_worker", "--nthreads", "1", "--no-nanny"]] * 2
  (tmp_path / "fields").mkdir()
  started = [
    subprocess.Popen(
      [sys.executable, "-m", f"distributed.cli.{name}", *options, *rest],
      cwd=tmp_path,
      stderr=subprocess.DEVNULL,
    )
    for name, *options in commands
  ]
  try:
    while not known.exists():
      assert started[0].poll() is None
      time.sleep(0.1)
    address = json.loads(known.read_text())["address"]
    request = _requests(tmp_path / "fields")
    _make_while_one_dies(request, lambda: started[1].pid, address, 0)
  finally:
    for process in started:
      process.kill()
      process.wait()
