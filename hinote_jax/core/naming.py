"""Names looked up in tables, and what to say of one that is not there."""

from collections.abc import Callable, Iterable, Mapping
import difflib
import importlib
from typing import Any, TypeVar

T = TypeVar("T")


def hint(name: str, known: Iterable[str]) -> str:
  """Returns what to say of an unknown name: the nearest one, and all."""
  known = tuple(known)
  near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
  guess = f"did you mean {near[0]!r}? " if near else ""
  return f"{guess}known: {', '.join(known)}"


def look_up(kind: str, name: str, table: Mapping[str, T]) -> T:
  """Returns table[name].

  Args:
    kind: what the names are names of, for the message.
    name: wanted.
    table: what there is.

  Raises:
    ValueError: the name is not there; the message says which is nearest.
  """
  if name not in table:
    raise ValueError(f"unknown {kind} {name!r}; {hint(name, table)}")
  return table[name]


def taken(path: Any) -> str:
  """Returns what to say where a result is there already."""
  return f"{path} exists: give another name, or --overwrite to replace it"


def entry(text: str) -> Callable[..., Any]:
  """Returns the function that "module:function" names.

  Raises:
    ValueError: there is no such module or function.

  Examples:
    >>> entry("math:sqrt")(9.0)
    3.0
  """
  module, colon, name = text.partition(":")
  try:
    function = getattr(importlib.import_module(module), name) if colon else None
  except (ImportError, AttributeError) as error:
    raise ValueError(f"{text!r} names no function: {error}") from error
  if not callable(function):
    raise ValueError(f"a function is named as module:function, got {text!r}")
  return function
