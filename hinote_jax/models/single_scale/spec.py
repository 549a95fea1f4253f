"""Networks that enlarge a whole number of times, see `models.spec`."""

import dataclasses

from hinote_jax.models.spec import Spec

_HERE = "hinote_jax.models.single_scale"
_WINDOWS = dict(
  embed_dim=12, depths=(2,), num_heads=(2,), window_size=4, num_feat=12
)


def _hat(name, builder, **tiny):
  plain = _spec(name, builder, **_WINDOWS, **tiny)
  rngs, scales = ("drop_path",), (2, 3, 4)
  return dataclasses.replace(plain, rngs=rngs, scales=scales)


def _spec(name, builder, **tiny):
  return Spec(
    name,
    f"{_HERE}.{builder}",
    tiny=dict(scale=2, **tiny),
    layouts={name: f"{_HERE}.{name}_weights"},
  )


SPECS = (
  _spec(
    "dfno",
    "dfno:Dfno",
    width=12,
    blocks=1,
    features=12,
    fourier_width=8,
    modes1=3,
    modes2=3,
    layers=2,
    head_width=16,
  ),
  _spec("edsr", "edsr:build", width=12, blocks=2),
  _spec("espcn", "shallow:Espcn"),
  _hat("hat", "hat:build"),
  _hat("hat_ast", "hat:build_ast", overlap_ratio=0.5),
  _spec("rdn", "rdn:build", width=12, blocks=2, layers=2, growth=8),
  _spec("srcnn", "shallow:Srcnn"),
  _spec("swinir", "swinir:build", **_WINDOWS),
  _spec("wdsr", "wdsr:Wdsr", width=12, blocks=2),
)
