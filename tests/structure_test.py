"""The arrows of the house: who may know whom, and who stays pure."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1] / "hinote_jax"
_KNOWS = {
  "core": {"core"},
  "fields": {"core", "fields"},
  "lazy": {"core", "lazy"},
  "nn": {"core", "lazy", "nn"},
  # The tables of published names are written with the rules of interop.
  "models": {"core", "lazy", "nn", "models", "interop"},
  "losses": {"core", "losses"},
  "metrics": {"core", "fields", "metrics"},
  "degradations": {"core", "degradations"},
}
_IMPURE = {"absl", "matplotlib", "tensorflow", "torch", "xarray", "logging"}


def _imports(path):
  """Yields the modules that a file imports, wherever it does."""
  for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("folder", sorted(_KNOWS))
def test_folder_knows_those_before_it_only_and_is_pure(folder):
  for path in sorted((ROOT / folder).rglob("*.py")):
    for name in _imports(path):
      top, _, rest = name.partition(".")
      assert top not in _IMPURE, f"{path.name} imports {name}"
      if top == "hinote_jax":
        known = rest.partition(".")[0]
        assert known in _KNOWS[folder], f"{path.name} imports {name}"


def test_no_file_is_longer_than_four_hundred_lines():
  for path in sorted(ROOT.rglob("*.py")):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 400, f"{path.relative_to(ROOT)} has {lines} lines"
