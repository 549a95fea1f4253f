"""Networks that unfold an iteration; see `models.spec`."""

from hinote_jax.models.spec import Spec

_HERE = "hinote_jax.models.unfolding"

SPECS = (
  Spec(
    "ffdnet",
    f"{_HERE}.ffdnet:build",
    tiny=dict(scale=2, width=24, depth=4),
    optional=("noise",),
    layouts={"ffdnet": f"{_HERE}.ffdnet_weights"},
  ),
  Spec(
    "usrnet",
    f"{_HERE}.usrnet:build",
    tiny=dict(
      size="tiny", scale=2, iterations=2, widths=(8, 8, 8, 8), hyper_width=8
    ),
    optional=("kernel", "noise"),
    layouts={"usrnet": f"{_HERE}.usrnet_weights"},
  ),
)
