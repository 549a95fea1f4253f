"""The tfds builder of every source, and the memory map made from it.

A folder of the cache holds the series as a tfds dataset (array_record files,
readable by `tfds.builder_from_directory`), the same values as one memory map,
because decoding a whole record for every crop is hundreds of times slower, and
meta.json, which is written last and marks the folder complete.
"""

import contextlib
import functools
import io
import json
import os
import pathlib
import shutil
from typing import Any

import filelock
import numpy as np

from hinote_jax.data import series
from hinote_jax.io import files, inputs, room

_SPLIT = "series"


def cached(
  source: series.Source, cache_dir: str | os.PathLike | None = None
) -> series.Dataset:
  """Returns a source as a memory-mapped dataset; reads it once, ever.

  A run that is killed while it writes leaves nothing that a later run takes
  for whole. Several processes may ask at once: one writes, the others wait.

  Args:
    source: where the fields come from.
    cache_dir: None takes $HINOTE_JAX_CACHE, else hinote_jax in the user's
      cache folder.

  Raises:
    ValueError: a field cannot be read, has NaN, or has another shape than the
      first.
    OSError: the cache cannot be written.
  """
  root = pathlib.Path(cache_dir or default_cache_dir()).expanduser()
  folder = root / f"{source.name}-{source.fingerprint[:16]}"
  if not _is_complete(folder, source):
    with _writing(folder), _locked(folder):
      if not _is_complete(folder, source):
        _write(folder, source)
  lowres = source.lowres
  return series.Dataset.of(
    source,
    np.load(folder / "values.npy", mmap_mode="r"),
    None if lowres is None else cached(lowres, cache_dir),
  )


def default_cache_dir() -> pathlib.Path:
  """Returns $HINOTE_JAX_CACHE, or hinote_jax in the user's cache folder."""
  if chosen := os.environ.get("HINOTE_JAX_CACHE"):
    return pathlib.Path(chosen).expanduser()
  home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
  return pathlib.Path(home).expanduser() / "hinote_jax"


@contextlib.contextmanager
def _writing(folder):
  """Says of an error of the system which folder it was that was written."""
  try:
    yield
  # array_record raises RuntimeError where a disk is full.
  except (OSError, RuntimeError) as error:
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    raise OSError(
      f"cannot write the cache at {folder} ({reason}): set HINOTE_JAX_CACHE to "
      "a folder that can be written and has room"
    ) from error


@contextlib.contextmanager
def _locked(folder):
  """Holds a lock that the system lets go of when the process ends."""
  folder.mkdir(parents=True, exist_ok=True)
  with filelock.FileLock(folder / "lock"):
    yield


def _is_complete(folder, source) -> bool:
  try:
    meta = json.loads((folder / "meta.json").read_text())
    values = np.load(folder / "values.npy", mmap_mode="r")
  except (OSError, ValueError):
    return False
  shape = (len(source.times), *source.field_shape)
  return meta.get("fingerprint") == source.fingerprint and values.shape == shape


def _write(folder, source) -> None:
  for leftover in (folder / "meta.json", *folder.glob("*.tmp")):
    leftover.unlink(missing_ok=True)
  for leftover in folder.glob("tfds/*/incomplete.*"):
    shutil.rmtree(leftover)
  room.require_disk(
    folder / "values.npy", (2, len(source), *source.field_shape), "make some"
  )
  records = _records(folder, source)
  shape = (len(source.times), *source.field_shape)
  meta = {
    "name": source.name,
    "fingerprint": source.fingerprint,
    "shape": list(shape),
    "axes": ["time", source.y.name, source.x.name, "variable"],
    "variables": [[v.name, v.units, v.long_name] for v in source.variables],
    "times": list(source.times),
    "groups": list(source.groups),
    "domain": source.domain,
    "citation": source.citation,
  }
  with files.whole(folder / "values.npy") as partial:
    _write_values(partial, records, shape)
  files.write_text(folder / "meta.json", json.dumps(meta, indent=2) + "\n")


def _write_values(path, records, shape) -> None:
  # Not through a memory map: a full disk would kill the process.
  with open(path, "wb") as file:
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for i in range(len(records)):
      file.write(np.ascontiguousarray(records[i]["values"], "<f4").data)
    file.flush()
    os.fsync(file.fileno())  # some file systems notice only now


def _records(folder, source):
  """Returns the series of a source as a random-access tfds data source."""
  tfds = inputs.require("tensorflow_datasets", "data")
  inputs.require("array_record", "data")
  bars = tfds.core.utils.tqdm_utils
  was_active = bars._active
  tfds.disable_progress_bar()
  try:
    # It announces each step on standard output.
    with contextlib.redirect_stdout(io.StringIO()):
      builder = _builder_class()(
        source=source, data_dir=folder / "tfds", file_format="array_record"
      )
      builder.download_and_prepare()
  finally:
    tfds.display_progress_bar(enable=was_active)
  return builder.as_data_source(_SPLIT)


@functools.cache
def _builder_class() -> Any:
  """Defines the builder at its first use: tfds is optional and registers it."""
  import tensorflow_datasets as tfds

  class HinoteFields(tfds.core.GeneratorBasedBuilder):
    """A series of fields on one grid, and what each of them belongs to."""

    VERSION = tfds.core.Version("1.1.0")
    # Nothing is downloaded, hence no checksums beside this file. To look for
    # them tfds 4.9.10 needs a package it does not ask for (its issue 11212).
    code_path = None

    def __init__(self, *, source, **kwargs):
      self._source = source
      super().__init__(**kwargs)

    def _info(self):
      values = tfds.features.Tensor(
        shape=self._source.field_shape, dtype=np.float32, encoding="bytes"
      )
      text = tfds.features.Text()
      return tfds.core.DatasetInfo(
        builder=self,
        description=self.__doc__,
        features=tfds.features.FeaturesDict(
          {"values": values, "time": text, "group": text}
        ),
        citation=self._source.citation or None,
        disable_shuffling=True,
      )

    def _split_generators(self, dl_manager):
      del dl_manager
      return {_SPLIT: self._generate_examples()}

    def _generate_examples(self):
      source = self._source
      for i, time in enumerate(source.times):
        group = source.groups[i] if source.groups else ""
        yield i, {"values": source.read(i), "time": time, "group": group}

  return HinoteFields
