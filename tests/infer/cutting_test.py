"""A run cut down for others answers the same, and nothing goes on from it."""

import numpy as np
import pytest

from hinote_jax import infer
from hinote_jax.evaluate import far
from hinote_jax.infer import cutting
from hinote_jax.io import files
from hinote_jax.train import checkpoint, loop
from tests import runs


def _size(folder):
  return sum(path.stat().st_size for path in files.below(folder))


def test_a_cut_run_answers_the_same_to_the_last_bit(tmp_path):
  fields = runs.write_fields(tmp_path / "fields.npy")
  config = runs.tiny_config(fields, tmp_path / "cache")
  runs.train_lightly(config, tmp_path / "run")
  step = checkpoint.load_variables(tmp_path / "run")[1]["step"]
  weights = [[[0.0]], [[0.25]]]
  blend = {"methods": ["cubic"], "scales": [4.0, 8.0], "weights": weights}
  far.save(tmp_path / "run", step, blend)
  (tmp_path / "cut").mkdir()  # is replaced
  run, cut = tmp_path / "run", tmp_path / "cut"
  assert cutting.main([str(run), str(cut)]) == 0
  lowres = np.load(fields)[0][::2, ::2]
  whole, small = infer.load(run), infer.load(cut)
  for scale in (2.5, 7.0):
    want = whole(lowres, scale=scale)
    np.testing.assert_array_equal(small(lowres, scale=scale), want)
  assert small.learnt == whole.learnt and small.roughness == whole.roughness
  state, meta = checkpoint.load(cut)
  assert set(state) == {"average"} and not {"guard", "log"} & set(meta)
  assert _size(cut / "checkpoints") < 0.5 * _size(run / "checkpoints")

  # A cut one may be cut again; nothing is trained in it, or lost.
  cutting.cut(cut, tmp_path / "again")
  before = {p.name: p.read_bytes() for p in files.below(tmp_path / "again")}
  config.steps = 6
  with pytest.raises(ValueError, match="weights alone, from which no training"):
    loop.train(config, tmp_path / "again")
  after = {p.name: p.read_bytes() for p in files.below(tmp_path / "again")}
  assert after == before | {".lock": b""}
  np.testing.assert_array_equal(
    infer.load(tmp_path / "again")(lowres, scale=2), small(lowres, scale=2)
  )


def test_damage_is_found(tmp_path):
  fields = runs.write_fields(tmp_path / "fields.npy")
  config = runs.tiny_config(fields, tmp_path / "cache")
  runs.train_lightly(config, tmp_path / "run")
  cutting.cut(tmp_path / "run", tmp_path / "cut")
  (path,) = tmp_path.glob("cut/checkpoints/*/state/arrays.npz")
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)
  with pytest.raises(ValueError, match="files do not match their digest"):
    infer.load(tmp_path / "cut")


def test_what_is_no_run_is_one_line(tmp_path, capsys):
  asked = [str(tmp_path / "no"), str(tmp_path / "cut")]
  assert cutting.main(asked) == 2
  assert "there is no checkpoint in" in capsys.readouterr().err
  assert not (tmp_path / "cut").exists()
