"""Published networks against a few recorded runs that lie in the repository.

`fixtures/README.md` says where they come from. The other tests of this folder
compare more, with what lies beside the repository.
"""

import json
import pathlib
from typing import Any
import zlib

import jax
import numpy as np
import pytest

from hinote_jax import interop, models
from tests.parity import reference

_ROOT = pathlib.Path(__file__).parent / "fixtures"
_CASES = json.loads((_ROOT / "cases.json").read_text())
_WEIGHT = "weight:"


def _drawn(name: str, kind: str, shape: list[int], seed: int) -> np.ndarray:
  """Returns the random tensor of a name, which NumPy promises not to change."""
  own = zlib.crc32(name.encode()) ^ seed * 2654435761
  random = np.random.RandomState(own % 2**32)
  normal = random.standard_normal(shape)
  if kind == "complex":
    both = normal + 1j * random.standard_normal(shape)
    return (both / shape[0]).astype(np.complex64)
  deviation = 0.1
  if kind == "matrix":
    deviation = 1.0 / np.sqrt(np.prod(shape[1:], dtype=int))
  return (normal * deviation + (kind == "one")).astype(np.float32)


def _case(name: str) -> reference.Case:
  meta: dict[str, Any] = _CASES[name]
  with np.load(_ROOT / f"{name}.npz", allow_pickle=False) as file:
    stored = {key: file[key] for key in file.files}
  tensors = {
    key: _drawn(key, kind, shape, meta["seed"])
    for key, (kind, *shape) in meta.get("weights", {}).items()
  }
  tensors |= {
    key.removeprefix(_WEIGHT): stored.pop(key)
    for key in list(stored)
    if key.startswith(_WEIGHT)
  }
  return reference.Case(stored, meta, tensors)


@pytest.mark.parametrize("name", _CASES)
def test_output_is_the_published_one_and_weights_come_back(name):
  case = _case(name)
  imported = interop.from_tensors(case.tensors, beside=case.meta["config"])
  module = models.build(imported.name, **imported.kwargs)
  if "coord" in case.arrays:
    got = jax.jit(module.apply)(imported.variables, *reference.inputs(case))
  else:
    lowres = reference.to_ours(case.arrays["lr"])
    got = module.apply(imported.variables, lowres, method="enlarge")
  want = reference.to_ours(case.arrays["out"])
  reference.assert_close(got, want, reference.tolerance(case, want))
  layout = "lte_fast" if name == "lte_fast" else None
  back = interop.to_tensors(*imported, layout=layout)
  for key, tensor in case.tensors.items():
    if key.endswith("sinc_filter"):  # a constant, of our own formula
      np.testing.assert_allclose(back[key], tensor, atol=1e-6)
    else:
      assert back[key].tobytes() == tensor.tobytes(), key


def test_they_are_small():
  files = [path for path in _ROOT.iterdir() if path.is_file()]
  assert {path.stem for path in files} == {*_CASES, "cases", "README"}
  assert sum(path.stat().st_size for path in files) < 2_000_000
