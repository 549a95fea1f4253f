"""DFNO of HiNOTE's authors: an EDSR trunk before an FNO of 2021."""

import numpy as np

from hinote_jax.interop import layout, rules
from hinote_jax.models.single_scale import edsr_weights as edsr

_ORDER = (2, 3, 0, 1, 4)
# complex (in, out, y, x) -> (y, x, in, out, 2)
_modes = rules.Transform(
  lambda t: np.stack([t.real, t.imag], -1).transpose(_ORDER),
  lambda p: p.transpose(_ORDER).copy("C").view(np.complex64)[..., 0],
)
# (out, in, 1) -> (in, out)
_pointwise = rules.Transform(lambda t: t[:, :, 0].T, lambda p: p.T[:, :, None])


def _arguments(shapes, *, upscale_factor, res_scale):
  width, _, modes1, modes2 = shapes["FNO.conv0.weights1"]
  return dict(
    scale=upscale_factor,
    features=shapes["encoder.tail.weight"][0],
    fourier_width=width,
    modes1=modes1,
    modes2=modes2,
    layers=layout.count(shapes, "FNO.conv{}.weights1"),
    head_width=shapes["FNO.fc1.weight"][0],
    **edsr.sizes(shapes, "encoder.", res_scale=res_scale),
  )


def _rules(*, blocks, **_):
  return [
    *edsr.trunk("encoder.", "trunk/", blocks),
    *rules.layer("encoder.tail", "last", rules.conv),
    *rules.layer("FNO.fc0", "lift", rules.dense),
    rules.Rule("FNO.conv{i}.weights1", "layer_{i}/positive", _modes),
    rules.Rule("FNO.conv{i}.weights2", "layer_{i}/negative", _modes),
    *rules.layer("FNO.w{i}", "layer_{i}/local", _pointwise),
    *rules.layer("FNO.fc1", "project_0", rules.dense),
    *rules.layer("FNO.fc2", "project_1", rules.dense),
  ]


LAYOUT = layout.Layout(
  model="dfno",
  matches=lambda shapes: "FNO.conv0.weights1" in shapes,
  arguments=_arguments,
  rules=_rules,
  options=dict(upscale_factor=4, res_scale=0.1),
  told=lambda *, scale, **attributes: dict(
    upscale_factor=scale, **edsr.told(**attributes)
  ),
)
