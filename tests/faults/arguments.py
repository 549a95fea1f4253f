"""Random argument lists of the upscale command: done, or one sentence.

python -m tests.faults.arguments SEED COUNT
"""

import collections
from collections.abc import Iterator, Sequence
import contextlib
import io
import os
import pathlib
import sys
import tempfile
import traceback
import warnings

import numpy as np

from hinote_jax import upscale
from hinote_jax.io import files
from tests.faults import samples
from tests.faults.outcome import GOOD, Outcome

_KIND = "arguments"
_OUTPUTS = {
  "fine.npy": 4,
  "fine.nc": 4,
  "fine.zarr": 3,
  "fine.png": 2,
  "fine.jpg": 1,
  "fine.xyz": 1,
  "there.npy": 1,
  "folder/": 1,
  "no/such/fine.npy": 1,
  "": 1,
  "-": 1,
}
# Flag -> values; None: the flag alone.
_GRID = {
  "--scale": [
    "2",
    "2",
    "2",
    "1.5,2",
    "1",
    "0.5",
    "nan",
    "inf",
    "-2",
    "1e9",
    "x",
  ],
  "--shape": ["24,32", "24,32", "3,3", "24", "0,0", "9999999,9999999", "a,b"],
  "--like": ["a.npy", "a.nc", "gone.nc", "folder", ""],
}
_FLAGS = {
  "--checkpoint": ["nearest", "bicubic", "bicubi", "a.npy", "folder", "gone"],
  "--variable": ["t", "u", "t,t", ",", "channel0", "grey"],
  "--registration": ["cells", "nodes", "nodes,cells", "edges", "a,b,c"],
  "--periodic": ["x", "none", "both", "z"],
  "--consistent=": ["", "area", "area|area|", "noise(", "decimate(cubic)"],
  "--keep-mean": [None],
  "--clip": ["0,", ",1", "-5,5", "5,-5", ",", "a", "nan,nan"],
  "--dtype": ["float32", "float64", "int3"],
  "--overwrite": [None],
  "--memory": ["none", "2GB", "1kB", "-1", "much", "nan", "1e400"],
  "--devices": ["1", "all", "0", "99", "-1"],
  "--which": ["best", "worst"],
  "--workers": ["0", "-3", "x"],
  "--follow-links": [None],
  "--nonsense": [None, "1"],
}
_INPUTS = ["a.npy", "a.nc", "a.png", "a.tif", "a.npz", "a.h5", "*.nc"]
_INPUTS += ["gone.npy", "folder", "", "[", "a.npy\x00b"]


def trials(seed: int, count: int) -> Iterator[Outcome]:
  """Yields the outcomes of random argument lists; see `files.trials`."""
  with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
    for kind in ("npy", "npz", "netcdf3", "png", "tiff", "hdf5"):
      samples.write(pathlib.Path(kind), kind)
      whole = samples.path_of(pathlib.Path(kind), kind)
      whole.rename(whole.name)
      whole.parent.rmdir()
    pathlib.Path("folder").mkdir()
    pathlib.Path("there.npy").write_bytes(b"of somebody")
    before = set(os.listdir())
    for i in range(seed, seed + count):
      yield _trial(i, before)


def drawn(rng: np.random.Generator) -> list[str]:
  """Returns an argument list; a good half of its parts are sound."""
  weights = np.array([3.0] * 7 + [0.5] * 5)
  inputs = rng.choice(_INPUTS, p=weights / weights.sum(), size=1)
  weights = np.array(list(_OUTPUTS.values()), float)
  output = rng.choice(list(_OUTPUTS), p=weights / weights.sum())
  arguments = [*map(str, inputs), str(output)]
  grids = rng.permutation(list(_GRID))[: rng.choice([1, 1, 1, 1, 1, 0, 2])]
  flags = rng.permutation(list(_FLAGS))[: rng.integers(4)]
  if rng.random() < 0.8:
    arguments += ["--checkpoint", str(rng.choice(["nearest", "bicubic"]))]
  for flag in map(str, (*grids, *flags)):
    values = (_GRID | _FLAGS)[flag]
    is_sound = rng.random() < 0.6
    value = values[0 if is_sound else rng.integers(len(values))]
    if flag.endswith("="):
      arguments.append(f"{flag}{value}")
    else:
      arguments += [flag] if value is None else [flag, value]
  return arguments


def _trial(seed: int, before: set[str]) -> Outcome:
  arguments = drawn(np.random.default_rng(seed))
  said, code = io.StringIO(), None
  with (
    contextlib.redirect_stdout(said),
    contextlib.redirect_stderr(said),
    warnings.catch_warnings(),
  ):
    warnings.simplefilter("ignore")
    try:
      code = upscale.main([*arguments, "--quiet"])
    except SystemExit as error:
      code = error.code
    except BaseException:  # noqa: BLE001 - this is what is looked for
      said.write(traceback.format_exc())
  text, left = said.getvalue().strip(), set(os.listdir()) - before
  left |= {f"folder/{name}" for name in os.listdir("folder")}
  verdict = _verdict(code, text, left)
  for name in left:
    files.remove(pathlib.Path(name))
  pathlib.Path("there.npy").write_bytes(b"of somebody")
  return Outcome(_KIND, seed, verdict, f"{arguments}: {code} {text[-300:]}")


def _verdict(code, text, left) -> str:
  is_litter = any(".tmp" in name or ".partial" in name for name in left)
  if code == 0:
    return "litter" if is_litter else "right"
  sentences = [line for line in text.splitlines() if line[:1] != "("]
  if code != 2 or len(sentences) != 1 or "Traceback" in text:
    return "traceback"
  return "litter" if left else "refused"


def main(arguments: Sequence[str]) -> int:
  """Prints what becomes of some argument lists."""
  table = collections.Counter()
  for outcome in trials(*map(int, arguments)):
    table[outcome.verdict] += 1
    if outcome.verdict not in GOOD:
      print(*outcome)
  print(dict(table))
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
