"""What XLA is told when it compiles a network for a CPU."""

from collections.abc import Callable
import functools
import os
from typing import Any

import jax
import jax.numpy as jnp

# XLA has two ways to convolve on a CPU. The one that it takes by itself, of
# the library YNNPACK, convolves up to some hundred channels on one core; the
# other, of Eigen, on all. YNNPACK is left the products and the sums, which it
# does on all cores.
_ON_ALL_CORES = {
  "xla_cpu_experimental_ynn_fusion_type": (
    "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"
  )
}


@functools.cache
def options() -> dict[str, Any] | None:
  """Returns the compiler's options of a network, those of `jax.jit`.

  None where there is nothing to win: on accelerators, on one core, and with an
  XLA that does not know them.
  """
  if jax.default_backend() != "cpu" or _cores() == 1:
    return None
  try:
    jax.jit(jnp.negative, compiler_options=_ON_ALL_CORES).lower(0.0).compile()
  except jax.errors.JaxRuntimeError:  # this is how XLA says so
    return None
  return _ON_ALL_CORES


def jit(function: Callable, **kwargs: Any) -> Any:
  """Returns `jax.jit(function, **kwargs)` with the `options` of a network."""
  return jax.jit(function, compiler_options=options(), **kwargs)


def _cores() -> int:
  """Returns how many cores this process may use."""
  if hasattr(os, "sched_getaffinity"):  # Linux
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1
