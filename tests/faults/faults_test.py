"""A small share of the trials of damage; `make trials` runs all of them."""

import importlib
import importlib.util
import json

import pytest

from tests.faults import outcome, run

pytest.importorskip("tensorflow_datasets")
pytest.importorskip("zarr")
# Those of kills and files are processes of their own.
_COUNTS = {"configs": 25, "corruptions": 4, "files": 40, "arguments": 20}


@pytest.mark.parametrize("part", _COUNTS)
def test_nothing_is_wrong_without_a_word(part):
  if importlib.util.find_spec(f"tests.faults.{part}") is None:
    pytest.skip(f"there are no trials of {part}")
  trials = importlib.import_module(f"tests.faults.{part}").trials
  outcomes = list(trials(0, _COUNTS[part]))
  bad = [o for o in outcomes if o.verdict in outcome.BAD]
  assert not bad, run.table(bad)


def test_the_table_counts_and_names_what_is_bad():
  outcomes = [
    outcome.Outcome("kill", 0, "right", ""),
    outcome.Outcome("kill", 7, "litter", "a.tmp"),
  ]
  text = run.table(outcomes)
  assert "| kill | 1 | 0 | 0 | 0 | 0 | 0 | 1 |" in text
  assert "* kill 7, litter: a.tmp" in text


def test_what_was_run_is_not_run_again(tmp_path, monkeypatch):
  monkeypatch.setattr(run, "PARTS", {"kills": 6})
  rows = [["kill", seed, "right", ""] for seed in range(6)]
  for first in (0, 3):
    path = tmp_path / f"kills-{first}-3.json"
    path.write_text(json.dumps(rows[first : first + 3]))
  outcomes = run.run(1.0, tmp_path)
  assert outcomes == [outcome.Outcome("kill", i, "right", "") for i in range(6)]
