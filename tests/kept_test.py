"""Results of experiments are made once, and those of others stay."""

import json

import pytest

from experiments import kept


@pytest.fixture(name="results")
def _results(tmp_path):
  return kept.Kept(tmp_path / "set" / "results.json")


def test_what_is_kept_is_not_made_again(results):
  assert results.once("runs", "liif", lambda: {"error": 0.5}) == {"error": 0.5}
  assert results.once("runs", "liif", pytest.fail) == {"error": 0.5}
  assert "jax" in json.loads(results.path.read_text())["versions"]


def test_what_another_process_adds_meanwhile_stays(results):
  def make():
    kept.Kept(results.path).once("runs", "other", lambda: 1)
    return 2

  results.once("runs", "own", make)
  assert results.read()["runs"] == {"other": 1, "own": 2}


def test_what_fails_leaves_no_result(results):
  with pytest.raises(ZeroDivisionError):
    results.once("runs", "liif", lambda: 1 / 0)
  assert not results.path.exists()


def test_a_step_that_was_not_timed_is_named(results):
  with pytest.raises(SystemExit, match="liif: time its step first, by --time"):
    results.seconds_a_step("liif")
