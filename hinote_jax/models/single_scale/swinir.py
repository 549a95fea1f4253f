"""SwinIR (Liang et al., ICCV Workshops 2021): shifted-window attention."""

from collections.abc import Sequence

from hinote_jax.core import naming
from hinote_jax.models.single_scale import window_transformer

SIZES = {
  "classical": dict(embed_dim=180, depths=(6,) * 6, num_heads=(6,) * 6),
  "lightweight": dict(
    embed_dim=60,
    depths=(6,) * 4,
    num_heads=(6,) * 4,
    upsampler="pixelshuffledirect",
  ),
}


class Swinir(window_transformer.WindowTransformer):
  """Blocks of plain window attention, see `WindowTransformer`.

  Attributes:
    img_size: (h, w) of the fields that a released network was built for. Its
      layout holds masks for them; the network does without.
  """

  img_size: Sequence[int] = (64, 64)


def build(size: str = "classical", **kwargs) -> Swinir:
  """Returns a `Swinir` of one of `SIZES`, any attribute changed.

  Raises:
    ValueError: unknown size.
  """
  return Swinir(**{**naming.look_up("size of swinir", size, SIZES), **kwargs})
