"""The oddities of the released decoder, window by window; see `published`."""

from collections.abc import Callable, Mapping
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from hinote_jax.core import grids
from hinote_jax.lazy import plane_ops, planes
from hinote_jax.models.hinote_official import published


def nodes(x: planes.Plane, shape: tuple[int, int]) -> planes.Plane:
  """Returns the plane of `published.nodes`."""
  return plane_ops.resampled(
    x,
    shape,
    method="linear",
    wall="edge",
    antialias=False,
    registration="nodes",
  )


def alias_free(
  function: Callable, x: planes.Plane, *, up: int = 2, size: int = 31
) -> planes.Plane:
  """Returns the plane of `published.alias_free`."""
  fine = nodes(x, tuple(up * n for n in x.grid.shape))
  fine = fine.map(lambda params, values: function(values))
  kernel = published.sinc_filter(0.5 / up, size)

  def filtered(params, values):
    return published.correlated(values, kernel)

  return nodes(plane_ops.local(fine, filtered, (), size // 2), x.grid.shape)


def halved(
  conv: nn.Conv, params: Mapping[str, Any], x: planes.Plane
) -> planes.Plane:
  """Returns the plane of a 3x3 convolution of stride 2, zeros at the edges.

  Args:
    conv: the convolution.
    params: its own.
    x: its input, of even sides.
  """
  shape = tuple(n // 2 for n in x.grid.shape)
  lines = tuple(grids.Line(0, 2, n) for n in shape)
  valid = conv.clone(padding="VALID")

  def window(params, here, part):
    # One row of zeros around; beyond a wall they are the padding.
    values = jnp.pad(part.values, [(0, 0), (1, 2), (1, 2), (0, 0)])
    b, _, _, c = values.shape
    y, x = 2 * here.start - part.start
    size = (b, *(2 * n + 1 for n in here.shape), c)
    values = jax.lax.dynamic_slice(values, (0, y, x, 0), size)
    return valid.apply({"params": params}, values)

  source = planes.Input(x, lines, 1)
  return planes.Plane(planes.Grid(shape), (source,), window, params)
