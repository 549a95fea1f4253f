"""The networks that answer at a point from the cells around it.

See `models.spec`.
"""

from hinote_jax.models.spec import Spec

_HERE = "hinote_jax.models.implicit"
_ENCODER = dict(encoder_options=dict(width=12, blocks=1))


def _spec(name, tiny, *layouts):
  return Spec(
    name,
    f"{_HERE}.{name}:build",
    tiny=dict(_ENCODER, **tiny),
    layouts={layout: f"{_HERE}.{layout}_weights" for layout in layouts},
    is_centred_in_colour=True,
  )


SPECS = (
  _spec("liif", dict(hidden=(24, 24)), "liif"),
  _spec("lte", dict(hidden=(24, 24), waves=8), "lte", "lte_fast"),
  _spec("metasr", dict(hidden=(24,)), "metasr"),
  _spec("srno", dict(width=16, heads=2, hidden=(16,)), "srno"),
)
