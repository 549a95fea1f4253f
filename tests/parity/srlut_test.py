"""SR-LUT against its authors' tables, inputs and outputs, bit for bit."""

import json

import jax
import numpy as np
import pytest

from hinote_jax import interop, models
from hinote_jax.core import grids
from hinote_jax.interop import tables
from hinote_jax.models.lut import ensemble
from tests import trials
from tests.parity import reference

_FOLDER = reference.ROOT / "srlut"
pytestmark = pytest.mark.skipif(
  not _FOLDER.is_dir(), reason=f"no reference values at {_FOLDER}"
)
_CASES = [name for name in reference.cases("srlut") if "net" not in name]


def _recorded(name):
  with np.load(_FOLDER / f"{name}.io.npz", allow_pickle=False) as file:
    arrays = {key: file[key] for key in file.files}
  lut = json.loads(str(arrays["__meta__"]))["lut"]
  return arrays, interop.load_checkpoint(
    _FOLDER / "luts" / lut, compat="official"
  )


def _sums(imported, image):
  """Returns what the turns of a table add up to, each channel, exactly."""
  module = models.build(imported.name, **imported.kwargs)
  part = module.part()
  params = {"params": imported.variables["params"]["turns"]}
  x = np.float32(image)[None] / np.float32(255)
  y = np.asarray(jax.jit(part.apply)(params, x), np.float64)
  h, w, c = image.shape
  s = module.scale
  y = y.reshape(h, w, s, s, c).transpose(0, 2, 1, 3, 4)
  return y.reshape(h * s, w * s, c)


# One of each pattern; other scales and intervals are trials.
_QUICK = ("S_x4_4bit", "F_x4_4bit", "V_x4_0bit")


@pytest.mark.parametrize("name", trials.apart_from(_QUICK.__contains__, _CASES))
def test_tables_give_the_official_values_and_bytes(name):
  arrays, imported = _recorded(name)
  inputs = [key[3:] for key in arrays if key.startswith("lr:")]
  for key in inputs:
    values = _sums(imported, arrays[f"lr:{key}"]) / 255.0
    if f"float:{key}" in arrays:
      np.testing.assert_array_equal(values, arrays[f"float:{key}"])
    got = np.uint8(np.round(np.clip(values, 0, 1) * 255))
    np.testing.assert_array_equal(got, arrays[f"out:{key}"])


@pytest.mark.parametrize("name", _CASES)
def test_each_turn_is_the_official_one(name):
  arrays, imported = _recorded(name)
  module = models.build(imported.name, **imported.kwargs)
  params = {"params": imported.variables["params"]["turns"]}
  one = module.part().clone(turns=1)
  s = module.scale
  image = np.float32(arrays["lr:noise"])[None] / np.float32(255)
  for turns in range(4):
    x = np.rot90(image, turns, axes=(1, 2))
    y = np.asarray(jax.jit(one.apply)(params, x))
    _, h, w, _ = x.shape
    y = y.reshape(h, w, s, s, 3).transpose(0, 2, 1, 3, 4)
    y = np.rot90(y.reshape(h * s, w * s, 3), -turns)
    want = arrays[f"rot{turns}:noise"].transpose(1, 2, 0)
    np.testing.assert_array_equal(np.float64(y), want)


def _network():
  return interop.load_checkpoint(_FOLDER / "Model_S_x4.weights.pth")


@pytest.mark.parametrize("key", ["noise", "bird"])
def test_the_network_is_the_official_one(key):
  imported = _network()
  module = models.build(imported.name, **imported.kwargs)
  with np.load(_FOLDER / "Model_S_net.io.npz", allow_pickle=False) as file:
    image, want = file[f"lr:{key}"], file[f"ens:{key}"]
  x = np.float32(image)[None] / np.float32(255)
  shape = want.shape[2:]
  cell = grids.cell_size(shape)[None]
  got = jax.jit(module.apply)(imported.variables, x, grids.axes(shape), cell)
  reference.assert_close(got, want.transpose(0, 2, 3, 1), 2e-5)


def test_the_network_is_read_from_a_pickle_of_its_module():
  """The official table at hand is of another training than it."""
  imported = interop.load_checkpoint(
    reference.SHARED / "weights" / "srlut_model_s.pth"
  )
  assert imported.kwargs == _network().kwargs
  module = models.build(imported.name, **imported.kwargs)
  table, variables = module.tabulated(imported.variables)
  got = np.asarray(variables["params"]["turns"]["table_S"])
  official = np.load(_FOLDER / "luts" / "Model_S_x4_4bit_int8.npy")
  assert ensemble.levels(table.interval) == 17 and got.shape == (17**4, 16)
  assert np.abs(got * 128).max() == np.abs(official).max() == 127


def test_the_official_layout_is_written_byte_for_byte(tmp_path):
  official = _FOLDER / "luts" / "Model_S_x4_6bit_int8.npy"
  tables.save(tmp_path / "back.npy", *interop.load_checkpoint(official))
  assert (tmp_path / "back.npy").read_bytes() == official.read_bytes()
