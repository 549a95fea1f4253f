"""Files of a run changed on the disk: mended, passed over, or refused by name.

A trial damages one file of a checkpoint, a result in the making, a cache or a
log, and asks for what the file is for. Right is the very same answer, from what
is still whole where it must be; refused is one sentence.
"""

from collections.abc import Iterator
import contextlib
import io
import pathlib
import shutil
import tempfile
from unittest import mock

from absl import logging
import numpy as np

from hinote_jax import infer, upscale
from hinote_jax.data import builder
from hinote_jax.data.sources import files as sources
from hinote_jax.infer import jobs
from hinote_jax.io import files
from hinote_jax.train import (
  checkpoint,
  checkpoint_folder,
  digests,
  loop,
  metric_log,
  preemption,
  workdir,
)
from tests import runs
from tests.faults.outcome import Outcome


def _damaged(content: bytes, rng: np.random.Generator) -> bytes | None:
  """Returns other bytes; None for a file that is gone."""
  kind = rng.integers(6) if content else 4
  at = int(rng.integers(len(content))) if content else 0
  if kind < 2:
    flipped = content[at] ^ (1 << int(rng.integers(8)))
    return content[:at] + bytes([flipped]) + content[at + 1 :]
  if kind == 2:
    return content[:at]
  if kind == 3:
    end = min(at + int(rng.integers(1, 512)), len(content))
    blank = bytes(end - at)
    return content[:at] + (blank or b"\1") + content[end:]
  return None if kind == 4 else content + rng.bytes(int(rng.integers(1, 99)))


def _damage(path: pathlib.Path, rng: np.random.Generator) -> str:
  """Damages a file; says which."""
  before = path.read_bytes()
  after = _damaged(before, rng)
  if after is None:
    path.unlink()
  else:
    path.write_bytes(after)
  return path.name


class _Case:
  """Something with files, to be damaged: `folder` is copied for every trial."""

  def __init__(self, name: str, folder: pathlib.Path, pattern: str):
    """Notes which files of the folder are damaged."""
    self.name, self.folder, self._pattern = name, folder, pattern

  def files(self, folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns those of a copy."""
    return sorted(p for p in folder.glob(self._pattern) if p.is_file())

  def ask(self, folder: pathlib.Path) -> str | None:
    """Asks for what the files are for; returns what is wrong with the answer.

    Raises:
      ValueError: it is refused, or OSError.
    """
    raise NotImplementedError


class _Checkpoint(_Case):
  """The weights of a run, and all that belongs with them."""

  def ask(self, folder):
    said = io.StringIO()
    with mock.patch.object(logging, "warning", lambda *a: said.write(str(a))):
      state, meta = checkpoint.load(folder, "latest", falls_back=True) or (
        {},
        {},
      )
    if (digests.of_tree(state), meta) not in self._known:
      return "other weights, or other things beside them"
    whole = [
      int(own.name)
      for own in (self.folder / checkpoint.DIRECTORY).iterdir()
      if files.digest(folder / checkpoint.DIRECTORY / own.name)
      == files.digest(own)
    ]
    if meta["step"] != max(whole):
      return f"step {meta['step']}, which is not the newest whole one"
    is_damaged = len(whole) < 2 and said.getvalue() == ""
    return "an older step, unsaid" if is_damaged and meta["step"] == 3 else None

  def prepare(self):
    """Notes what is right."""
    read = checkpoint_folder.read
    stored = [
      read(path, None)
      for path in (self.folder / checkpoint.DIRECTORY).iterdir()
    ]
    assert [meta["step"] for _, meta in stored] in ([3, 6], [6, 3])
    self._known = [(digests.of_tree(state), meta) for state, meta in stored]


class _Cache(_Case):
  """Fields that were read once."""

  def ask(self, folder):
    builder._is_whole.cache_clear()
    source = sources.files(str(folder / "fields.npy"), ("psi",))
    values = builder.cached(source, folder / "cache").values
    wanted = np.load(folder / "fields.npy")[..., None]
    if not np.array_equal(values, wanted):
      return "other values"
    rest = [p.name for p in files.below(folder) if ".tmp" in p.name]
    return f"litter {rest}" if rest else None


class _Result(_Case):
  """A result in the making; `wanted` is the digest of the whole."""

  wanted = ""

  def ask(self, folder):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
      code = upscale.main(_command(folder, "fine.zarr"))
    if code:
      raise ValueError(said.getvalue().splitlines()[0])
    if files.digest(folder / "fine.zarr") != self.wanted:
      return "another result"
    rest = sorted(p.name for p in folder.iterdir())
    return None if rest == ["coarse.npy", "fine.zarr"] else f"litter {rest}"


class _Log(_Case):
  """What a run says beside its weights; they are good whatever it says."""

  def ask(self, folder):
    said = io.StringIO()
    # Of the fields at the place that the config names.
    home = self.folder
    config = runs.tiny_config(home / "fields.npy", home / "cache")
    with mock.patch.object(logging, "warning", lambda *a: said.write(str(a))):
      summary = loop.train(config, folder / "run")
      degradation = jobs.degradation_of(str(folder / "run"))
      infer.load(folder / "run")
    if summary["steps_now"] or str(degradation) != self.degradation:
      return "other weights"
    same = metric_log.read(folder / "run") == self.records
    if not same and not said.getvalue():
      return "other metrics, unsaid"
    stored = workdir.read_config(folder / "run")
    return None if stored == self.config else "another config"

  def prepare(self):
    """Notes what is right."""
    run = self.folder / "run"
    self.records, self.config = metric_log.read(run), workdir.read_config(run)
    self.degradation = str(jobs.degradation_of(str(run)))


def _command(folder: pathlib.Path, name: str) -> list[str]:
  scale = ("--scale", "2", "--checkpoint", "bicubic", "--quiet")
  return [str(folder / "coarse.npy"), str(folder / name), *scale]


def _train(folder: pathlib.Path) -> None:
  folder.mkdir()
  runs.write_fields(folder / "fields.npy")
  config = runs.tiny_config(folder / "fields.npy", folder / "cache")
  loop.train(config, folder / "run")


def _half_done(folder: pathlib.Path) -> str:
  """Makes half of a result; returns the digest of the whole one."""
  folder.mkdir()
  values = np.random.default_rng(0).normal(size=(4, 24, 30))
  np.save(folder / "coarse.npy", values.astype(np.float32))
  assert upscale.main(_command(folder, "fine.zarr")) == 0
  wanted = files.digest(folder / "fine.zarr")
  files.remove(folder / "fine.zarr")
  tiles = jobs.Job._tiles

  def two(self, i):
    if i == 2:
      raise preemption.Stopped(15)
    return tiles(self, i)

  with mock.patch.object(jobs.Job, "_tiles", two):
    with contextlib.redirect_stderr(io.StringIO()):
      assert upscale.main(_command(folder, "fine.zarr")) == 143
  return wanted


def _cases(root: pathlib.Path) -> tuple[_Case, ...]:
  _train(root / "train")
  kept = _Checkpoint("checkpoint", root / "train" / "run", "checkpoints/*/*")
  log = _Log("log", root / "train", "run/*.*")
  cache = _Cache("cache", root / "train", "cache/**/*")
  result = _Result("result", root / "result", "fine.zarr.partial/**/*")
  result.wanted = _half_done(root / "result")
  kept.prepare()
  log.prepare()
  return kept, result, cache, log


def _verdict(case: _Case, folder: pathlib.Path, detail: str) -> tuple[str, str]:
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      with contextlib.redirect_stderr(io.StringIO()):
        wrong = case.ask(folder)
  except (ValueError, OSError, ArithmeticError) as error:
    text = str(error).strip()
    is_sentence = bool(text) and "\n" not in text
    return "refused" if is_sentence else "wrong", f"{detail}: {text[:200]}"
  except Exception as error:
    return "traceback", f"{detail}: {type(error).__name__}: {error}"[:300]
  if wrong and wrong.startswith("litter"):
    return "litter", f"{detail}: {wrong}"
  return "wrong" if wrong else "right", f"{detail}: {wrong or ''}"


def trials(seed: int, count: int) -> Iterator[Outcome]:
  """Yields what becomes of damaged files, of each kind as many."""
  with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    cases = _cases(root)
    for own in range(seed, seed + count):
      rng = np.random.default_rng(own)
      case = cases[own % len(cases)]
      copy = root / "trial"
      shutil.copytree(case.folder, copy)
      paths = case.files(copy)
      detail = _damage(paths[rng.integers(len(paths))], rng)
      verdict, said = _verdict(case, copy, detail)
      yield Outcome(case.name, own, verdict, said)
      shutil.rmtree(copy)
