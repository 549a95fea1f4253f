"""HAT with the attention of AST: its students' files."""

from hinote_jax.models.single_scale import hat_weights

LAYOUT = hat_weights.AST
