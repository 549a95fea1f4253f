"""SRNO."""

from hinote_jax.interop import layout, rules
from hinote_jax.models.implicit import weights as implicit


def galerkin(
  source: str, target: str, heads: int, *, bias: bool
) -> list[rules.Rule]:
  """Returns the rules of a `galerkin.GalerkinBlock` with the published norm.

  One tensor holds q, k and v, head by head.
  """
  inner = f"{target}/attention"
  parts = [("weight", "kernel", rules.pointwise)]
  parts += [("bias", "bias", rules.as_is)] if bias else []
  table = [
    rules.Rule(
      f"{source}.qkv_proj.{theirs}",
      tuple(f"{inner}/{name}/{ours}" for name in "qkv"),
      rules.interleaved(heads, 3, transform),
    )
    for theirs, ours, transform in parts
  ]
  for theirs, ours in (("o_proj1", "expand"), ("o_proj2", "contract")):
    table += rules.layer(
      f"{source}.{theirs}",
      f"{target}/{ours}",
      rules.pointwise,
      bias=rules.as_is if bias else None,
    )
  for name in "kv":
    for theirs, ours in (("weight", "scale"), ("bias", "bias")):
      table.append(
        rules.Rule(
          f"{source}.{name}ln.{theirs}", f"{inner}/norm_{name}/{ours}", _norm
        )
      )
  return table


_norm = rules.Transform(lambda t: t[:, 0], lambda p: p[:, None])


def _arguments(shapes, *, res_scale):
  return dict(
    width=shapes["conv00.weight"][0],
    heads=shapes["conv0.kln.weight"][0],
    blocks=layout.count(shapes, "conv{}.qkv_proj.weight"),
    hidden=(shapes["fc1.weight"][0],),
    **implicit.encoder_arguments(shapes, res_scale=res_scale),
  )


def _rules(*, encoder, encoder_options, heads, **_):
  return [
    *implicit.encoder_rules(encoder, encoder_options),
    *rules.layer("conv00", "lift", rules.pointwise),
    *galerkin("conv{i}", "galerkin_{i}", heads, bias=True),
    *rules.layer("fc1", "layer_0", rules.pointwise),
    *rules.layer("fc2", "layer_1", rules.pointwise),
  ]


LAYOUT = layout.Layout(
  model="srno",
  matches=lambda shapes: "conv00.weight" in shapes and "fc2.weight" in shapes,
  arguments=_arguments,
  rules=_rules,
  constants=implicit.constants,
  told=implicit.told,
  options=dict(res_scale=None),
)
