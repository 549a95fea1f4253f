"""The tfds builder of every source, and the memory map made from it.

A folder of the cache holds the series as a tfds dataset (array_record files,
readable by `tfds.builder_from_directory`), the same values as one memory map,
because decoding a whole record for every crop is hundreds of times slower, and
meta.json, which is written last and marks the folder complete. Both the values
and the records have a digest, in meta.json and in records.sha256: all of it can
be made again from the source, and what has not its digest is.
"""

import contextlib
import functools
import io
import json
import os
import pathlib
import shutil
from typing import Any

from absl import logging
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
  if not _is_complete(folder, source.fingerprint):
    with _writing(folder), _locked(folder):
      if not _is_complete(folder, source.fingerprint):
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


def _is_complete(folder, fingerprint) -> bool:
  """Says whether the values are there and as they were written."""
  path, meta = folder / "values.npy", _meta(folder)
  if not path.exists() or meta.get("fingerprint") != fingerprint:
    return False
  return _is_whole(path, path.stat(), meta.get("sha256"))


def _meta(folder) -> dict[str, Any]:
  try:
    return dict(json.loads((folder / "meta.json").read_text()))
  except (OSError, ValueError, TypeError, RecursionError):
    return {}


@functools.cache  # once a run: there may be a lot to read
def _is_whole(path, stat, sha256) -> bool:
  del stat  # tells one file from the next under its name
  return files.digest(path) == sha256


def _write(folder, source) -> None:
  if (folder / "values.npy").exists():
    logging.warning("the cache at %s is damaged and made again", folder)
  (folder / "meta.json").unlink(missing_ok=True)
  files.tidy(folder)
  for leftover in folder.glob("tfds/*/incomplete.*"):
    shutil.rmtree(leftover)
  room.require_disk(
    folder / "values.npy", (2, len(source), *source.field_shape), "make some"
  )
  records = _records(folder, source)
  with files.whole(folder / "values.npy") as partial:
    _write_values(partial, records, (len(source), *source.field_shape))
    sha256 = files.digest(partial)
  meta = {
    "name": source.name,
    "fingerprint": source.fingerprint,
    "sha256": sha256,
    "shape": [len(source), *source.field_shape],
    "axes": ["time", source.y.name, source.x.name, "variable"],
    "variables": [[v.name, v.units, v.long_name] for v in source.variables],
    "times": list(source.times),
    "groups": list(source.groups),
    "domain": source.domain,
    "citation": source.citation,
  }
  files.write_text(folder / "meta.json", json.dumps(meta, indent=2) + "\n")


def _write_values(path, records, shape) -> None:
  # Not through a memory map: a full disk would kill the process.
  with open(path, "wb") as file:
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for i in range(len(records)):
      file.write(np.ascontiguousarray(records[i]["values"], "<f4").data)


def _records(folder, source):
  """Returns the series of a source as a random-access tfds data source.

  They are made where they are not there, or not as they were written.
  """
  tfds = inputs.require("tensorflow_datasets", "data")
  inputs.require("array_record", "data")
  bars = tfds.core.utils.tqdm_utils
  was_active = bars._active
  path, digest = folder / "tfds", folder / "records.sha256"
  is_there = path.exists() and digest.exists()
  if is_there and digest.read_text(errors="replace") != files.digest(path):
    files.remove(path)
  tfds.disable_progress_bar()
  try:
    # It announces each step on standard output.
    with contextlib.redirect_stdout(io.StringIO()):
      builder = _builder_class()(
        source=source, data_dir=path, file_format="array_record"
      )
      builder.download_and_prepare()
      files.write_text(digest, files.digest(path))
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
