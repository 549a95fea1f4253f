"""Flags read from any folder."""

import json
import sys

import pytest

from hinote_jax.cli import command_line
from hinote_jax.core import naming


@pytest.mark.parametrize("flag", ["--config=", "-config=", "--config "])
def test_configs_are_found_from_any_folder(tmp_path, monkeypatch, flag):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(sys, "path", [*sys.path])
  given = ["main", *f"{flag}configs/hinote.py:smoke".split()]
  (_, found) = command_line._placed(given)
  path = command_line._ROOT / "configs" / "hinote.py"
  assert found == f"--config={path}:smoke"
  command_line._check_fields([found, "--config.steps=3"])


def test_ones_own_config_comes_first_and_its_mistakes_are_said(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(sys, "path", [*sys.path])
  (tmp_path / "configs").mkdir()
  (tmp_path / "configs" / "hinote.py").write_text("def get_config(:")
  given = command_line._placed(["--config=configs/hinote.py"])
  with pytest.raises(ValueError, match="config file configs/hinote.py: Syntax"):
    command_line._check_fields(given)


@pytest.mark.parametrize(
  "given, reason",
  [
    (":demoo", "did you mean 'demo'"),
    (":smoke --config.batchsize=4", "did you mean 'batch_size'"),
    (":smoke --config.model.head_widht=4", "did you mean 'head_width'"),
    (" --config=configs/absent.py", "no config file 'configs/absent.py'"),
  ],
)
def test_what_is_misspelt_is_named(monkeypatch, given, reason):
  monkeypatch.setattr(sys, "path", [*sys.path])
  arguments = f"main --config=configs/hinote.py{given}".split()
  with pytest.raises((ValueError, OSError), match=reason):
    command_line.check(arguments)


def test_a_field_of_a_field_without_any_is_said():
  given = ["--config=configs/hinote.py:smoke", "--config.steps.more=3"]
  with pytest.raises(ValueError, match="config.steps in .* has no fields"):
    command_line._check_fields(given)


@pytest.mark.parametrize(
  "read, lines", [(lambda: naming.entry("a"), 1), (lambda: json.loads("{"), 2)]
)
def test_only_what_nobody_expected_says_how_to_find_where(read, lines, capsys):
  with pytest.raises(ValueError) as caught:
    read()
  assert command_line.print_error(caught.value) == 2
  said = capsys.readouterr().err.splitlines()
  assert len(said) == lines and ("TRACEBACK" in said[-1]) == (lines == 2)
