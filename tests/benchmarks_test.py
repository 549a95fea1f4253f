"""What benchmarks measure, in turns and in rounds."""

import json
import sys

import numpy as np
import pytest

from benchmarks import beside, case, rounds


@pytest.mark.parametrize("name", case.CASES)
def test_every_case_has_inputs_of_its_network(name):
  lowres, coords, cell = case.inputs_of(case.CASES[name], 4, 8)
  batch = case.CASES[name].batch
  assert lowres.shape[:3] == (batch, 4, 4) and lowres.shape[3] >= 1
  assert [axis.shape for axis in coords] == [(batch, 8)] * 2
  np.testing.assert_allclose(cell, 0.25)


def test_turns_call_each_once_in_an_order_of_their_own():
  calls = []
  given = [lambda i=i: calls.append(i) for i in range(6)]
  rows = case.in_turns(given, 5)
  assert np.shape(rows) == (5, 6) and np.min(rows) >= 0.0
  turns = np.reshape(calls, (6, 6))  # one to warm up
  assert (np.sort(turns, axis=1) == np.arange(6)).all()
  assert len({tuple(turn) for turn in turns}) > 1


def _prints(seconds):
  made = json.dumps({"seconds": seconds, "peak_gb": 1.0})
  words = (sys.executable, "-c", f"print('first'); print({made!r})")
  return rounds.Command(words)


def test_rounds_are_kept_and_not_measured_again(tmp_path):
  path = tmp_path / "kept.json"
  pairs = {"a": (_prints(2.0), _prints(3.0))}
  record = rounds.keep(path, {"other": "1"}, pairs, 2)
  assert record["results"]["a"]["seconds"] == [[2.0, 3.0]] * 2
  assert rounds.ratio(record["results"]["a"]) == "1.50 (1.50 to 1.50)"
  pairs = {"a": (_prints(9.0), _prints(9.0)), "b": (_prints(1.0), _prints(0.5))}
  record = rounds.keep(path, {"other": "1"}, pairs, 1)
  assert record["results"]["a"]["seconds"] == [[2.0, 3.0]] * 2
  assert rounds.medians(record["results"]["b"]["seconds"]) == [1.0, 0.5]
  # Beside another program nothing of it holds.
  record = rounds.keep(path, {"other": "2"}, {"b": pairs["b"]}, 1)
  assert list(json.loads(path.read_text())["results"]) == ["b"]


def test_a_case_of_published_code_is_asked_as_ours(tmp_path):
  pairs = beside.pairs("python", tmp_path, "srno")
  assert list(pairs) == ["srno 48 -> 192", "srno step batch 4"]
  own, other = pairs["srno step batch 4"]
  assert own.words[-1] == "srno step batch 4"
  assert other.words[2:] == (str(tmp_path), "srno", "48", "48", "4", "step")
