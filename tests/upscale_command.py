"""The command in this process, and small networks for it."""

import pathlib
from typing import Any

import jax
import numpy as np

from hinote_jax import interop, models, upscale
from hinote_jax.core import grids


def run(*arguments: Any) -> int:
  """Runs the command without a bar; returns its exit code."""
  return upscale.main([*map(str, arguments), "--quiet"])


def network(
  path: pathlib.Path, channels: int = 1
) -> tuple[Any, Any, dict[str, Any]]:
  """Writes a small network with random weights as a PyTorch file.

  Returns:
    its module, its variables, and what it was built from.
  """
  kwargs = dict(
    encoder_options=dict(width=4, blocks=1, residual_scale=1.0),
    hidden=(8,),
    channels=channels,
  )
  module = models.build("liif", **kwargs)
  inputs = (
    np.zeros((1, 4, 4, channels), np.float32),
    grids.axes((8, 8)),
    grids.cell_size((8, 8))[None],
  )
  variables = jax.jit(module.init)(jax.random.key(0), *inputs)
  interop.save_torch(path, "liif", kwargs, variables)
  return module, variables, kwargs
