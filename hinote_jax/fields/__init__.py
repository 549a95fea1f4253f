"""One notion of a field, for files, training and upscaling alike.

    Variable   a channel: name, units, how a file packs it
    Axis       positions along y or x, their registration and period
    Dimension  what comes before (y, x): time, level, member
    Header     all that is known of fields but their values
    Reader     a header, and the fields one at a time
    Field      a header, and the fields in memory

`hinote_jax.io` gives them of every file; a data set (`data.series`) is fields
with times.
"""

from hinote_jax.fields.axes import Axis
from hinote_jax.fields.field import (
  Dimension,
  Field,
  Header,
  Reader,
  Variable,
  select,
  stack,
)

__all__ = [
  "Axis",
  "Dimension",
  "Field",
  "Header",
  "Reader",
  "Variable",
  "select",
  "stack",
]
