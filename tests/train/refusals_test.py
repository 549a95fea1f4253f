"""What training refuses: one sentence, and nothing is begun."""

import subprocess

import numpy as np
import pytest

from hinote_jax.io import files
from hinote_jax.train import loop as train
from hinote_jax.train import workdir as workdirs
from tests import runs


@pytest.mark.parametrize(
  "name", ["steps", "batch_size", "accumulate", "validation_examples"]
)
def test_zero_is_refused_by_name(config, tmp_path, name):
  config[name] = 0
  with pytest.raises(
    ValueError, match=f"config.{name} must be at least 1, got 0"
  ):
    train.train(config, tmp_path / "run")
  assert not (tmp_path / "run").exists()


def test_workdir_of_another_config_is_refused_and_kept(trained, tmp_path):
  config = trained
  before = (tmp_path / "run" / "config.json").read_bytes()
  config.optim.learning_rate = 0.5
  with pytest.raises(
    ValueError, match="optim.learning_rate: 0.001 there, 0.5 now"
  ):
    train.train(config, tmp_path / "run")
  assert (tmp_path / "run" / "config.json").read_bytes() == before


def test_workdir_that_cannot_be_written_is_named(config, tmp_path):
  (tmp_path / "file").write_text("in the way")
  with pytest.raises(OSError, match="cannot write in workdir .*file"):
    train.train(config, tmp_path / "file" / "run")
  assert (tmp_path / "file").read_text() == "in the way"


def test_workdir_that_another_process_trains_in_is_refused(config, tmp_path):
  workdir = tmp_path / "run"
  # As of another machine's process, which is writing now.
  partial = files.aside(workdir / "checkpoints" / "40", "tmp")
  partial.mkdir(parents=True)
  with workdirs.held(workdir):
    with pytest.raises(
      FileExistsError, match="another process trains in .*run"
    ):
      train.train(config, workdir)
  assert partial.is_dir() and not (workdir / "config.json").exists()


def test_scale_below_one_is_refused_before_training(config, tmp_path):
  config.evaluate.scales = (2.0, 0.5)
  with pytest.raises(
    ValueError, match="scales: a scale must be at least 1, got 0.5"
  ):
    train.train(config, tmp_path / "run")
  assert not (tmp_path / "run").exists()


def test_field_smaller_than_the_window_is_refused(config, tmp_path):
  config.windows.window = (64, 64)
  with pytest.raises(ValueError, match="64 coarse cells"):
    train.train(config, tmp_path / "run")
  # Nothing was begun: with the mistake mended, the workdir serves.
  config.windows.window = (8, 8)
  config.split.test = 3
  runs.train_lightly(config, tmp_path / "run")


def test_batch_that_does_not_divide_is_refused(config, tmp_path):
  config.batch_size = 6
  with pytest.raises(ValueError, match="batch of 6 .* 8 devices"):
    train.train(config, tmp_path / "run")


def test_loss_of_a_whole_batch_is_not_divided(config, tmp_path):
  config.loss = dict(name="published_prior")
  with pytest.raises(
    ValueError, match="loss.name: published_prior is of a batch .* 8 devices"
  ):
    train.train(config, tmp_path / "run")


def test_infinity_in_the_data_is_refused(config, tmp_path):
  fields = np.load(config.data.path)
  fields[3, 5, 7] = np.inf
  np.save(config.data.path, fields)
  with pytest.raises(ValueError, match="psi"):
    train.train(config, tmp_path / "run")


def test_evaluation_of_an_untrained_workdir_is_refused(config, tmp_path):
  with pytest.raises(FileNotFoundError, match="no config.json|not the workdir"):
    train.evaluate(config, tmp_path / "nothing")
  assert not (tmp_path / "nothing").exists()


def test_misspelt_flag_names_the_right_one(tmp_path):
  command = runs.command("configs/hinote.py:smoke", tmp_path / "run")
  command += ["--config.batchsize=4"]
  done = subprocess.run(command, cwd=runs.ROOT, capture_output=True, text=True)
  assert done.returncode == 2
  assert "did you mean 'batch_size'" in done.stderr
  assert "Traceback" not in done.stderr


def test_command_line_says_one_sentence_and_exits_with_2(config, tmp_path):
  config.data.path = str(tmp_path / "absent.npy")
  path = runs.write_config(tmp_path / "bad.py", config)
  done = subprocess.run(
    runs.command(path, tmp_path / "run"),
    cwd=runs.ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 2
  assert "absent.npy" in done.stderr
  assert "Traceback" not in done.stderr
