"""The examples of all that the reference lists: there, and true."""

import doctest
import importlib
import inspect
import re

import pytest

from experiments import readme

_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _modules():
  """Returns the modules of the pages of the reference."""
  pages = (readme.ROOT / "docs" / "reference").glob("*.md")
  text = "\n".join(page.read_text(encoding="utf-8") for page in sorted(pages))
  return re.findall(r"^::: (\S+)$", text, flags=re.M)


def _is_public(name, thing, module):
  is_own = getattr(thing, "__module__", "") == module.__name__
  is_code = inspect.isfunction(thing) or inspect.isclass(thing)
  return is_code and is_own and not name.startswith("_")


def _public():
  """Returns every public name and what it is, once."""
  things = {}
  for name in _modules():
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", None) or [
      n for n, thing in vars(module).items() if _is_public(n, thing, module)
    ]
    for one in listed:
      thing = getattr(module, one)
      things.setdefault(id(thing), (f"{name}.{one}", thing))
  return [pytest.param(thing, id=name) for name, thing in things.values()]


@pytest.mark.parametrize("thing", _public())
def test_every_public_name_has_examples_that_are_true(
  thing, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  module = inspect.getmodule(thing)
  assert module is not None
  every = doctest.DocTestFinder().find(
    thing, module=module, globs=vars(module).copy()
  )
  found = [test for test in every if test.examples]
  assert found, f"{thing.__qualname__} has no example"
  said = []
  runner = doctest.DocTestRunner(optionflags=_FLAGS)
  for test in found:
    runner.run(test, out=said.append)
  assert not runner.failures, "".join(said)
