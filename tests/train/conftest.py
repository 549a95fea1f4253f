"""A short run that many tests read, and what it was made of."""

import shutil

import pytest

from hinote_jax.train import loop as train
from tests import runs


@pytest.fixture
def config(tmp_path):
  path = runs.write_fields(tmp_path / "fields.npy")
  return runs.tiny_config(path, tmp_path / "cache")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
  """A run that is at its end: its folder and its config. Read it only."""
  folder = tmp_path_factory.mktemp("finished")
  path = runs.write_fields(folder / "fields.npy")
  config = runs.tiny_config(path, folder / "cache")
  train.train(config, folder / "run")
  return folder / "run", config


@pytest.fixture
def trained(finished, tmp_path):
  """The same in a folder of the test's own, tmp_path / "run"."""
  run, config = finished
  shutil.copytree(run, tmp_path / "run")
  return config.copy_and_resolve_references()
