"""Diffusion in a latent space; see `models.spec`."""

from hinote_jax.models.spec import Spec

_HERE = "hinote_jax.models.diffusion"

SPECS = (
  Spec(
    "sinsr",
    f"{_HERE}.sinsr:Sinsr",
    tiny=dict(
      unet=dict(
        width=32,
        multiples=(1, 1),
        blocks=(1, 1),
        attended=(True, True),
        embed_dim=32,
        heads=2,
        image_size=32,
      ),
      autoencoder=dict(width=32, multiples=(1, 1, 1), blocks=1, codes=8),
      channels=3,
      multiple=16,
    ),
    layouts={"sinsr": f"{_HERE}.sinsr_weights"},
    is_centred_in_colour=True,
    scales=(4,),
    is_imported=True,
  ),
)
