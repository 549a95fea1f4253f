"""Files upscaled one after the other; what a killed run has done is not redone.

All requests are looked at before the first is carried out. What each result is
made in is removed when all are there, so that a run that is started again
knows which files are its own.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib

import numpy as np

from hinote_jax.infer import jobs, partial_result, predict, progress
from hinote_jax.io import inputs

# How often a result is made whose tiles are damaged while it is made.
_ATTEMPTS = 3


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
    bar: shows all that is done.
    make: makes the fields of a job, elsewhere; None makes them here.

  Raises:
    OSError: a file cannot be read or written.
    ValueError: what is asked cannot be done.
  """
  for request in requests:
    job = jobs.Job(request, predictor, bar.report)
    job.require()
    if job.left_behind:
      bar.note(
        f"{request.source}: {', '.join(job.left_behind)} belong to the grid "
        "of the input and cannot be refined: they are left out"
      )
  finished = []
  for request in requests:
    job = jobs.Job(request, predictor, bar.report)
    with job.partial.locked():
      with _tidied(job.partial, is_first=not finished):
        _run(job, bar, make or _make_here)
    finished.append(job.partial)
  for partial in finished:
    partial.remove()


def _run(job: jobs.Job, bar: progress.Progress, make: Callable) -> None:
  partial = job.partial
  _begin(job, bar)
  if not partial.is_finished:
    for text in job.notes():
      bar.note(text)
  for _ in range(_ATTEMPTS):
    if partial.is_finished:
      break
    try:
      make(job, bar)
    except partial_result.OtherTiles as error:
      bar.note(f"{error}: starting over")
      partial.clear()
      _begin(job, bar)
      make(job, bar)
    if not _drop_damaged(job, bar):
      break
  else:
    raise OSError(f"{partial.folder} does not keep what is written there")
  job.finish(bar)
  bar.finish(f"{partial.path}: {_summary(job)}")


def _summary(job: jobs.Job) -> str:
  """Returns what was made: how many fields of which size, and by what."""
  fine, coarse = job.header.shape, job.reader.header.shape
  sides = " x ".join(map(str, fine))
  scale = job.request.scale or np.divide(fine, coarse)
  finer = " x ".join(dict.fromkeys(f"{s:.3g}" for s in np.ravel(scale)))
  return (
    f"{job.count} field{'s' * (job.count != 1)} of {sides}, {finer} times "
    f"finer by {job.request.checkpoint},"
  )


def _begin(job: jobs.Job, bar: progress.Progress) -> None:
  partial = job.partial
  if wrong := partial.begin(job.manifest()):
    bar.note(f"{partial.folder} {wrong}: starting over")
  if partial.is_finished:
    return
  _drop_damaged(job, bar)
  if not partial.has_tiles:
    job.probe()
  done = sum(map(partial.count, range(job.count)))
  bar.start(partial.path.name, done, job.count * partial.tiles or None)


def _drop_damaged(job: jobs.Job, bar: progress.Progress) -> int:
  """Has the tiles made again that are not as they were written."""
  count = job.partial.drop_damaged()
  if count:
    bar.note(
      f"{count} of the tiles in {job.partial.folder} are damaged: making them "
      "again"
    )
  return count


def _make_here(job: jobs.Job, bar: progress.Progress) -> None:
  job.make(range(job.count), bar)


@contextlib.contextmanager
def _tidied(
  partial: partial_result.PartialResult, is_first: bool
) -> Iterator[None]:
  """Leaves tiles behind only where it makes sense to go on with them."""
  kept = f"what is done is kept in {partial.folder}, and the same command"
  try:
    yield
  except BaseException as error:
    is_kept = partial.has_tiles or partial.is_finished
    # Plain tiles serve another type as well; other bad input stays bad.
    if isinstance(error, ValueError):
      is_kept &= isinstance(error, jobs.Overflow) and not partial.is_result
    if not is_kept:
      partial.remove()
    elif isinstance(error, jobs.Overflow):
      others = "" if is_first else ", and --overwrite for the files before it,"
      text = f"{error}; {kept} with --dtype float32{others} goes on with it"
      raise jobs.Overflow(text) from error
    elif isinstance(error, OSError):
      text = f"{inputs.line(error)}; {kept} goes on with it"
      raise OSError(text) from error
    raise
