"""What a finished run is scored on beside its own fields and scales."""

import json
import shutil

import numpy as np
import pytest

from hinote_jax.evaluate import report
from hinote_jax.train import checkpoint, run_data
from hinote_jax.train import loop as train
from tests import runs


def test_evaluation_may_ask_for_other_scales(trained, tmp_path):
  config = trained
  config.evaluate.scales = (3.0,)
  path = train.evaluate(config, tmp_path / "run")
  assert {row["scale"] for row in report.read(path.parent).rows} == {3.0}


def test_files_that_nothing_was_trained_on_are_scored_beside(trained, tmp_path):
  config = trained
  own = train.evaluate(config, tmp_path / "run")
  before = own.read_bytes()
  config.evaluate.path = str(runs.write_fields(tmp_path / "new.npy", seed=1))
  path = train.evaluate(config, tmp_path / "run")
  assert path == tmp_path / "run" / "on_new" / "report.md"
  header = report.read(path.parent).header
  assert len(header["times"]) == 12
  assert header["split"] == "12 fields of files that nothing was trained on"
  new = np.load(config.evaluate.path)
  np.testing.assert_allclose(
    header["data_range"]["psi"], np.ptp(new), rtol=1e-6
  )
  assert own.read_bytes() == before
  # Files of the same name are not theirs.
  (tmp_path / "again").mkdir()
  other = runs.write_fields(tmp_path / "again" / "new.npy", seed=2)
  config.evaluate.path = str(other)
  again = train.evaluate(config, tmp_path / "run")
  assert again.parent.name.startswith("on_new_")
  assert path.is_file()
  assert train.evaluate(config, tmp_path / "run") == again
  # Of one field of training among others the numbers would not be believed.
  split = json.loads((tmp_path / "run" / run_data.SPLIT).read_text())
  mixed = np.load(other)
  learnt = split["train"][1]
  mixed[learnt] = np.load(config.data.path)[learnt]
  np.save(other, mixed)
  with pytest.raises(ValueError, match=f"1 of the 12 fields .*, {learnt} the"):
    train.evaluate(config, tmp_path / "run")


def test_a_run_that_learnt_what_is_scored_does_not_stand_beside(
  trained, tmp_path
):
  config = trained
  other = tmp_path / "other"
  shutil.copytree(tmp_path / "run", other)
  config.evaluate.against = (str(other),)
  train.evaluate(config, tmp_path / "run")
  split = json.loads((other / run_data.SPLIT).read_text())
  split["train"].append(split["test"].pop())
  (other / run_data.SPLIT).write_text(json.dumps(split))
  with pytest.raises(ValueError, match="other was trained on, or chosen by, 1"):
    train.evaluate(config, tmp_path / "run")


def test_pairs_of_files_are_trained_and_scored_at_their_scale(config, tmp_path):
  fine = np.load(config.data.path)
  coarse = fine.reshape(12, 10, 4, 12, 4).mean(axis=(2, 4)) + 3.0
  np.save(tmp_path / "coarse.npy", coarse)
  config.data.lowres = str(tmp_path / "coarse.npy")
  config.windows.min_scale, config.windows.max_scale = 1.0, 2.0
  config.model.max_scale = 2.0
  runs.train_lightly(config, tmp_path / "run")
  path = train.evaluate(config, tmp_path / "run")
  evaluation = report.read(path.parent)
  assert evaluation.header["scales"] == [4.0]
  assert evaluation.header["degradation"] == "paired with 10 x 12 cells"
  # An interpolation keeps the offset of the coarse fields.
  (row,) = evaluation.select(model="bicubic")
  assert abs(row["bias"] - 3.0) < 0.1
  _, meta = checkpoint.load_variables(tmp_path / "run")
  assert meta["model"]["max_scale"] == 4.0
