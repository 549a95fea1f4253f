"""Modules compiled where tests call them one operation after another.

Called outside of `jit`, `init` and `apply` of a network are hundreds of tiny
programs, each lowered and compiled by itself: most of the time of a test. Here
each is one. Whoever tests that both answer alike calls `eagerly`.
"""

import contextlib
import functools
from typing import Any

from flax import linen as nn
import jax
import numpy as np

_INIT, _APPLY = nn.Module.init, nn.Module.apply
_ARRAYS = (np.ndarray, np.generic, jax.Array)
_is_on = True


def _is_compilable(values: Any) -> bool:
  """Says whether all leaves are arrays."""
  return all(isinstance(leaf, _ARRAYS) for leaf in jax.tree.leaves(values))


def _compiled(function):
  @functools.wraps(function)
  def call(self, variables, *args, method=None, **kwargs):
    is_plain = method is None or isinstance(method, str)
    if not (_is_on and is_plain and _is_compilable((variables, args, kwargs))):
      options = {} if method is None else {"method": method}
      return function(self, variables, *args, **options, **kwargs)
    try:
      program = _program(function, self, method)
    except TypeError:  # an attribute that cannot be hashed
      program = _program.__wrapped__(function, self, method)
    return program(variables, *args, **kwargs)

  return call


@functools.lru_cache(maxsize=64)
def _program(function, module, method):
  options = {} if method is None else {"method": method}
  return jax.jit(functools.partial(function, module, **options))


@contextlib.contextmanager
def eagerly():
  """Calls modules one operation after another within."""
  global _is_on
  _is_on = False
  try:
    yield
  finally:
    _is_on = True


def install() -> None:
  """Compiles every call of a module from now on."""
  nn.Module.init = _compiled(_INIT)
  nn.Module.apply = _compiled(_APPLY)
