"""The command line: fields of files on a finer grid.

python -m hinote_jax.upscale era5.nc fine.nc --scale 3.7 --checkpoint runs/demo
"""

import argparse
import collections
from collections.abc import Sequence
import contextlib
import dataclasses
import glob
import os
import shlex
import sys
from typing import Any

from hinote_jax import shipped
from hinote_jax.cli import command_line, interrupts, upscale_arguments
from hinote_jax.core import naming
from hinote_jax.train import host_memory, preemption

_PERIODIC = {
  "y": (True, False),
  "x": (False, True),
  "both": (True, True),
  "none": (False, False),
}


def pairs(files: Sequence[str]) -> list[tuple[str, str]]:
  """Returns (input, result) of all inputs; the last of the files is OUT.

  Raises:
    FileNotFoundError: there is no such input, or no folder for the result.
    ValueError: several inputs and no folder, or two results of one name.
  """
  *patterns, out = files
  sources, is_several = [], len(patterns) > 1
  for pattern in patterns:
    paths = [pattern]
    if glob.has_magic(pattern) and not os.path.exists(pattern):
      paths, is_several = sorted(glob.glob(pattern, recursive=True)), True
    if not paths or not os.path.exists(paths[0]):
      raise FileNotFoundError(f"no file at {pattern}: check the path")
    sources += map(os.path.abspath, paths)
  name, target = out.rstrip("/"), os.path.abspath(out)
  is_store = name.endswith(".zarr")
  if not is_store and (name != out or os.path.isdir(out)):
    results = [os.path.join(target, os.path.basename(s)) for s in sources]
  elif is_several:
    raise ValueError(f"several inputs need a folder: write {name}/ for {out}")
  else:
    results = [target]
  if not os.path.isdir(parent := os.path.dirname(target)):
    raise FileNotFoundError(f"no folder {parent}: create it first")
  inputs = {os.path.realpath(source) for source in sources}
  for path, count in collections.Counter(results).items():
    if count > 1:
      raise ValueError(f"{count} inputs would become {path}: name one of them")
    if os.path.realpath(path) in inputs:
      raise ValueError(f"{path} is an input: give the result another name")
  return list(zip(sources, results, strict=True))


def _requests(asked: argparse.Namespace, files: Any) -> Any:
  """Returns what is asked of each file."""
  from hinote_jax.infer import jobs, upscaling

  names = [n for text in asked.variable or () for n in text.split(",")]
  options = upscaling.Options(
    consistent=_degradation(asked),
    keeps_mean=asked.keep_mean,
    clip=asked.clip or (None, None),
    is_ensemble=asked.tta,
    memory=asked.memory,
    span=asked.range and tuple(asked.range),
    is_renamed=bool(names),
    blur=_blur(asked),
  )
  return [
    jobs.Request(
      source,
      path,
      asked.checkpoint,
      asked.which,
      variables=tuple(names) or None,
      registration=asked.registration,
      periodic=_PERIODIC.get(asked.periodic),
      scale=asked.scale,
      shape=asked.shape,
      like=asked.like and os.path.abspath(asked.like),
      options=options,
      static=tuple(asked.static or ()),
      dtype=asked.dtype,
      devices=asked.devices,
      overwrite=asked.overwrite,
      follow_links=asked.follow_links,
    )
    for source, path in files
  ]


def _blur(asked: argparse.Namespace) -> Any:
  """Returns what --psf and --noise say; None where both are left out."""
  from hinote_jax.degradations import psf
  from hinote_jax.infer import blurred

  kernel, note = psf.read(asked.psf) if asked.psf is not None else (None, "")
  return blurred.Blur.of(kernel, asked.noise, note)


def _degradation(asked: argparse.Namespace) -> Any:
  """Returns what --consistent names; None where it is left out."""
  from hinote_jax import degradations
  from hinote_jax.infer import jobs

  if asked.consistent is None:
    return None
  if not asked.consistent:
    return jobs.degradation_of(asked.checkpoint)
  if os.path.exists(asked.consistent):
    raise ValueError(
      f"--consistent takes {asked.consistent} for a degradation: write "
      "--consistent= or put it last"
    )
  return degradations.parse(asked.consistent)


def _require_page(path: str, files: Sequence[tuple[str, str]]) -> None:
  """Refuses a page that could not be written.

  Raises:
    FileNotFoundError: there is no folder for it.
    ModuleNotFoundError: what draws it is missing.
    ValueError: it is of several inputs, or not the name of a page.
  """
  from hinote_jax import pages

  if not pages.is_available():
    raise ModuleNotFoundError(f"--view needs bokeh: {pages.NEEDED}")
  if len(files) > 1:
    raise ValueError(f"--view shows one input and {len(files)} were given")
  if not path.endswith((".html", ".htm")):
    raise ValueError(f"--view wants the name of a page, a .html, got {path!r}")
  if not os.path.isdir(parent := os.path.dirname(os.path.abspath(path))):
    raise FileNotFoundError(f"no folder {parent}: create it first")


def _require_new(files: Sequence[tuple[str, str]], page: str | None) -> None:
  """Refuses results that are there, before anything is imported.

  Raises:
    FileExistsError: one is, and no run of several files was killed after it;
      if one was, `jobs.Job.require` says whether it was this very one. Or the
      page is, which is written last.
  """
  for _, path in files:
    is_left = os.path.exists(f"{path}.partial/finished.json")
    if os.path.exists(path) and not is_left:
      raise FileExistsError(naming.taken(path))
  if page is not None and os.path.exists(page):
    raise FileExistsError(naming.taken(page))


def _upscale(arguments: Sequence[str]) -> None:
  asked = upscale_arguments.parse(arguments)
  files = pairs(asked.files)
  is_chosen = asked.checkpoint is None
  if is_chosen:
    asked.checkpoint = shipped.FALLBACK
  upscale_arguments.require_checkpoint(asked.checkpoint)
  if asked.view is not None:
    _require_page(asked.view, files)
  if not asked.overwrite:
    _require_new(files, asked.view)
  name = asked.checkpoint
  if os.path.exists(name) and name not in upscale_arguments.INTERPOLATIONS:
    asked.checkpoint = os.path.abspath(name)
  requests = _requests(asked, files)
  for request in requests:
    request.require()
  from hinote_jax import infer, interop
  from hinote_jax.infer import batch, progress

  with contextlib.ExitStack() as stack:
    make, bar = None, progress.Progress(is_quiet=asked.quiet)
    stack.callback(bar.close)
    if is_chosen:
      from hinote_jax.infer import choosing

      asked.checkpoint, why = choosing.choose(requests)
      bar.note(why)
      requests = _requests(asked, files)
    if asked.workers or asked.scheduler:
      from hinote_jax.infer import dask_jobs

      make = stack.enter_context(
        dask_jobs.connected(asked.scheduler, asked.workers)
      )
    predictor = infer.load(
      asked.checkpoint,
      asked.which,
      static=tuple(asked.static or ()),
      **dict(map(interop.parse_option, asked.option or ())),
    )
    if not upscale_arguments.has_grid(asked):
      scale = getattr(predictor.module, "scale", None)
      if scale is None:
        raise ValueError(upscale_arguments.NO_GRID)
      requests = [dataclasses.replace(r, scale=scale) for r in requests]
    if asked.dry_run:
      from hinote_jax.infer import preview

      for request in requests:
        print("\n".join(preview.lines(request, predictor)))
      return
    if asked.view is not None:
      from hinote_jax.pages import of_files

      of_files.require(asked.view, requests[0], predictor)
    batch.run(requests, predictor, bar, make)
    if asked.view is not None:
      command = shlex.join(["hinote-upscale", *arguments])
      of_files.write(asked.view, requests[0], predictor, command)


def main(arguments: Sequence[str] | None = None) -> int:
  """Upscales files; a user's mistake is one sentence and exit code 2."""
  arguments = sys.argv[1:] if arguments is None else arguments
  try:
    with preemption.raised():
      _upscale(arguments)
  except (ValueError, OSError, ArithmeticError, ImportError) as error:
    return command_line.print_error(error)
  except KeyboardInterrupt as stopped:
    message = str(stopped) or "stopped; the same command goes on"
    print(f"\nhinote_jax: {message}", file=sys.stderr)
    return getattr(stopped, "code", 130)
  except (MemoryError, RuntimeError) as error:
    # What XLA says where an accelerator is full.
    is_full = "RESOURCE_EXHAUSTED" in str(error)
    if not is_full and not isinstance(error, MemoryError):
      raise
    return command_line.print_error(
      MemoryError("there is not enough memory: give less by --memory")
    )
  return 0


def run() -> None:
  """Entry point of the console script."""
  host_memory.keep_freed()
  sys.exit(interrupts.prompt(main))


if __name__ == "__main__":
  run()
