"""Files of tables: round trips, and refusals of one sentence."""

import json

import numpy as np
import pytest

from hinote_jax import infer, interop
from hinote_jax.interop import inspect, reader, tables


def _table(scale=2, pattern="S", interval=64, seed=0, **options):
  random = np.random.default_rng(seed)
  kwargs = dict(
    pattern=pattern, scale=scale, interval=interval, is_table=True, **options
  )
  cells = dict(V=2, F=3, S=4)[pattern]
  shape = (int(256 / interval + 1) ** cells, scale**2)
  values = random.integers(-127, 128, shape).astype(np.float32) / 128
  return kwargs, {"params": {"turns": {f"table_{pattern}": values}}}


def _saved(path, kwargs, variables, **options):
  tables.save(path, "sr_lut", kwargs, variables, **options)
  return path


def test_ours_comes_back_with_its_arguments(tmp_path):
  kwargs, variables = _table()
  path = _saved(tmp_path / "t.npz", kwargs, variables, provenance="of noise")
  again = interop.load_checkpoint(path)
  assert (again.name, again.kwargs) == ("sr_lut", kwargs)
  got = again.variables["params"]["turns"]["table_S"]
  np.testing.assert_array_equal(got, variables["params"]["turns"]["table_S"])
  contents = reader.read(path)
  assert contents.tensors["turns/table_S"].dtype == np.int8
  assert contents.spec["provenance"] == "of noise"
  assert "models.build('sr_lut'" in inspect.describe(path)


def test_entries_between_whole_numbers_are_floats(tmp_path):
  kwargs, variables = _table()
  rows = variables["params"]["turns"]["table_S"]
  variables = {"params": {"turns": {"table_S": rows + np.float32(0.25)}}}
  path = _saved(tmp_path / "t.npz", kwargs, variables)
  got = interop.load_checkpoint(path).variables["params"]["turns"]["table_S"]
  np.testing.assert_array_equal(got, rows + 0.25)


@pytest.mark.parametrize(
  ("pattern", "interval"), [("S", 64), ("F", 16), ("V", 1)]
)
def test_the_official_layout_goes_in_and_out(tmp_path, pattern, interval):
  kwargs, variables = _table(3, pattern, interval)
  path = _saved(tmp_path / "Model.npy", kwargs, variables)
  stored = np.load(path)
  assert stored.dtype == np.int8 and stored.shape[1:] == (1, 3, 3)
  again = interop.load_checkpoint(path)
  assert again.kwargs == {**kwargs, "compat": ""}
  got = again.variables["params"]["turns"][f"table_{pattern}"]
  want = variables["params"]["turns"][f"table_{pattern}"]
  np.testing.assert_array_equal(got, want)
  again = interop.load_checkpoint(path, compat="official")
  assert again.kwargs["compat"] == "official"


def _manifest(path, **changed):
  with np.load(path) as file:
    arrays = {name: file[name] for name in file.files}
  manifest = json.loads(str(arrays["manifest"])) | changed
  arrays["manifest"] = np.asarray(json.dumps(manifest))
  np.savez(path, **arrays)
  return path


@pytest.mark.parametrize(
  ("changed", "message"),
  [
    (dict(format="others 2"), "says the format 'others 2', and"),
    (dict(model=dict(name="liif")), "unknown model of tables 'liif'"),
    (dict(model=dict(name="os:system")), "unknown model of tables 'os:system'"),
    (dict(model=dict(name="sr_lut", patern="S")), "did you mean 'pattern'"),
    (
      dict(model=dict(name="sr_lut", scale=2, is_table=True)),
      r"has the shape \(625, 4\), and \(83521, 4\) go with its pattern and an",
    ),
    (
      dict(model=dict(name="sr_lut", pattern="Q", is_table=True)),
      "makes no sr_lut: unknown pattern 'Q'",
    ),
  ],
)
def test_what_is_no_table_is_refused(tmp_path, changed, message):
  path = _saved(tmp_path / "t.npz", *_table())
  with pytest.raises(ValueError, match=message):
    interop.load_checkpoint(_manifest(path, **changed))


def test_a_manifest_that_is_none_is_refused(tmp_path):
  np.savez(tmp_path / "t.npz", manifest=np.asarray("{"), x=np.zeros(3))
  with pytest.raises(ValueError, match="manifest that is no JSON object"):
    interop.load_checkpoint(tmp_path / "t.npz")


def test_arrays_that_fit_no_pattern_are_refused(tmp_path):
  path = tmp_path / "t.npy"
  np.save(path, np.zeros((83520, 1, 4, 4), np.int8))
  with pytest.raises(ValueError, match="83520 entries fits none of the patt"):
    interop.load_checkpoint(path)
  with pytest.raises(ValueError, match="83520 entries has no whole number"):
    interop.load_checkpoint(path, pattern="F")
  np.save(path, np.zeros((3, 4)))
  with pytest.raises(ValueError, match="like one array of NumPy"):
    interop.load_checkpoint(path)
  np.save(path, np.asarray([[[[{}]]]]))
  with pytest.raises(ValueError, match="like one array of NumPy"):
    interop.load_checkpoint(path)


def test_a_network_is_no_table(tmp_path):
  with pytest.raises(ValueError, match="is a network: tabulate it before"):
    tables.save(tmp_path / "t.npz", "sr_lut", {}, {})


def _predictor(tmp_path, **options):
  return infer.load(_saved(tmp_path / "t.npz", *_table(**options)))


def test_any_number_of_channels_and_any_range_goes_through(tmp_path):
  predictor = _predictor(tmp_path)
  assert predictor.channels is None
  x = np.random.default_rng(0).uniform(0, 1, (2, 6, 7, 3)).astype(np.float32)
  x[:, 0, 0], x[:, 0, 1] = 0.0, 1.0
  plain = predictor(x, scale=2)
  kelvin = predictor(250 + 60 * x, scale=2)
  np.testing.assert_allclose((kelvin - 250) / 60, plain, atol=2e-4)
  tiles = predictor(250 + 60 * x, scale=2, memory="1GB", side=6)
  np.testing.assert_allclose(tiles, kelvin, atol=2e-4)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_samples_are_scaled_by_their_own_depth(tmp_path, kind):
  predictor, white = _predictor(tmp_path), np.iinfo(kind).max
  x = np.random.default_rng(0).integers(0, white, (6, 7, 3)).astype(kind)
  got = predictor(x, scale=2)
  want = predictor(np.float32(x) / np.float32(white), scale=2)
  np.testing.assert_allclose(got, want * white, atol=1e-4 * white)


def test_a_constant_field_and_limits_of_a_table(tmp_path):
  predictor = _predictor(tmp_path)
  for value in (7.0, 1e9, -3e-5):  # not off by a part of 1, whatever its unit
    got = predictor(np.full((5, 5, 1), value), scale=2)
    np.testing.assert_allclose(got, value, rtol=1e-6)
  known = _predictor(tmp_path, limits=((200.0, 300.0),))
  x = np.random.default_rng(0).uniform(0, 1, (6, 7, 1)).astype(np.float32)
  got = known(200 + 100 * x, scale=2)
  np.testing.assert_allclose(
    (got - 200) / 100, predictor(x, scale=2), atol=2e-4
  )
