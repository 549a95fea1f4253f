"""Which results are made to degrade to their input, and how."""

from typing import Any

from hinote_jax import degradations
from hinote_jax.core import grids
from hinote_jax.degradations import pipeline
from hinote_jax.infer import consistency


def of(
  degradation: pipeline.Degradation | None,
  module: Any,
  lines: tuple[grids.Line, grids.Line],
  header: Any,
) -> consistency.Projection | None:
  """Returns the projection of a result, None where nothing asks for one.

  Args:
    degradation: what a user names, or None.
    module: of the network; one that ends in its data step, as
      `models.consistent.Consistent`, asks too, where the result has all of the
      field.
    lines: points of the result.
    header: of the input.

  Raises:
    ValueError: what a user asks for cannot be met.
  """
  y, x = lines
  grid = header.shape, header.periodic
  own = getattr(module, "degradation", None)
  if degradation is None and own is not None:
    try:
      consistency.starts(y, x, *grid, header.nodes)
    except ValueError:  # a window, of which the network answers as it is
      return None
    degradation = degradations.parse(own)
  if degradation is None:
    return None
  return consistency.Projection.of_lines(
    degradation, y, x, *grid, nodes=header.nodes
  )
