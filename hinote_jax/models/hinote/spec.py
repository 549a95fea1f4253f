"""The flagship, see `models.spec`."""

from hinote_jax.models.spec import Spec

SPECS = (
  Spec(
    "hinote",
    "hinote_jax.models.hinote.model:build",
    tiny=dict(preset="levels", width=12, blocks=1, head_width=12),
  ),
)
