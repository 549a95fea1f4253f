"""The table of SR-LUT's authors: bytes of the shape (levels^n, 1, s, s)."""

import numpy as np

from hinote_jax.interop import layout, rules
from hinote_jax.models.lut import ensemble, lookup, taps


def _pattern(entries):
  """Returns the pattern of the most cells that a table is of."""
  for pattern in "SFV":
    levels = round(entries ** (1 / len(taps.of(pattern))))
    # Nodes divide the 256 levels evenly.
    is_even = levels > 1 and 256 % (levels - 1) == 0
    if is_even and levels ** len(taps.of(pattern)) == entries:
      return pattern
  raise ValueError(
    f"a table of {entries} entries fits none of the patterns S, F and V: they "
    "have (256 / interval + 1) to the power of 4, 3 and 2"
  )


def _arguments(shapes, *, pattern, compat):
  entries, _, _, scale = shapes["table"]
  pattern = pattern or _pattern(entries)
  levels = lookup.levels_of(entries, len(taps.of(pattern)))
  return dict(
    pattern=pattern,
    scale=scale,
    interval=256 / (levels - 1),
    is_table=True,
    compat=compat,
  )


def _rules(*, pattern, scale, **_):
  stored_shape, shape = (-1, 1, scale, scale), (-1, scale**2)
  bytes_ = rules.Transform(
    lambda t: t / np.float32(ensemble.STORED),
    lambda p: p * np.float32(ensemble.STORED),
  )
  to = f"turns/table_{pattern}"
  return [rules.Rule("table", to, rules.reshaped(stored_shape, shape, bytes_))]


LAYOUT = layout.Layout(
  model="sr_lut",
  matches=lambda shapes: set(shapes) == {"table"},
  arguments=_arguments,
  rules=_rules,
  options=dict(pattern="", compat=""),
)
