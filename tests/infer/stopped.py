"""Jobs of one file that stop after so many tiles, and go on."""

import functools

import pytest

from hinote_jax import infer
from hinote_jax.infer import batch, jobs, progress, tile_store, upscaling

# Tiles of at most 20 points: 2 x 3 of 11 x 16 in 22 x 48 points.
OPTIONS = upscaling.Options(memory="1GB", side=20)


# A network that is compiled once for all tests.
load = functools.cache(infer.load)


class Stop(BaseException):
  """Stands for the end of a process."""


def request(source, out, **options):
  options = dict(options=OPTIONS, shape=(22, 48)) | options
  return jobs.Request(str(source), str(out), "bicubic", **options)


def run(request):
  bar = progress.Progress(is_quiet=True)
  batch.run([request], load("bicubic"), bar)


def stopping(monkeypatch, count, error):
  """Lets `count` tiles be written, and then fails; returns which were."""
  write, written = tile_store.TileStore.write, []

  def stopping(self, i, rows, columns, values):
    if len(written) == count:
      raise error
    digest = write(self, i, rows, columns, values)
    written.append((i, rows.start, columns.start))
    return digest

  monkeypatch.setattr(tile_store.TileStore, "write", stopping)
  return written


def stop(request, out, count, error=None):
  """Runs a request until so many tiles are there; returns which."""
  with pytest.MonkeyPatch.context() as patch:
    written = stopping(patch, count, error or Stop())
    with pytest.raises(type(error or Stop())) as raised:
      run(request)
  return written, str(raised.value)
