"""Headers of finer grids, and all values of a reader."""

import numpy as np

from hinote_jax import fields


def header(coarse: fields.Header, scale: float) -> fields.Header:
  """Returns the header of a grid `scale` times finer."""
  y, _ = coarse.y.refined(coarse.y.scaled(scale))
  x, _ = coarse.x.refined(coarse.x.scaled(scale))
  return coarse.on(y, x)


def values(reader: fields.Reader) -> np.ndarray:
  """Returns all fields of a reader, [count h w c]."""
  return np.stack(list(reader))
