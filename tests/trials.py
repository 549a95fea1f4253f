"""What takes too long for the suite is a trial: `make trials` runs it."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

trial = pytest.mark.trial


def apart_from(is_quick: Callable[[Any], bool], cases: Iterable[Any]) -> list:
  """Returns cases for `parametrize`, those that are not quick as trials."""
  return [
    case if is_quick(case) else pytest.param(*_tuple(case), marks=trial)
    for case in cases
  ]


def _tuple(case):
  return case if isinstance(case, tuple) else (case,)
