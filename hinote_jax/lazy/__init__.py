"""Networks written once: layers that answer on arrays and on lazy grids.

    @lazy.layer(reach=1)
    @nn.compact
    def __call__(self, x): ...        # written for arrays

    y = lazy.pointwise(nn.relu, conv(x)) + x
    y = lazy.keep(y)

On arrays these lines compute. On a `LazyGrid` they describe, and `tiles.Tiles`
or `devices.Sharded` carry out what they describe, in bounded memory.
"""

from hinote_jax.lazy.grid import (
  Domain,
  Grid,
  LazyGrid,
  Patch,
  Reading,
  Total,
  Window,
  same_cells,
)
from hinote_jax.lazy.ops import (
  Applied,
  along,
  concatenate,
  constant,
  crop,
  keep,
  layer,
  local,
  pad_by_reflection,
  pixel_shuffle,
  placed,
  pointwise,
  repeat,
  resample,
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
  "concatenate",
  "constant",
  "crop",
  "graph",
  "interpolate",
  "is_regular",
  "keep",
  "layer",
  "local",
  "pad_by_reflection",
  "pixel_shuffle",
  "placed",
  "pointwise",
  "query_shape",
  "repeat",
  "resample",
  "same_cells",
  "total",
  "whole",
]
