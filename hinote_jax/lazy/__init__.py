"""Networks written once: layers that answer on arrays and on lazy grids.

    @lazy.layer(reach=1)
    @nn.compact
    def __call__(self, x): ...        # written for arrays

    y = lazy.pointwise(nn.relu, conv(x)) + x
    y = lazy.stored(y)

On arrays these lines compute. On a `LazyGrid` they describe, and `tiles.Tiles`
or `devices.Sharded` carry out what they describe, in bounded memory.
"""

from hinote_jax.lazy.cells import (
  crop,
  pad_by_edge,
  pad_by_reflection,
  pixel_shuffle,
  pixel_unshuffle,
  repeat,
)
from hinote_jax.lazy.grid import (
  Domain,
  Grid,
  LazyGrid,
  Patch,
  Reading,
  Total,
  Window,
  bind,
  same_cells,
)
from hinote_jax.lazy.ops import (
  Applied,
  along,
  concatenate,
  constant,
  layer,
  local,
  placed,
  pointwise,
  resample,
  stored,
  total,
  whole,
)
from hinote_jax.lazy.queries import (
  Coords,
  Graph,
  Queries,
  at_queries,
  graph,
  interpolate,
  is_regular,
  loose,
  query_shape,
)

__all__ = [
  "Applied",
  "Coords",
  "Domain",
  "Graph",
  "Grid",
  "LazyGrid",
  "Patch",
  "Queries",
  "Reading",
  "Total",
  "Window",
  "along",
  "at_queries",
  "bind",
  "concatenate",
  "constant",
  "crop",
  "graph",
  "interpolate",
  "is_regular",
  "stored",
  "layer",
  "local",
  "loose",
  "pad_by_edge",
  "pad_by_reflection",
  "pixel_shuffle",
  "pixel_unshuffle",
  "placed",
  "pointwise",
  "query_shape",
  "repeat",
  "resample",
  "same_cells",
  "total",
  "whole",
]
