"""LTE as its authors' faster code (ltep) holds it; the same mathematics."""

from hinote_jax.interop import layout, rules
from hinote_jax.models.implicit import lte_weights as lte
from hinote_jax.models.implicit import weights as implicit


def _rules(*, encoder, encoder_options, **_):
  mlp = implicit.mlp("layers", rules.pointwise)
  return lte.table(None, mlp, encoder, encoder_options)


LAYOUT = layout.Layout(
  model="lte",
  matches=lambda shapes: lte.is_lte(shapes) and "layers.0.weight" in shapes,
  arguments=lambda shapes, **options: lte.arguments(
    shapes, "layers", **options
  ),
  rules=_rules,
  constants=implicit.constants,
  told=implicit.told,
  options=dict(res_scale=None),
)
