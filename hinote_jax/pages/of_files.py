"""The page of a file that was just made finer: `hinote-upscale --view`."""

import math
import os
import pathlib
from typing import Any

import numpy as np

from hinote_jax import fields, infer, io
from hinote_jax.infer import jobs, upscaling
from hinote_jax.io import formats, picture
from hinote_jax.metrics import spectra as radial
from hinote_jax.pages import charts, document, samples, viewer
from hinote_jax.plots import maps
from hinote_jax.train import workdir

# Formats that keep the channels of a result and not their names.
_NAMELESS = ("images", "nifti")
# Values of all results that a page holds, and the most that are looked at.
_ROOM, _MOST = 4_000_000, 200_000_000


def require(path: str, request: jobs.Request, predictor: Any) -> None:
  """Refuses a page that could not be written, before anything is made.

  Args:
    path: of the page.
    request: of one file.
    predictor: that of its checkpoint.

  Raises:
    ValueError: a field of the result is too large to be held whole.
  """
  header = jobs.Job(request, predictor).header
  size = math.prod(header.shape) * len(header.variables)
  if size > _MOST:
    raise ValueError(
      f"--view {path} holds a field of the result whole, {size} values, and "
      f"takes at most {_MOST}: leave it out"
    )


def write(
  path: str | os.PathLike, request: jobs.Request, predictor: Any, command: str
) -> None:
  """Writes a page of a request that was carried out.

  Beside the result stands an interpolation; there is no truth.

  Args:
    path: of the page.
    request: of one file.
    predictor: that of its checkpoint.
    command: that made the result.
  """
  job = jobs.Job(request, predictor)
  source = job.reader.header
  rival = "bicubic" if request.checkpoint != "bicubic" else "bilinear"
  shown = _colours(source)
  examples, is_whole = _samples(job, rival, shown)
  variables = [
    {"name": v.name, "units": v.units, "long_name": _long_name(v)}
    for v in (source.variables[c] for c in shown)
  ]
  in_colour = tuple(v["name"] for v in variables) == picture.RGB
  parts, curves = [], None
  if is_whole and not in_colour:
    entry = _spectra(examples, rival, job.header.periodic)
    curves = charts.spectra([entry], variables)
    parts.append(document.Part("Spectra", charts.CAPTION, curves.drawn))
  drawn, show = viewer.viewer(
    examples,
    variables,
    base=rival,
    in_colour=in_colour,
    curves=curves,
  )
  count = f"{len(examples)} of {job.count} fields. " * (job.count > 1)
  keys = "; the slider takes the arrow keys" * (len(examples) > 1)
  held = (
    f"<p>{count}There is no truth: what differs is the result from {rival}. "
    f"The maps zoom together{keys}.</p>"
  )
  parts.insert(0, document.Part("Fields", held, drawn))
  facts = {
    "input": request.source,
    "result": request.path,
    "grid": f"{_shape(source)} to {_shape(job.header)}",
    "by": request.checkpoint,
    "versions": ", ".join(f"{k} {v}" for k, v in workdir.versions().items()),
  }
  text = document.facts(facts, command)
  parts.append(document.Part("How it was made", text))
  title = f"{pathlib.Path(request.source).name}, finer"
  document.write(path, title, parts, at_first=[show])


def _colours(header: fields.Header) -> list[int]:
  """Returns which channels are shown: all but opacity."""
  seen = upscaling.seen(header)
  return [c for c, v in enumerate(header.variables) if v in seen]


def _samples(
  job: jobs.Job, rival: str, shown: list[int]
) -> tuple[list[samples.Sample], bool]:
  """Returns the first fields, and whether none of their values is missing."""
  request, source = job.request, job.reader.header
  like = io.open(request.like).header if request.like else None
  goal = upscaling.target(
    source, scale=request.scale, shape=request.shape, like=like
  )
  make = upscaling.Upscaler(infer.load(rival), source, goal)
  result = _result(job)
  scale = f"x{len(goal.x) / len(source.x):g}"
  is_counted = source.y.is_counted or source.x.is_counted
  frame = maps.frame(job.header.shape) if is_counted else _frame(job.header)
  rows, columns, coarse = _under(goal, frame, source)
  size = math.prod(job.header.shape) * len(shown)
  examples = []
  for i in range(min(job.count, max(1, _ROOM // size))):
    lowres = job.reader.read(i)
    at = np.unravel_index(i, source.lead_shape)
    leads = zip(source.leads, at, strict=True)
    examples.append(
      samples.Sample(
        name=", ".join(f"{d.name} {n}" for d, n in leads) or "field",
        scale=scale,
        lowres=lowres[rows][:, columns][..., shown],
        base=make.field(lowres, index=i)[..., shown],
        others={"result": result.read(i)[..., shown]},
        frame=frame,
        coarse=coarse,
      )
    )
  is_whole = all(
    np.isfinite(s.base + s.others["result"]).all() for s in examples
  )
  return examples, is_whole


def _result(job: jobs.Job) -> io.Reader:
  """Opens what was made; its channels are those of the job, in order."""
  path = job.partial.path
  kind = formats.reader_of(path).__name__.rpartition(".")[2]
  return io.open(path, None if kind in _NAMELESS else job.header.names)


def _frame(header: fields.Header) -> maps.Frame:
  """Returns where the cells of fields lie."""
  y, x = header.y, header.x
  is_geographic = y.is_latitude and x.is_longitude
  return maps.frame(
    header.shape, y.values, x.values, is_geographic=is_geographic
  )


def _under(
  goal: upscaling.Target, frame: maps.Frame, source: fields.Header
) -> tuple[np.ndarray, np.ndarray, maps.Frame]:
  """Returns the rows and columns of the input under a result, and their frame.

  They are in the direction of the result; a periodic axis runs on beyond its
  end, as the line of the result does.
  """
  parts, first, count = [], [], []
  for line, turns, n, is_periodic in zip(
    goal.lines, goal.is_turned, source.shape, source.periodic, strict=True
  ):
    # The edges of the result, in cells of the input from its first edge on.
    low = line.first - 0.5 * line.step + 0.5
    high = low + line.count * line.step
    # What rounding adds is no cell.
    start, stop = math.floor(low + 1e-6), math.ceil(high - 1e-6)
    if not is_periodic:
      start, stop = max(start, 0), min(stop, n)
    cells = np.arange(start, stop) % n
    parts.append(cells[::-1] if turns else cells)
    first.append((high - stop if turns else start - low) / line.step)
    count.append((stop - start) / line.step)
  extent = maps.box(frame, (len(goal.y), len(goal.x)), (*first, *count))
  return parts[0], parts[1], frame._replace(extent=extent)


def _spectra(
  examples: list[samples.Sample], rival: str, periodic: tuple[bool, bool]
) -> dict[str, Any]:
  """Returns the mean spectra of both, as those of an evaluation."""
  power, wavenumber = {}, np.zeros(0)
  for name in (rival, "result"):
    each = np.stack(
      [s.base if name == rival else s.others[name] for s in examples]
    )
    wavenumber, each = radial.radial_spectrum(each, periodic=periodic)
    power[name] = each.mean(0).T
  scale = float(examples[0].scale[1:])
  return {"scale": scale, "wavenumber": wavenumber, "power": power}


def _shape(header: fields.Header) -> str:
  return " x ".join(map(str, header.shape))


def _long_name(variable: fields.Variable) -> str:
  return str(variable.attributes.get("long_name", ""))
