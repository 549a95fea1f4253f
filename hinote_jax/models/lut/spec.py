"""Look-up tables and their networks, see `models.spec`."""

from hinote_jax.models.spec import Spec

_HERE = "hinote_jax.models.lut"

SPECS = (
  Spec(
    "sr_lut",
    f"{_HERE}.sr_lut:SrLut",
    tiny=dict(scale=2, limits=((-4.0, 4.0),)),
    is_tabulated=True,
    layouts={
      "sr_lut": f"{_HERE}.sr_lut_weights",
      "sr_lut_table": f"{_HERE}.sr_lut_table",
    },
  ),
  Spec(
    "im_lut",
    f"{_HERE}.im_lut:ImLut",
    tiny=dict(interpolators="NC", width=16, limits=((-4.0, 4.0),)),
    is_tabulated=True,
  ),
)
