"""Runs killed at a random access to a file, and gone on with.

A process trains, or upscales, and dies at its n-th access to a file of its own:
by SIGKILL, or by a signal that asks it to stop. So do some that go on after it;
the last one ends in peace. What it leaves must be what a run leaves that was
never stopped, to the last bit, and nothing else.
"""

from collections.abc import Callable, Iterator
import contextlib
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile

import numpy as np

from tests.faults.outcome import Outcome

_TIMEOUT = 300
_ACCESSES = "accesses to files: "
_IN_STATE = re.compile(r"run/checkpoints/\d+/state/.*")
_META = re.compile(r"run/checkpoints/\d+/meta.json")
_POLITE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _die_at(access: int, number: int, folder: str) -> list[int]:
  """Has this process get a signal at its n-th access to a file in a folder.

  Returns:
    a list of the one number of accesses, as it grows.
  """
  counted = [0]

  def count(event, arguments):
    if not event.startswith(("open", "os.", "shutil.")) or not arguments:
      return
    if str(arguments[0]).startswith(folder):
      counted[0] += 1
      if counted[0] == access:
        os.kill(os.getpid(), number)

  sys.addaudithook(count)
  return counted


def _train(folder: str) -> int:
  from hinote_jax.train import loop, preemption
  from tests import runs

  root = pathlib.Path(folder)
  config = runs.tiny_config(root / "fields.npy", root / "cache")
  config.update(steps=8, validate_every=2)
  try:
    with preemption.raised():
      loop.train(config, root / "run")
  except preemption.Stopped as stopped:
    print(stopped)
    return stopped.code
  return 0


def _command(folder: str, suffix: str) -> int:
  from hinote_jax import upscale

  out = f"{folder}/fine{suffix}"
  scale = ("--scale", "2", "--checkpoint", "bicubic", "--overwrite")
  return upscale.main([f"{folder}/coarse.npy", out, "--quiet", *scale])


def _upscale_npy(folder: str) -> int:
  return _command(folder, ".npy")


def _upscale_zarr(folder: str) -> int:
  return _command(folder, ".zarr")


def _child(run, folder, access, number) -> None:
  with open(f"{folder}.log", "a") as log:
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
  counted = _die_at(access, number, folder)
  # Not by sys.exit: the threads of a backend take their time.
  code = run(folder)
  print(f"\n{_ACCESSES}{counted[0]}")
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(code)


class _Kind:
  """What is run, and what it leaves when nothing stops it."""

  def __init__(self, name: str, run: Callable[[str], int]):
    self.name, self.run = name, run
    self.accesses, self.wanted = 0, {}

  def note(self, folder: pathlib.Path) -> None:
    """Notes what is left in the end, and how many accesses it took."""
    log = folder.with_name(f"{folder.name}.log")
    self.accesses = int(log.read_text().rpartition(_ACCESSES)[2])
    self.wanted = self.left(folder)

  def start(self, context, folder: str, access: int = 0, number: int = 0):
    """Returns the exit code, minus the signal of a kill; None if it hangs."""
    process = context.Process(
      target=_child, args=(self.run, folder, access, number)
    )
    process.start()
    process.join(_TIMEOUT)
    if process.exitcode is None:
      process.kill()
      process.join()
      return None
    return process.exitcode

  def left(self, folder: pathlib.Path) -> dict[str, str]:
    """Returns the digests of what a run has left, by name."""
    from hinote_jax.io import files

    names = {}
    for path in files.below(folder):
      name = path.relative_to(folder).as_posix()
      if _IN_STATE.fullmatch(name):
        continue
      if _META.fullmatch(name):
        names[name] = _checkpoint(path)
        continue
      is_ours = not name.startswith(("cache/", "run/tensorboard/"))
      if is_ours or path.suffix in (".npy", ".tmp"):
        names[name] = "" if "timings" in name else files.digest(path)
    return names


def _checkpoint(path: pathlib.Path) -> str:
  """Returns what a checkpoint holds, of its meta.json.

  Orbax draws names for its files and writes the time into them: those are what
  the checkpoint's own digest says, no more and no fewer.
  """
  from hinote_jax.train import digests

  meta = json.loads(path.read_text())
  is_whole = digests.of_files(path.parent / "state") == meta["files"]
  return meta["sha256"] if is_whole else "damaged"


def _kinds() -> tuple[_Kind, ...]:
  return (
    _Kind("train", _train),
    _Kind("upscale npy", _upscale_npy),
    _Kind("upscale zarr", _upscale_zarr),
  )


def _verdict(kind: _Kind, codes, folder: pathlib.Path) -> tuple[str, str]:
  log = folder.with_name(f"{folder.name}.log").read_text(errors="replace")
  detail = f"{kind.name}, exits {codes}"
  if None in codes:
    return "hang", detail
  if "Traceback" in log:
    return "traceback", f"{detail}: {log.strip().splitlines()[-1][:200]}"
  polite = [128 + number for number in _POLITE]
  if codes[-1] or any(c not in (0, -9, *polite) for c in codes):
    return "abort", f"{detail}: {log.strip()[-200:]}"
  left = kind.left(folder)
  if more := sorted(left.keys() - kind.wanted.keys()):
    return "litter", f"{detail}: {more[:5]}"
  other = [n for n in kind.wanted if left.get(n) != kind.wanted[n]]
  return ("wrong" if other else "right"), f"{detail} {other[:5]}"


@contextlib.contextmanager
def _inputs() -> Iterator[pathlib.Path]:
  """Yields a folder with what the runs read."""
  from tests import runs

  with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    (root / "input").mkdir()
    runs.write_fields(root / "input" / "fields.npy")
    values = np.random.default_rng(0).normal(size=(5, 24, 30))
    np.save(root / "input" / "coarse.npy", values.astype(np.float32))
    yield root


def trials(seed: int, count: int) -> Iterator[Outcome]:
  """Yields what becomes of runs that are killed, an outcome a kill."""
  context = multiprocessing.get_context("forkserver")
  context.set_forkserver_preload(["tests.faults.preload"])
  kinds = _kinds()
  with _inputs() as root:
    folder = root / "trial"  # a config names its files, wherever they lie
    for kind in kinds:
      shutil.copytree(root / "input", folder)
      assert kind.start(context, str(folder)) == 0, kind.name
      kind.note(folder)
      shutil.rmtree(folder)
    done = 0
    while done < count:
      rng = np.random.default_rng(seed + done)
      kind = kinds[rng.choice(len(kinds), p=(0.5, 0.25, 0.25))]
      codes = []
      (root / "trial.log").unlink()
      shutil.copytree(root / "input", folder)
      kills = int(min(rng.integers(1, 5), count - done))
      for _ in range(kills):
        number = signal.SIGKILL if rng.random() < 0.75 else rng.choice(_POLITE)
        access = int(rng.integers(1, kind.accesses))
        codes.append(kind.start(context, str(folder), access, int(number)))
      codes.append(kind.start(context, str(folder)))
      verdict, detail = _verdict(kind, codes, folder)
      for k in range(kills):
        yield Outcome("kill", seed + done + k, verdict, detail)
      done += kills
      shutil.rmtree(folder)
