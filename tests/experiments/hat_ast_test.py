"""What HAT's experiment says of results, and how long its runs are."""

import pytest

from experiments import kept
from experiments.hat_ast import page, run


def _result(variant, seed, psnr, scale=2, budget="steps"):
  psnr = {name: {"hat": psnr, "bicubic": 30.0} for name in ("Set5", "BSDS")}
  own = page.Run(budget, scale, seed, variant)._asdict()
  return own | {"steps": 10, "parameters": 1000, "psnr": psnr}


def _results(**changes):
  """Returns HAT's results of three seeds, and others' that differ by these."""
  found = [_result("hat", seed, 34.0 + seed) for seed in range(3)]
  for variant, values in changes.items():
    found += [
      _result(variant, seed, 34.0 + seed + change)
      for seed, change in enumerate(values)
    ]
  return found


def test_differences_are_to_hat_of_the_same_seed():
  change = page.differences(
    _results(sparse=(-0.1, -0.2, -0.3)), "steps", 2, "sparse", "BSDS"
  )
  assert change == pytest.approx([-0.1, -0.2, -0.3])


def test_what_seeds_do_not_agree_on_costs_nothing():
  found = _results(
    sparse=(-0.1, -0.2, -0.3),
    wide=(0.1, 0.2, 0.3),
    frfn=(-0.1, 0.2, 0.1),
    ast=(-0.001, -0.002, -0.001),
    **{"sparse+frfn": (-0.2, -0.2, -0.2)},
  )
  assert page.verdict(found, "steps", 2) == (
    "* x2, equal steps, costs: the sparse attention alone 0.200 dB; sparse and "
    "FRFN, overlap 0.5 0.200 dB. gains: the window alone, overlap 0.75 0.200 "
    "dB. neither: the FRFN alone; all three: HAT+AST."
  )


def test_of_one_seed_nothing_is_said():
  found = _results(sparse=(-0.1,), wide=(-0.1,), frfn=(0.1,), ast=(0.1,))
  said = page.verdict(found, "time", 2)
  assert said == "* x2, equal time: not enough has been run to say."


def test_runs_of_the_same_time_have_fewer_steps_of_a_slower_network(
  monkeypatch, tmp_path
):
  results = kept.Kept(tmp_path / "results.json")
  monkeypatch.setattr(page, "RESULTS", results)
  slow = page.Run("time", 2, 0, "ast")
  assert run.steps_of(slow._replace(budget="steps")) == 1200
  for name, seconds in (("hat x2", 0.1), ("ast x2", 0.125)):
    results.once("seconds_a_step", name, lambda seconds=seconds: seconds)
  assert run.steps_of(slow) == 960
  with pytest.raises(SystemExit, match="wide x2: time its step first"):
    run.steps_of(slow._replace(variant="wide"))


def test_the_page_of_what_is_known_has_a_figure(monkeypatch, tmp_path):
  monkeypatch.setattr(page, "FIGURE", tmp_path / "differences.png")
  found = _results(sparse=(-0.1, -0.2, -0.3), wide=(0.1, 0.2, 0.3))
  page.figure(found)
  assert page.FIGURE.stat().st_size > 1000
