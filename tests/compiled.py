"""What tests call one operation after another, compiled as one program each.

Called outside of `jit`, `init` and `apply` of a network and functions of arrays
are up to hundreds of tiny programs, each lowered and compiled by itself: most
of the time of a test. Here each is one. Whoever tests that both answer alike
calls `eagerly`.
"""

import contextlib
import functools
import importlib
import pathlib
import sys
from typing import Any

from flax import linen as nn
import jax
import numpy as np

_INIT, _APPLY = nn.Module.init, nn.Module.apply
_ARRAYS = (np.ndarray, np.generic, jax.Array)
_is_on = True

# Compiled where a test itself calls them; the package has them within others.
_FUNCTIONS = {
  "core.resize": ("apply", "resize", "sample"),
  "core.spectral": ("forward", "inverse", "resize", "sample"),
  "losses.contrast": ("monce", "sinkhorn", "weights"),
  "losses.embedding": ("jensen_shannon",),
  "losses.focal_frequency": ("spectra",),
  "losses.mghf": ("in_channels",),
  "losses.structure": ("correlation", "fusion", "gradients"),
  "models.hinote_official.lifted": ("distinct",),
  "models.hinote_official.published": (
    *("alias_free", "area", "blurred_ensemble", "corner", "correlated"),
    *("nodes", "periodic", "polar", "spectrum"),
  ),
  "models.implicit.lte": ("cos_sin_pi",),
  "nn.galerkin": ("apply_norm",),
  "nn.hierarchy": ("alias_free", "low_pass"),
  "nn.samplers": ("local_ensemble", "neighbours", "relative_cell"),
}
_TESTS = str(pathlib.Path(__file__).parent)


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


def _compiled_function(function):
  @functools.wraps(function)
  def call(*args, **kwargs):
    leaves, tree = jax.tree.flatten((args, kwargs))
    is_of_test = sys._getframe(1).f_code.co_filename.startswith(_TESTS)
    if not (_is_on and is_of_test) or any(
      isinstance(leaf, jax.core.Tracer) for leaf in leaves
    ):
      return function(*args, **kwargs)
    # Positions and the like may be worked out by NumPy: constants stay so.
    first = next((x for x in leaves if isinstance(x, _ARRAYS)), None)
    is_traced = [isinstance(x, jax.Array) or x is first for x in leaves]
    key, constants = [], []
    for leaf, traced in zip(leaves, is_traced, strict=True):
      is_constant = isinstance(leaf, np.ndarray) and not traced
      content = (
        (leaf.shape, leaf.dtype, leaf.tobytes()) if is_constant else leaf
      )
      key.append(None if traced else content)
      constants.append(None if traced else leaf)
    key = function, tree, tuple(key), tuple(is_traced)
    try:
      is_known = key in _programs
    except TypeError:  # an argument that cannot be hashed
      return function(*args, **kwargs)
    if not is_known:
      if len(_programs) >= 128:
        _programs.clear()
      _programs[key] = jax.jit(_filled(function, tree, constants, is_traced))
    given = zip(leaves, is_traced, strict=True)
    return _programs[key](*(leaf for leaf, traced in given if traced))

  return call


_programs: dict[Any, Any] = {}


def _compiled_gradient(transform):
  @functools.wraps(transform)
  def make(*args, **kwargs):
    gradient = transform(*args, **kwargs)
    is_of_test = sys._getframe(1).f_code.co_filename.startswith(_TESTS)
    return _compiled_function(gradient) if is_of_test else gradient

  return make


def _filled(function, tree, constants, is_traced):
  """Returns the function of what is traced alone."""

  def call(*arrays):
    rest = iter(arrays)
    leaves = [
      next(rest) if traced else constant
      for constant, traced in zip(constants, is_traced, strict=True)
    ]
    args, kwargs = jax.tree.unflatten(tree, leaves)
    return function(*args, **kwargs)

  return call


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
  """Compiles every call of a module, and of functions, from now on."""
  nn.Module.init = _compiled(_INIT)
  nn.Module.apply = _compiled(_APPLY)
  for name, functions in _FUNCTIONS.items():
    module = importlib.import_module(f"hinote_jax.{name}")
    for function in functions:
      wrapped = _compiled_function(getattr(module, function))
      setattr(module, function, wrapped)
  jax.grad = _compiled_gradient(jax.grad)
  jax.value_and_grad = _compiled_gradient(jax.value_and_grad)
