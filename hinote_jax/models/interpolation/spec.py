"""Interpolations as models without parameters, see `models.spec`."""

from hinote_jax.models.spec import Spec

SPECS = tuple(
  Spec(
    name,
    f"hinote_jax.models.interpolation.model:{name}",
    is_interpolation=True,
  )
  for name in ("nearest", "bilinear", "bicubic", "lanczos", "spectral")
)
