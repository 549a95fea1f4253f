"""Files upscaled one after the other; what a killed run has done is not redone.

All requests are looked at before the first is carried out. What each result is
made in is removed when all are there, so that a run that is started again
knows which files are its own.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib

from hinote_jax.infer import jobs, predict, progress, staging
from hinote_jax.io import inputs


def run(
  requests: Sequence[jobs.Request],
  predictor: predict.Predictor,
  bar: progress.Progress,
  make: Callable[[jobs.Job, progress.Progress], None] | None = None,
) -> None:
  """Upscales files, one after the other; started again, it goes on.

  Args:
    requests: what is asked; all of them is looked at before the first is done.
    predictor: that of their checkpoint.
    bar: told of all that is done.
    make: makes the fields of a job, elsewhere; None makes them here.

  Raises:
    OSError: a file cannot be read or written.
    ValueError: what is asked cannot be done.
  """
  for request in requests:
    jobs.Job(request, predictor, bar.tell).require()
  done = []
  for request in requests:
    job = jobs.Job(request, predictor, bar.tell)
    with job.stage.locked():
      with _tidied(job.stage):
        _run(job, bar, make or _here)
    done.append(job.stage)
  for stage in done:
    stage.remove()


def _run(job: jobs.Job, bar: progress.Progress, make: Callable) -> None:
  stage = job.stage
  _begin(job, bar)
  if not stage.is_finished:
    try:
      make(job, bar)
    except staging.OtherTiles as error:
      bar.note(f"{error}: starting over")
      stage.clear()
      _begin(job, bar)
      make(job, bar)
  job.finish(bar)
  bar.close()


def _begin(job: jobs.Job, bar: progress.Progress) -> None:
  stage = job.stage
  changed = stage.begin(job.manifest())
  if changed:
    bar.note(f"{stage.folder} is of other {', '.join(changed)}: starting over")
  if stage.is_finished:
    return
  if not stage.has_regions:
    job.probe()
  done = sum(map(stage.count, range(job.count))) if stage.tiles else 0
  bar.start(stage.path.name, done, stage.tiles and job.count * stage.tiles)


def _here(job: jobs.Job, bar: progress.Progress) -> None:
  job.make(range(job.count), bar)


@contextlib.contextmanager
def _tidied(stage: staging.Staging) -> Iterator[None]:
  """Leaves regions behind only where it makes sense to go on with them."""
  kept = f"what is done is kept in {stage.folder}, and the same command"
  try:
    yield
  except BaseException as error:
    is_kept = stage.has_regions or stage.is_finished
    # Plain regions serve another type as well; other bad input stays bad.
    if isinstance(error, ValueError):
      is_kept &= isinstance(error, jobs.Overflow) and not stage.is_final
    if not is_kept:
      stage.remove()
    elif isinstance(error, jobs.Overflow):
      text = f"{error}; {kept} with --dtype float32 goes on with it"
      raise jobs.Overflow(text) from error
    elif isinstance(error, OSError):
      text = f"{inputs.line(error)}; {kept} goes on with it"
      raise OSError(text) from error
    raise
