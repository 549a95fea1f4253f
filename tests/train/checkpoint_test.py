"""Tests that a checkpoint is whole, or the one before it still is."""

import os
import pathlib
import shutil
import subprocess
import sys
import threading

import ml_dtypes
import numpy as np
import pytest

from hinote_jax.train import checkpoint, checkpoint_folder, digests

ROOT = pathlib.Path(__file__).parents[2]

_FULL_DISK = """
import resource, signal, sys
import numpy as np
from hinote_jax.train import checkpoint, checkpoint_folder, digests
state = {"values": np.random.default_rng(0).normal(size=200_000)}
score = {checkpoint.BEST_KEY: 1.0}
with checkpoint.Checkpoints(sys.argv[1]) as checkpoints:
  checkpoints.save(1, state, {}, score)
  signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
  resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
  state["values"] += 1.0
  checkpoints.save(2, state, {}, score)
"""


def test_full_disk_in_mid_checkpoint_keeps_the_last_one(tmp_path):
  # A limit on the size of files stands for a disk that runs full.
  done = subprocess.run(
    [sys.executable, "-c", _FULL_DISK, str(tmp_path)],
    cwd=ROOT,
    capture_output=True,
    text=True,
    env=os.environ | {"JAX_PLATFORMS": "cpu"},
  )
  assert done.returncode != 0
  assert "cannot write the checkpoint of step 2" in done.stderr
  assert "step 1 is still there" in done.stderr
  with checkpoint.Checkpoints(tmp_path) as checkpoints:
    template = {"values": np.zeros(200_000)}
    state, meta = checkpoints.restore(template)
  assert meta["step"] == 1
  expected = np.random.default_rng(0).normal(size=200_000)
  np.testing.assert_array_equal(state["values"], expected)


def test_training_goes_on_while_one_is_written_behind(tmp_path, monkeypatch):
  write, may_go = checkpoint_folder.write, threading.Event()

  def slow(*args):
    assert may_go.wait(60)
    write(*args)

  monkeypatch.setattr(checkpoint_folder, "write", slow)
  state = {"values": np.arange(5.0)}
  with checkpoint.Checkpoints(tmp_path, is_behind=True) as checkpoints:
    checkpoints.save(1, state, {}, {checkpoint.BEST_KEY: 1.0})
    assert not checkpoints.steps
    state["values"] += 1.0  # the next step's, not the checkpoint's
    may_go.set()
    checkpoints.finish()
    assert checkpoints.steps == [1]
    checkpoints.save(2, state, {}, {checkpoint.BEST_KEY: 2.0})
  best, latest = (checkpoint.load(tmp_path, w)[0] for w in ("best", "latest"))
  np.testing.assert_array_equal(best["values"], np.arange(5.0))
  np.testing.assert_array_equal(latest["values"], np.arange(5.0) + 1.0)


def test_what_fails_behind_is_said_at_the_next(tmp_path, monkeypatch):
  def full(*_):
    raise OSError("no space is left")

  monkeypatch.setattr(checkpoint_folder, "write", full)
  checkpoints = checkpoint.Checkpoints(tmp_path, is_behind=True)
  checkpoints.save(1, {"values": np.zeros(3)}, {}, {})
  with pytest.raises(OSError, match="step 1 in .*no space .* none was"):
    checkpoints.save(2, {"values": np.zeros(3)}, {}, {})


def test_damaged_checkpoint_is_passed_over_for_an_older_one(tmp_path):
  with checkpoint.Checkpoints(tmp_path) as checkpoints:
    for step in (1, 2):
      state = {"values": np.full(50_000, step, np.float32)}
      state["values"] += np.random.default_rng(step).normal(size=50_000)
      checkpoints.save(step, state, {}, {checkpoint.BEST_KEY: 1.0})
  largest = max(
    (p for p in (tmp_path / "checkpoints" / "2").rglob("*") if p.is_file()),
    key=lambda p: p.stat().st_size,
  )
  content = bytearray(largest.read_bytes())
  middle = len(content) // 2
  content[middle : middle + 16] = bytes(
    b ^ 0xFF for b in content[middle : middle + 16]
  )
  largest.write_bytes(content)
  with pytest.raises(ValueError, match="latest checkpoint in .* is damaged"):
    checkpoint.load(tmp_path, "latest")
  with checkpoint.Checkpoints(tmp_path) as checkpoints:
    _, meta = checkpoints.restore({"values": np.zeros(50_000, np.float32)})
    assert meta["step"] == 1
    # The run can write the damaged step again.
    checkpoints.save(2, state, {}, {checkpoint.BEST_KEY: 1.0})
  assert checkpoint.load(tmp_path, "latest")[1]["step"] == 2


def _two_steps(folder):
  for step in (1, 2):
    state = {"a": {"kernel": np.arange(4.0) + step}, "b": (np.ones(2),)}
    meta = {"normaliser": {"mean": [280.5]}, "units": [1.0 / step]}
    with checkpoint.Checkpoints(folder) as checkpoints:
      checkpoints.save(step, state, meta, {checkpoint.BEST_KEY: 0.25})
  return checkpoint.load(folder, "latest")


@pytest.fixture(scope="module")
def two_steps(tmp_path_factory):
  """A folder with checkpoints of two steps, and what the latest holds."""
  folder = tmp_path_factory.mktemp("two_steps")
  return folder, _two_steps(folder)


def _damage(path, rng):
  if path.is_dir():
    inside = sorted(p for p in path.rglob("*") if p.stat().st_size)
    inside = [p for p in inside if p.is_file()]
    path = inside[rng.integers(len(inside))]
  content = bytearray(path.read_bytes())
  content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
  path.write_bytes(content)


@pytest.mark.parametrize("name", ["meta.json", "state"])
@pytest.mark.parametrize("seed", range(10))
def test_one_bit_is_seen_and_the_newest_whole_one_stands_for_it(
  two_steps, tmp_path, monkeypatch, name, seed
):
  said = []
  monkeypatch.setattr(checkpoint.logging, "warning", lambda *a: said.append(a))
  folder, latest = two_steps
  shutil.copytree(folder / "checkpoints", tmp_path / "checkpoints")
  _damage(tmp_path / "checkpoints" / "2" / name, np.random.default_rng(seed))
  try:
    assert checkpoint.load(tmp_path, "latest")[1] == latest[1]  # a blank
  except ValueError:
    state, meta = checkpoint.load(tmp_path, "latest", falls_back=True)
    assert meta["step"] == 1 and meta["units"] == [1.0]
    np.testing.assert_array_equal(state["a"]["kernel"], np.arange(4.0) + 1)
    assert "step 2" in str(said)


@pytest.mark.parametrize(
  ("owner", "name", "error", "raised"),
  [
    (checkpoint_folder, "_read_state", OSError(12, "no memory"), OSError),
    (checkpoint_folder, "_read_state", RuntimeError("lost"), ValueError),
    (pathlib.Path, "read_text", OSError(5, "Input/output error"), OSError),
  ],
)
def test_what_is_whole_and_is_not_read_once_is_kept(
  two_steps, tmp_path, monkeypatch, owner, name, error, raised
):
  folder, (state, _) = two_steps
  shutil.copytree(folder / "checkpoints", tmp_path / "checkpoints")
  read = getattr(owner, name)

  def flaky(path, *args):
    if path.parent.name == "2":
      raise error
    return read(path, *args)

  state["b"] = tuple(state["b"])
  with monkeypatch.context() as patch:
    patch.setattr(owner, name, flaky)
    with checkpoint.Checkpoints(tmp_path) as checkpoints:
      with pytest.raises(raised, match=error.args[-1]):
        checkpoints.restore(state)
      assert checkpoints.steps == [1, 2]
  assert checkpoint.Checkpoints(tmp_path).restore(state)[1]["step"] == 2


def test_what_is_of_another_state_is_kept(two_steps, tmp_path):
  folder, _ = two_steps
  shutil.copytree(folder / "checkpoints", tmp_path / "checkpoints")
  checkpoints = checkpoint.Checkpoints(tmp_path)
  with pytest.raises(ValueError, match="step 2: "):
    checkpoints.restore({"another": np.zeros(3)})
  assert checkpoints.steps == [1, 2]


def test_where_none_is_whole_it_is_refused(tmp_path):
  _two_steps(tmp_path)
  for path in tmp_path.rglob("meta.json"):
    path.write_text("{}")
  with pytest.raises(ValueError, match="step 2.*step 1.*move the folder away"):
    checkpoint.load(tmp_path, falls_back=True)


def test_types_that_numpy_does_not_know_come_back(tmp_path):
  leaf = np.arange(3).astype(ml_dtypes.bfloat16)
  with checkpoint.Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(1, {"a": leaf}, {}, {})
    state, _ = checkpoints.restore({"a": leaf})
  assert state["a"].dtype == leaf.dtype
  np.testing.assert_array_equal(state["a"], leaf)


def test_what_killed_runs_left_goes_and_unscored_ones_go_with_the_next(
  tmp_path,
):
  folder = tmp_path / "checkpoints"
  for name in ("3.hinote-99999999.tmp", "4.orbax-checkpoint-tmp-7"):
    (folder / name).mkdir(parents=True)
  with checkpoint.Checkpoints(tmp_path) as checkpoints:
    assert checkpoints.steps == [] and not list(folder.iterdir())
    for step, metrics in ((3, {}), (4, {checkpoint.BEST_KEY: 1.0}), (5, {})):
      checkpoints.save(step, {"a": np.zeros(1)}, {}, metrics)
  assert checkpoints.steps == [4, 5]
  assert checkpoint.load(tmp_path, "best")[1]["step"] == 4


def test_digest_knows_values_and_paths_and_not_containers():
  state = {"a": np.arange(3.0), "b": (np.ones(2), np.zeros(2, np.float32))}
  again = {"b": [np.ones(2), np.zeros(2, np.float32)], "a": np.arange(3.0)}
  assert digests.of_tree(state) == digests.of_tree(again)
  state["a"][1] = np.nextafter(1.0, 2.0)
  assert digests.of_tree(state) != digests.of_tree(again)


def test_digest_sees_two_parameters_change_places():
  one, other = np.arange(3.0), np.ones(3)
  state, turned = {"a": one, "b": other}, {"a": other, "b": one}
  assert digests.of_tree(state) != digests.of_tree(turned)
  # What checkpoints of before carry does not, and is still theirs.
  assert digests.of_tree(state, 1) == digests.of_tree(turned, 1)
  state["a"] = np.nextafter(one, 9.0)
  assert digests.of_tree(state, 1) != digests.of_tree(turned, 1)


def test_best_and_latest_stay_and_older_ones_go(tmp_path):
  errors = {1: 0.9, 2: 0.5, 3: 0.7, 4: 0.8, 5: 0.6}
  with checkpoint.Checkpoints(tmp_path, keep=2) as checkpoints:
    for step, error in errors.items():
      state = {"values": np.full(3, step)}
      checkpoints.save(step, state, {}, {checkpoint.BEST_KEY: error})
    assert checkpoints.steps == [2, 4, 5]
  for which, step in (("best", 2), ("latest", 5)):
    state, meta = checkpoint.load(tmp_path, which)
    assert meta["step"] == step
    np.testing.assert_array_equal(state["values"], step)


def test_what_a_killed_run_did_not_come_to_remove_goes(tmp_path):
  state = {"values": np.zeros(3)}
  with checkpoint.Checkpoints(tmp_path, keep=9) as checkpoints:
    for step, error in enumerate((0.5, 0.9, 0.8, 0.7), 1):
      checkpoints.save(step, state, {}, {checkpoint.BEST_KEY: error})
  with checkpoint.Checkpoints(tmp_path, keep=2) as checkpoints:
    assert checkpoints.steps == [1, 2, 3, 4]
    _, meta = checkpoints.restore(state)
    assert meta["step"] == 4
    assert checkpoints.steps == [1, 3, 4]


def test_nothing_saved_is_none_and_an_error_for_a_model(tmp_path):
  assert checkpoint.load(tmp_path) is None
  with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
    checkpoint.load_variables(tmp_path)
