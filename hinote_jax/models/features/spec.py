"""Networks of features, see `models.spec`."""

from hinote_jax.models.spec import Spec

_HERE = "hinote_jax.models.features"

SPECS = (
  Spec(
    "dinov2",
    f"{_HERE}.dinov2:build",
    tiny=dict(width=12, depth=1, heads=2, side=2, channels=3),
    layouts={"dinov2": f"{_HERE}.dinov2_weights"},
    is_features=True,
  ),
  Spec(
    "inn",
    f"{_HERE}.inn:Inn",
    tiny=dict(width=8, heads=2, blocks=1, decoder_blocks=1),
    layouts={"inn": f"{_HERE}.inn_weights"},
    is_features=True,
  ),
)
