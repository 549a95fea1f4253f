"""LTE."""

from collections.abc import Mapping
from typing import Any

from hinote_jax.interop import layout, rules
from hinote_jax.models.implicit import weights as implicit


def is_lte(shapes: rules.Shapes) -> bool:
  """Says whether there are amplitudes, frequencies and phases."""
  return all(f"{n}.weight" in shapes for n in ("coef", "freq", "phase"))


def arguments(shapes: rules.Shapes, mlp: str, *, res_scale: float | None):
  """Returns the model's arguments; `mlp` is what the MLP is called."""
  *hidden, _ = implicit.hidden(shapes, mlp)
  return dict(
    hidden=tuple(hidden),
    waves=shapes["phase.weight"][0],
    **implicit.encoder_arguments(shapes, res_scale=res_scale),
  )


def table(
  group: int | None,
  mlp: list[rules.Rule],
  encoder: str,
  encoder_options: Mapping[str, Any],
) -> list[rules.Rule]:
  """Returns the rules; frequencies lie there as pairs (y, x) or as halves."""
  kernel, bias = rules.conv, rules.as_is
  if group:
    kernel, bias = (rules.regrouped(group, t) for t in (kernel, bias))
  return [
    *implicit.encoder_rules(encoder, encoder_options),
    *rules.layer("coef", "amplitude", rules.conv),
    *rules.layer("freq", "frequency", kernel, bias=bias),
    *rules.layer("phase", "phase", rules.dense, bias=None),
    *mlp,
  ]


def _rules(*, encoder, encoder_options, **_):
  mlp = implicit.mlp("imnet.layers", rules.dense)
  return table(2, mlp, encoder, encoder_options)


LAYOUT = layout.Layout(
  model="lte",
  matches=lambda shapes: is_lte(shapes) and "imnet.layers.0.weight" in shapes,
  arguments=lambda shapes, **options: arguments(
    shapes, "imnet.layers", **options
  ),
  rules=_rules,
  constants=implicit.constants,
  told=implicit.told,
  options=dict(res_scale=None),
)
