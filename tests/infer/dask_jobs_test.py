"""A cluster of processes makes what one makes, though one of them dies."""

import os
import signal
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
  assert "no Dask workers at 127.0.0.1:9" in said[0] and len(said) == 2
  assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


def _kill_one(cluster, done, noted):
  """Kills a worker once some tiles are there."""
  while not cluster or len(list(done.glob("*/*"))) < 4:
    time.sleep(0.002)
  worker = cluster[0].workers[0]
  noted.append(worker.pid)
  os.kill(worker.pid, signal.SIGKILL)
  noted.append(len(list(done.glob("*"))))


@pytest.mark.trial  # the suite has one worker, in told_test
def test_two_workers_make_what_one_process_does(tmp_path, monkeypatch):
  data = era5.dataset(48, 6.0)[["t2m"]]
  source = era5.write(tmp_path / "in.zarr", data)
  options = upscaling.Options(memory="1GB", side=64)
  requests = [
    jobs.Request(
      str(source), str(tmp_path / name), "bicubic", scale=3.7, options=options
    )
    for name in ("one.zarr", "two.zarr")
  ]
  predictor = infer.load("bicubic")
  bar = progress.Progress(is_quiet=True)
  batch.run(requests[:1], predictor, bar)
  cluster, noted, make_cluster = [], [], dask_jobs._local

  def watched(*args):
    cluster.append(make_cluster(*args))
    return cluster[0]

  monkeypatch.setattr(dask_jobs, "_local", watched)
  done = tmp_path / "two.zarr.partial" / "done"
  killer = threading.Thread(target=_kill_one, args=(cluster, done, noted))
  killer.start()
  with dask_jobs.connected(None, 2) as make:
    batch.run(requests[1:], predictor, bar, make)
  killer.join()
  _, begun = noted
  assert begun < 48, "all was done before the worker was killed"
  one, two = (
    {
      str(p.relative_to(tmp_path / name)): p.read_bytes()
      for p in sorted((tmp_path / name).rglob("*"))
      if p.is_file()
    }
    for name in ("one.zarr", "two.zarr")
  )
  assert len(one) > 48 * 2 and one == two
  assert {p.name for p in tmp_path.iterdir()} == {
    "in.zarr",
    "one.zarr",
    "two.zarr",
  }
