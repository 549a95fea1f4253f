"""The fields of a file made by the workers of a Dask cluster.

A task is a block of fields. Every worker has the network, and the file open,
once; a task that is run again leaves alone what is there. The process that
asks prepares the result and finishes it.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import functools
import logging
import os
import threading
from typing import Any
import uuid

from hinote_jax.infer import jobs, loading, partial_result, predict, progress
from hinote_jax.io import inputs
from hinote_jax.train import host_memory

_RETRIES = 3
_MAX_FIELDS = 8
# Enough to keep all workers busy to the end.
_TASKS_A_WORKER = 4
_TIMEOUT_S = 30
# A network is used by one thread at a time.
_NETWORK_LOCK = threading.Lock()


@contextlib.contextmanager
def connected(
  scheduler: str | None, workers: int | None
) -> Iterator[Callable[[jobs.Job, progress.Progress], None]]:
  """Yields what makes the fields of a job on a cluster: `make` of `batch.run`.

  Args:
    scheduler: address of one, whose workers see the files under the same
      paths; None starts a cluster on this machine.
    workers: processes of that cluster.

  Raises:
    ModuleNotFoundError: dask.distributed is missing.
    OSError: there is no scheduler at the address, or it has no workers.
    ValueError: the address is none.
  """
  distributed = inputs.require("distributed", "dask")
  import jax

  # This process computes nothing, and is to leave the memory of an accelerator
  # to the workers.
  jax.config.update("jax_platforms", "cpu")
  with contextlib.ExitStack() as stack:
    if scheduler is None:
      scheduler = stack.enter_context(_local(distributed, workers))
    try:
      client = stack.enter_context(
        distributed.Client(scheduler, timeout=_TIMEOUT_S)
      )
      client.wait_for_workers(1, timeout=_TIMEOUT_S)
    except OSError as error:
      raise OSError(
        f"no Dask workers at {scheduler} ({inputs.line(error)}): start the "
        "scheduler and its workers first"
      ) from error
    yield functools.partial(_make, distributed, client)


def _local(distributed, workers):
  """Returns a cluster of processes of one thread on this machine."""
  environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
  return distributed.LocalCluster(
    n_workers=workers,
    threads_per_worker=1,
    processes=True,
    # Tiles are bounded by --memory; a worker is not to be killed for its files.
    memory_limit=0,
    dashboard_address=None,
    silence_logs=logging.CRITICAL,
    env={k: os.environ.get(k, v) for k, v in environment.items()},
  )


def blocks(fields: Sequence[int], workers: int) -> list[tuple[int, ...]]:
  """Returns fields in blocks for tasks, in order: of 1 to 8, alike in size."""
  size = -(-len(fields) // (_TASKS_A_WORKER * workers))
  size = max(1, min(_MAX_FIELDS, size))
  return [tuple(fields[i : i + size]) for i in range(0, len(fields), size)]


def _make(
  distributed: Any, client: Any, job: jobs.Job, bar: progress.Progress
) -> None:
  """Makes the fields of a job that are not there.

  Raises:
    OSError: workers cannot read or write, or die.
    ValueError: a field cannot be upscaled.
  """
  partial = job.partial
  left = [i for i in range(job.count) if not partial.is_done(i)]
  run = uuid.uuid4().hex
  futures = [
    client.submit(
      _block,
      job.request,
      partial.attempt,
      block,
      key=f"upscale-{run}-{block[0]}",
      retries=_RETRIES,
      pure=False,
    )
    for block in blocks(left, len(client.nthreads()))
  ]
  try:
    for future in distributed.as_completed(futures):
      outcome = future.result()
      if isinstance(outcome, Exception):
        raise outcome
      bar.set_total(job.count * partial.tiles)
      bar.step(outcome)
  except (distributed.KilledWorker, distributed.CancelledError) as error:
    raise OSError(
      f"Dask gave up on {job.request.source} ({inputs.line(error)}): look into "
      "the logs of its workers, or give fewer of them"
    ) from error
  finally:
    if not all(future.done() for future in futures):
      # Those at work end with their tile; the rest does not begin.
      partial.give_up()
      with contextlib.suppress(distributed.TimeoutError):
        distributed.wait(futures, timeout=_TIMEOUT_S)


def _block(
  request: jobs.Request, attempt: str, fields: Sequence[int]
) -> int | Exception:
  """Makes fields on a worker.

  Returns:
    how many tiles; or what is wrong with the input, which no retry mends.
  """
  with _NETWORK_LOCK:
    try:
      return _job(request, attempt).make(fields)
    except (ValueError, partial_result.GivenUp) as error:
      return error


@functools.lru_cache(maxsize=1)
def _job(request: jobs.Request, attempt: str) -> jobs.Job:
  job = jobs.Job(
    request, _predictor(request.checkpoint, request.which, request.static)
  )
  job.partial.attempt = attempt
  return job


@functools.lru_cache(maxsize=1)
def _predictor(
  checkpoint: str, which: str, static: tuple[str, ...]
) -> predict.Predictor:
  host_memory.keep_freed()
  return loading.load(checkpoint, which, static=static)
