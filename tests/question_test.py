"""Questions that runs answer: their configs, and the arithmetic of a page."""

import numpy as np
import pytest

from experiments import answers, question
from experiments.given_time import run as given_time
from experiments.loss_prior import run as loss_prior
from experiments.perceptual import run as perceptual
from experiments.released_code import run as released_code
from experiments.true_to_input import run as true_to_input
from experiments.what_makes_it_work import run as what_makes_it_work

_QUESTIONS = {
  module.FOLDER.name: module.QUESTION
  for module in (
    given_time,
    loss_prior,
    perceptual,
    released_code,
    true_to_input,
    what_makes_it_work,
  )
}


@pytest.mark.parametrize(
  ("name", "fields", "variant"),
  [
    (name, fields, variant)
    for name, asked in _QUESTIONS.items()
    for fields in asked.fields
    for variant in asked.variants_of(fields)
  ],
)
def test_every_variant_is_a_config(name, fields, variant):
  asked = _QUESTIONS[name]
  made = asked.config(fields, variant, seed=2, steps=8)
  assert (made.seed, made.steps, made.validate_every) == (2, 8, 2)


def _rows(errors, variables=("u", "v")):
  """Returns rows of a model and its rivals; bicubic's errors are 2 and 4."""
  bases = dict(zip(variables, (2.0, 4.0), strict=True))
  return [
    dict(
      model=model, variable=v, scale=scale, mse=value, parting_wavenumber=1.0
    )
    for scale, ratio in errors.items()
    for v, base in bases.items()
    for model, value in (
      ("net", ratio * base),
      ("static_regression", 0.9 * base),
      ("bicubic", base),
    )
  ]


def _known(errors):
  runs = {
    key: dict(rows=_rows(own), parameters=10, steps=5)
    for key, own in errors.items()
  }
  return {"runs": runs, "seconds_a_step": {}}


@pytest.fixture(name="errors")
def _errors(tmp_path):
  asked = question.Question(
    tmp_path,
    {"net, plain": {}, "net, more": {}},
    answer=lambda errors: "",
    fields=("turbulence",),
    scales=(2.0, 4.0),
  )
  known = {
    "turbulence/net, plain/0": {2.0: 0.5, 4.0: 0.7},
    "turbulence/net, plain/1": {2.0: 0.4, 4.0: 0.6},
    "turbulence/net, more/0": {2.0: 0.2, 4.0: 0.4},
    "turbulence/net, more/1": {2.0: 0.4, 4.0: 0.6},
  }
  return answers.Errors(asked, _known(known))


def test_errors_are_over_bicubics_and_means_over_variables(errors):
  assert errors.of("turbulence", "net, plain") == pytest.approx(
    {0: 0.6, 1: 0.5}
  )
  assert errors.of("turbulence", "net, more", 4.0) == pytest.approx(
    {0: 0.4, 1: 0.6}
  )


def test_a_change_is_against_the_same_seed(errors):
  change = errors.change("turbulence", "net, more")
  np.testing.assert_allclose(change, [0.3 / 0.6 - 1.0, 0.0], atol=1e-12)
  assert answers.words(change) == "-25.0 % (-50.0 to +0.0)"


def test_the_table_has_mean_and_half_the_spread(errors):
  row = answers.table(errors, "turbulence").splitlines()[3]
  cells = [cell.strip() for cell in row.strip("|").split("|")]
  assert cells[4:6] == ["0.300 ± 0.100", "0.500 ± 0.100"]


def test_the_table_ends_with_what_needs_no_training(errors):
  *_, regression, bicubic = answers.table(errors, "turbulence").splitlines()
  assert regression.startswith("| static_regression |")
  assert "| 0.900 | 0.900 |" in regression and "| 1.000 | 1.000 |" in bicubic


@pytest.mark.parametrize(
  ("change", "is_told"),
  [
    ([0.02, 0.03], True),
    ([-0.02, -0.03], True),
    ([0.02, -0.01], False),  # seeds do not agree
    ([0.005, 0.006], False),  # too small
    ([0.5], False),  # one seed
  ],
)
def test_what_seeds_agree_on(change, is_told):
  assert answers.is_told(np.array(change)) == is_told


def test_what_is_not_run_is_not_in_the_table(errors):
  del errors.known["runs"]["turbulence/net, more/0"]
  del errors.known["runs"]["turbulence/net, more/1"]
  assert "more" not in answers.table(errors, "turbulence")


def test_seeds_are_those_that_were_run(errors):
  runs = errors.known["runs"]
  runs["turbulence/net, more/7"] = runs["turbulence/net, more/1"]
  assert errors.seeds("turbulence", "net, more") == [0, 1, 7]
  # A run of what is asked no more is of no fields.
  other = {"weather/net, gone/0": runs["turbulence/net, more/0"]}
  assert answers.Errors(errors.question, {"runs": other}).fields == []


def test_a_change_may_be_at_a_scale_and_against_another(errors):
  at_two = errors.change("turbulence", "net, more", 2.0)
  np.testing.assert_allclose(at_two, [0.2 / 0.5 - 1.0, 0.0], atol=1e-12)
  own = errors.change("turbulence", "net, more", reference="net, more")
  np.testing.assert_array_equal(own, 0.0)


def test_fewer_seeds_than_there_should_be_are_said():
  assert answers.doubt(np.array([0.02, 0.03, 0.04])) == ""
  assert answers.doubt(np.array([0.02, 0.03])) == ", by 2 seeds alone"
  assert answers.doubt(np.array([0.02])) == ", by one seed"


def test_parts_are_ahead_or_behind_where_scales_agree(monkeypatch, errors):
  monkeypatch.setattr(what_makes_it_work, "QUESTION", errors.question)
  runs = errors.known["runs"]
  for seed in (0, 1):
    own = {2.0: 0.1, 4.0: 0.9}
    runs[f"turbulence/net, more/{seed}"]["rows"] = _rows(own)
  said = what_makes_it_work.answer(errors)
  assert "scales do not agree: net, more" in said
  assert "x2 -77.5 %" in said and "x4 +39.3 %" in said
