"""What a request would make: its shape, chunks, memory and time.

Nothing is written. The time is that of a corner of the first field, taken here,
for every point of the result.
"""

import dataclasses
import math
import time

import jax
import numpy as np

from hinote_jax.infer import jobs, predict, progress, upscaling
from hinote_jax.io import formats, stores
from hinote_jax.lazy import tiles

_CORNER = 48  # cells of the input along each axis that are timed
_SIDE = 256  # of a tile, about


def lines(request: jobs.Request, predictor: predict.Predictor) -> list[str]:
  """Returns what is to be said of a request before it is carried out.

  Args:
    request: of one file.
    predictor: that of its checkpoint.

  Raises:
    OSError: a file is missing or cannot be read, or the result is there.
    ValueError: what is asked cannot be done.
  """
  job = jobs.Job(request, predictor)
  job.require()
  source, fine = job.reader.header, job.header
  leads = [f"{lead.name} {lead.size}" for lead in source.leads]
  along = f" ({', '.join(leads)})" if leads else ""
  names = [f"{v.name} [{v.units or '1'}]" for v in fine.variables]
  finer = [n / m for n, m in zip(fine.shape, source.shape, strict=True)]
  points = job.count * math.prod(fine.shape)
  size = sum(points * np.dtype(v.dtype).itemsize for v in fine.variables)
  facts = {
    "fields": f"{job.count}{along} of {', '.join(names)}",
    "grid": f"{_shape(source.shape)} -> {_shape(fine.shape)}, "
    f"{finer[0]:.4g} x {finer[1]:.4g} times as many points",
    "size": f"{_bytes(size)} before compression",
    "chunks": _chunks(job),
    "memory": f"within {request.options.memory or 'what a field takes'}",
    "time": _time(job, predictor, points),
  }
  text = [f"{name:<8}{fact}" for name, fact in facts.items()]
  return [f"{request.source} -> {request.path} (nothing is written)", *text]


def _chunks(job: jobs.Job) -> str:
  fine = job.header
  if formats.suffix(job.partial.path) != ".zarr":
    return "as the format has them"
  if math.prod(fine.shape) > _SIDE**2 and job.request.options.memory:
    side = [tiles.even(n, _SIDE) for n in fine.shape]
    return f"1 x {_shape(side)} of a variable or smaller: the tiles"
  itemsize = max(np.dtype(v.dtype).itemsize for v in fine.variables)
  chunk = stores.chunks(fine.shape, len(fine.variables), itemsize)
  return f"1 x {_shape(chunk)} of a variable"


def _time(job: jobs.Job, predictor: predict.Predictor, points: int) -> str:
  """Returns about how long all of it takes on this machine."""
  if not job.count:
    return "none: there are no fields"
  source = job.reader.header
  corner = source.on(
    *(
      dataclasses.replace(a, values=a.values[:_CORNER], is_periodic=False)
      for a in (source.y, source.x)
    )
  )
  fine = job.header.y, job.header.x
  scale = [
    max(1.0, len(b) / len(a) if a.is_counted else abs(a.step / b.step))
    for a, b in zip((source.y, source.x), fine, strict=True)
  ]
  goal = upscaling.target(corner, scale=scale)
  options = dataclasses.replace(job.request.options, consistent=None)
  make = upscaling.Upscaler(predictor, corner, goal, options)
  values = job.reader.read(0)[: len(corner.y), : len(corner.x)]
  first = _seconds(make, values)
  each = min(_seconds(make, values) for _ in range(2))
  whole = each * points / math.prod(make.header.shape)
  kind = jax.devices()[0].device_kind
  return (
    f"about {progress.duration(first + whole)} here, on one {kind}: "
    f"{1e9 * each / math.prod(make.header.shape):.3g} ns a point"
  )


def _seconds(make: upscaling.Upscaler, values: np.ndarray) -> float:
  start = time.perf_counter()
  make.field(values)
  return time.perf_counter() - start


def _shape(shape) -> str:
  return " x ".join(map(str, shape))


def _bytes(count: float) -> str:
  for unit in ("B", "kB", "MB", "GB"):
    if count < 1000:
      return f"{count:.3g} {unit}"
    count /= 1000
  return f"{count:.3g} TB"
