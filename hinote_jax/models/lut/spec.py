"""Look-up tables and their networks, see `models.spec`."""

from hinote_jax.models.spec import Spec

_HERE = "hinote_jax.models.lut"
# At walls two turns see the same cells mirrored, and what they say together is
# as symmetric: a circle can be learned by heart.
_TINY = dict(limits=((-2.5, 2.5),), periodic=(True, True))

SPECS = (
  Spec(
    "sr_lut",
    f"{_HERE}.sr_lut:SrLut",
    tiny=dict(scale=2, depth=3, **_TINY),
    is_tabulated=True,
    layouts={
      "sr_lut": f"{_HERE}.sr_lut_weights",
      "sr_lut_table": f"{_HERE}.sr_lut_table",
    },
  ),
  Spec(
    "im_lut",
    f"{_HERE}.im_lut:ImLut",
    tiny=dict(interpolators="NC", refiner="SDY", is_table=True, **_TINY),
    is_tabulated=True,
  ),
)
