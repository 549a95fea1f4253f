"""Reads the published networks' inputs, weights and outputs, where they are.

They lie beside the repository and are no part of it: without them the tests of
this folder are skipped.
"""

import importlib.util
import json
import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from hinote_jax import interop, models
from hinote_jax.interop import reader

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared"
ROOT = SHARED / "reference"
needs_reference = pytest.mark.skipif(
  not ROOT.is_dir(), reason=f"no reference values at {ROOT}"
)


class Case(NamedTuple):
  """One recorded run of a published network.

  Attributes:
    arrays: inputs, outputs and taps, as recorded.
    meta: configuration, seeds and errors.
    tensors: the weights, name -> array.
  """

  arrays: dict[str, np.ndarray]
  meta: dict[str, Any]
  tensors: dict[str, np.ndarray]


def weights(folder: str, stem: str) -> dict[str, np.ndarray]:
  """Returns the tensors of a weight file, or those drawn from its listing."""
  path = ROOT / folder / f"{stem}.weights.pth"
  if path.exists():
    return reader.read(path).tensors
  spec = importlib.util.spec_from_file_location("rng", ROOT / "rngweights.py")
  rng = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(rng)
  return rng.load(ROOT / folder / f"{stem}.keys.json")


def cases(folder: str, pattern: str = "*") -> list[str]:
  """Returns the names of the recorded runs of a folder, sorted."""
  found = (ROOT / folder).glob(f"{pattern}.io.npz")
  return sorted(path.name.removesuffix(".io.npz") for path in found)


def arrays(folder: str, name: str) -> dict[str, np.ndarray]:
  """Returns the recorded inputs and outputs of a run."""
  with np.load(ROOT / folder / f"{name}.io.npz", allow_pickle=False) as file:
    return {k: file[k] for k in file.files if k != "__meta__"}


def case(folder: str, name: str) -> Case:
  """Returns one recorded run with its weights."""
  meta = json.loads((ROOT / folder / f"{name}.meta.json").read_text())
  return Case(arrays(folder, name), meta, weights(folder, name.split("__")[0]))


def to_ours(values: np.ndarray) -> np.ndarray:
  """Returns [b h w c] of [b c h w], and [b 1 q c] of [b q c]."""
  if values.ndim == 3:
    return values[:, None]
  return values.transpose(0, 2, 3, 1)


def inputs(found: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns lowres, coords and cell of a recorded run as ours are."""
  coords, cell = found.arrays["coord"], found.arrays["cell"]
  if coords.ndim == 3:  # flat queries, with a cell each
    coords, cell = coords[:, None], cell[:, 0]
  return to_ours(found.arrays["lr"]), coords, cell


def run(found: Case, **options: Any) -> np.ndarray:
  """Returns our output on a recorded input, by the recorded weights."""
  imported = interop.from_tensors(found.tensors, **options)
  module = models.build(imported.name, **imported.kwargs)
  return jax.jit(module.apply)(imported.variables, *inputs(found))


def tolerance(found: Case, want: np.ndarray) -> float:
  """Returns the largest difference allowed, in units of the output.

  2e-5 of its standard deviation, or 10 times what the published code's float32
  differs from its own float64, where that is more.
  """
  recorded = found.meta.get("f32_vs_f64", {}).get("maxabs", 0.0)
  return max(2e-5 * float(want.std()), 10.0 * float(recorded))


def assert_close(got: np.ndarray, want: np.ndarray, most: float) -> None:
  """Compares the largest difference with `most` and says both."""
  got, want = np.asarray(got), np.asarray(want)
  assert got.shape == want.shape
  worst = float(np.abs(got - want).max())
  assert worst <= most, f"differs by {worst:.3g}, allowed {most:.3g}"
