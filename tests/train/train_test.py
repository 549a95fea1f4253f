import json
import os
import signal
import subprocess

import jax
import numpy as np
import pytest

from hinote_jax import infer
from hinote_jax.core import grids
from hinote_jax.train import (
  checkpoint,
  metric_log,
  plan,
  preemption,
  replay,
  run_data,
)
from hinote_jax.train import loop as train
from tests import runs, trials


def final_state(workdir):
  with checkpoint.Checkpoints(workdir) as checkpoints:
    state, meta = checkpoints.load("latest")
  return state, meta


def test_run_leaves_what_the_architecture_promises(trained, tmp_path):
  trained.evaluate.figures = True
  train.evaluate(trained, tmp_path / "run")
  found = {p.name for p in (tmp_path / "run").iterdir()}
  expected = {"config.json", "versions.json", "split.json", "metrics.jsonl"}
  expected |= {"checkpoints", "report.json", "report.md", "figures"}
  assert expected <= found
  lines = metric_log.read(tmp_path / "run")
  assert [list(line)[0] for line in lines] == ["step"] * len(lines)
  assert [line["step"] for line in lines if "loss" in line] == [
    1,
    2,
    3,
    4,
    5,
    6,
  ]
  scores = [line for line in lines if checkpoint.BEST_KEY in line]
  assert [line["step"] for line in scores] == [3, 6]
  figures = tmp_path / "run" / "figures"
  assert list(figures.glob("*.png")), "no pictures"


def test_loaded_predictor_answers_in_physical_units(finished):
  run, config = finished
  predictor = infer.load(run)
  lowres = np.load(config.data.path)[-1][::2, ::2]
  fine = predictor(lowres, scale=2.0)
  assert fine.shape == (40, 48)
  # A hardly trained model is close to bicubic, so the mean must be there.
  bicubic = infer.load("bicubic")(lowres, scale=2.0)
  assert np.abs(fine - bicubic).max() < 0.5 * np.std(lowres)


def test_training_and_prediction_see_the_same_operator(config, tmp_path):
  config.model.preset = "levels"
  runs.train_lightly(config, tmp_path / "run")
  predictor = infer.load(tmp_path / "run")
  windows = run_data.make(config, tmp_path / "run").validation
  (batch,) = windows.fixed(3, scale=2.0)  # 8 cells, 16 fine, 8 of them asked
  inputs = batch["lowres"], batch["coords"], batch["cell"]
  trained = predictor.module.apply(predictor.variables, *inputs)
  lowres = predictor.normaliser.denormalise(batch["lowres"])
  whole = predictor.normaliser.normalise(predictor(lowres, scale=2.0))
  centers = grids.axes((16, 16))
  for i in range(3):
    y, x = (
      int(np.argmin(np.abs(axis - asked[i, 0])))
      for axis, asked in zip(centers, batch["coords"], strict=True)
    )
    # Values near 280 lose 1e-5 of a deviation in float32 units and back.
    np.testing.assert_allclose(
      whole[i, y : y + 8, x : x + 8], trained[i], atol=3e-4
    )


def test_two_runs_write_identical_metrics(trained, tmp_path, monkeypatch):
  traces = []
  make = train.parts.train_step.make_train_step

  def counted(*args, **kwargs):
    step = make(*args, **kwargs)

    def traced(*step_args, **step_kwargs):
      traces.append(1)
      return step(*step_args, **step_kwargs)

    return traced

  monkeypatch.setattr(train.parts.train_step, "make_train_step", counted)
  trained.saves_behind = True
  train.train(trained, tmp_path / "second")
  assert len(traces) == 1, "the step is compiled once for all scales"
  both = "run", "second"
  (_, ours), (_, theirs) = (final_state(tmp_path / name) for name in both)
  assert ours["values"] == theirs["values"]
  first, second = (
    (tmp_path / name / "metrics.jsonl").read_bytes() for name in both
  )
  assert first == second
  assert b"seconds" not in first


# In a config file: the process is killed as it logs its fifth step.
_KILLED = """
import os, signal
from hinote_jax.train import metric_log
advance, seen = metric_log.MetricLog.advance, []
def advance_or_die(self, **shown):
  seen.append(1)
  if len(seen) == 5:
    os.kill(os.getpid(), signal.SIGKILL)
  advance(self, **shown)
metric_log.MetricLog.advance = advance_or_die
"""


def test_killed_run_ends_as_if_never_stopped(finished, tmp_path):
  whole, config = finished
  path = runs.write_config(tmp_path / "killed.py", config)
  path.write_text(path.read_text() + _KILLED)
  killed = tmp_path / "killed"
  process = subprocess.run(
    runs.command(path, killed), cwd=runs.ROOT, stderr=subprocess.DEVNULL
  )
  assert process.returncode == -signal.SIGKILL
  assert train.train(config, killed)["steps_now"] == 3
  (state, meta), (expected, expected_meta) = map(final_state, (killed, whole))
  assert meta["sha256"] == expected_meta["sha256"]
  jax.tree.map(np.testing.assert_array_equal, state, expected)
  ours, theirs = (
    (folder / "metrics.jsonl").read_bytes() for folder in (killed, whole)
  )
  assert ours == theirs


def test_signal_finishes_the_step_and_the_run_goes_on(
  finished, tmp_path, monkeypatch
):
  whole, config = finished
  config = config.copy_and_resolve_references()
  config.validate_every = 6
  advance, calls = metric_log.MetricLog.advance, []

  def advance_and_signal(self, **shown):
    advance(self, **shown)
    calls.append(1)
    if len(calls) == 3:
      os.kill(os.getpid(), signal.SIGTERM)

  monkeypatch.setattr(metric_log.MetricLog, "advance", advance_and_signal)
  with pytest.raises(
    preemption.Stopped, match="SIGTERM at step 4 of 6"
  ) as stop:
    train.train(config, tmp_path / "run")
  assert stop.value.code == 143
  with checkpoint.Checkpoints(tmp_path / "run") as checkpoints:
    assert checkpoints.steps == [4]
  infer.load(tmp_path / "run")
  assert train.train(config, tmp_path / "run")["steps_now"] == 2
  assert checkpoints.steps == [6]
  (_, ours), (_, theirs) = map(final_state, (tmp_path / "run", whole))
  assert ours["values"] == theirs["values"]


def test_damaged_side_files_do_not_keep_from_good_weights(trained, tmp_path):
  before = (tmp_path / "run" / "metrics.jsonl").read_text()
  (tmp_path / "run" / "config.json").write_text('{"seed": 7')
  (tmp_path / "run" / "metrics.jsonl").write_text(before[:-9] + "\n{]\n")
  infer.load(tmp_path / "run")
  assert train.train(trained, tmp_path / "run")["steps_now"] == 0
  lines = metric_log.read(tmp_path / "run")
  assert [json.dumps(line) for line in lines] == before.splitlines()[:-1]
  assert json.loads((tmp_path / "run" / "config.json").read_text())["seed"] == 0


def test_finished_run_started_again_trains_no_further(trained, tmp_path):
  before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
  train.train(trained, tmp_path / "run")
  assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
  "mode", trials.apart_from("shard_map".__eq__, ["shard_map", "jit"])
)
def test_other_parallel_modes_train_the_same(trained, tmp_path, mode):
  trained.parallel = mode
  train.train(trained, tmp_path / mode)
  expected, lines = (
    [
      line["loss"]
      for line in metric_log.read(tmp_path / name)
      if "loss" in line
    ]
    for name in ("run", mode)
  )
  # Six Adam steps; only the order of float32 sums differs.
  np.testing.assert_allclose(lines, expected, rtol=2e-4)


@pytest.mark.parametrize(
  "arguments",
  [
    dict(level_widths=(8,), level_blocks=(1,), level_convs=(1,)),
    pytest.param(
      dict(
        level_widths=(8, 12, 4, 4),
        level_blocks=(0, 1, 2, 1),
        level_convs=(0,) * 4,
      ),
      marks=pytest.mark.trial,
    ),
    pytest.param(
      dict(width=12, preset="levels", head_heads=2), marks=pytest.mark.trial
    ),
    pytest.param(dict(preset="paper"), marks=pytest.mark.trial),
    pytest.param(
      dict(
        domain="queries",
        upsample=4,
        level_widths=(4, 8),
        level_blocks=(1, 0),
        level_convs=(0, 1),
      ),
      marks=pytest.mark.trial,
    ),
    pytest.param(dict(dtype="bfloat16"), marks=pytest.mark.trial),
    pytest.param(dict(dtype="float16"), marks=pytest.mark.trial),
  ],
  ids=["one", "four", "wide", "paper", "queries", "bfloat16", "float16"],
)
def test_every_shape_of_hinote_trains(config, tmp_path, arguments):
  config.steps = 30
  config.log_every = 30
  config.validate_every = 30
  config.optim.learning_rate = 3e-3
  config.optim.warmup = 0
  config.ema_decay = 0.5
  if arguments.get("dtype") == "float16":
    config.loss_scale = 1024.0
  config.model.update(arguments)
  train.train(config, tmp_path / "run")
  state, meta = final_state(tmp_path / "run")
  assert meta["metrics"][checkpoint.BEST_KEY] < 1.0, "not ahead of bicubic"
  for leaf in jax.tree.leaves(state["params"]):
    assert leaf.dtype == np.float32


def test_prior_with_learned_weights_trains_and_is_saved(config, tmp_path):
  config.loss = dict(name="frequency_prior", learned=True)
  train.train(config, tmp_path / "run")
  state, _ = final_state(tmp_path / "run")
  learned = state["params"]["loss"]
  assert set(learned) == {"log_alpha_s", "log_alpha_d"}
  assert float(learned["log_alpha_d"]) != 0.0


def _contents(folder):
  return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_a_step_is_taken_again_as_it_was(finished):
  run, config = finished
  before = _contents(run)
  replayed = replay.replay(config, run, 5)
  assert _contents(run) == before
  (line,) = (x for x in metric_log.read(run) if x["step"] == 5 and "loss" in x)
  assert replayed["from"] == 3
  for name in ("loss", "mse", "grad_norm"):
    assert replayed[name] == line[name]
  examples = replayed["examples"]
  assert len(examples) == config.batch_size
  # The mean of the batch, in another order of sums.
  mean = np.mean([example["loss"] for example in examples])
  assert mean == pytest.approx(line["loss"], rel=1e-4)
  first = run_data.make(config, run).train.describe(4, [0])[0]
  assert examples[0]["field"] == first.field
  assert examples[0]["start"] == list(map(float, first.start))
  assert len(replay.text(replayed).splitlines()) == 1 + config.batch_size
  with pytest.raises(ValueError, match="one of the 6 steps of the run, got 7"):
    replay.replay(config, run, 7)


def test_a_plan_counts_and_begins_nothing(finished, tmp_path):
  run, config = finished
  planned = plan.plan(config, tmp_path / "run")
  assert not (tmp_path / "run").exists()
  state, _ = final_state(run)
  sizes = [np.size(leaf) for leaf in jax.tree.leaves(state["params"])]
  assert planned.parameters == sum(sizes)
  # Parameters, their average, and two moments of Adam.
  assert planned.state == pytest.approx(16 * sum(sizes), rel=0.01)
  assert planned.operations > 0 and planned.step > 0
  assert planned.run == pytest.approx(6 * planned.step)
  assert planned.device > planned.state
  assert len(planned.text().splitlines()) == 6


def test_a_step_without_a_number_is_left_out_and_logged(
  trained, tmp_path, monkeypatch
):
  make = run_data.batches.Windows.batch

  def holed(self, step, rows):
    batch = make(self, step, rows)
    if step == 2:
      batch["highres"][:] = np.nan
    return batch

  monkeypatch.setattr(run_data.batches.Windows, "batch", holed)
  train.train(trained, tmp_path / "holed")
  (event,) = metric_log.read(tmp_path / "holed", metric_log.EVENTS)
  assert (event["step"], event["kind"], event["loss"]) == (3, "skipped", None)
  assert len(event["drawn"]) == trained.batch_size
  lines = metric_log.read(tmp_path / "holed")
  skipped = {x["step"]: x.get("skipped") for x in lines if "grad_norm" in x}
  assert skipped == {1: None, 2: None, 4: 1.0, 5: 1.0, 6: 1.0}


def test_a_batch_may_change_where_it_does_not_divide(
  trained, tmp_path, monkeypatch
):
  trained.batch_size = 6
  with pytest.raises(ValueError, match="batch_size: 8 there, 6 now"):
    train.workdirs.check(tmp_path / "run", trained)
  monkeypatch.setattr(jax, "device_count", lambda: 3)
  train.workdirs.check(tmp_path / "run", trained)


# Bad input: one sentence that names it, and nothing lost.


def test_divergence_names_step_indices_and_checkpoint(config, tmp_path):
  config.optim.learning_rate = 1e30
  config.optim.clip = 1e30
  config.optim.warmup = 0
  with pytest.raises(
    train.NonFiniteLoss,
    match=r"at step \d+; batch indices \[0, 1, .*7\]: field \d+ .* x\d.*last "
    r"good checkpoint: (none|step \d+)",
  ):
    train.train(config, tmp_path / "bad")


def test_reader_changes_nothing_in_the_folder(trained, tmp_path):
  partial = tmp_path / "run" / "checkpoints" / "9.orbax-checkpoint-tmp"
  partial.mkdir()  # as of a run that is writing now
  infer.load(tmp_path / "run")
  assert partial.is_dir()


def test_metrics_are_rewound_to_the_checkpoint(tmp_path):
  for first in (0, 2):
    with metric_log.MetricLog(tmp_path, first_step=first, steps=4) as log:
      for step in range(first + 1, 5):
        log.write(step, {"loss": step + first})
  lines = [json.loads(x) for x in (tmp_path / "metrics.jsonl").open()]
  assert [line["loss"] for line in lines] == [1, 2, 5, 6]
