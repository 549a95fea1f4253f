"""The released HiNOTE network."""

from hinote_jax.interop import layout, rules
from hinote_jax.models.hinote_official import published
from hinote_jax.models.implicit import srno_weights as srno

_DECODER = "hierarchical_decoder"
_POST = "encoder.featUp0.Fup.post.weight"


def _implied(shapes):
  """Returns the options that names and shapes tell; the others are absent."""
  stages = layout.count(shapes, "encoder.featUp{}.fuse.weight")
  arguments = dict(
    feature_up_ratio=2**stages,
    attention_width=shapes["lift.weight"][0],
    attention_head=shapes[f"{_DECODER}.kernels.0.kln.weight"][0],
    hierarchical_levels=layout.count(
      shapes, _DECODER + ".kernels.{}.kln.weight"
    ),
  )
  if stages:
    outputs, inputs = shapes["encoder.featUp0.fuse.weight"][:2]
    arguments["feature_combine"] = "add" if inputs == outputs else "cat"
    if _POST not in shapes:
      arguments["fourier_up"] = "Corner"
  return arguments


def _arguments(shapes, *, non_act, liif_up_method, **given):
  """Returns what the file tells and, beside it, what was given.

  Raises:
    ValueError: the two contradict each other, or the file leaves open what
      was not given.
  """
  implied = _implied(shapes)
  ratio = given["feature_up_ratio"]
  if ratio is not None and ratio >= 1:
    # The release rounds the ratio down to a power of two.
    given["feature_up_ratio"] = 1 << (int(ratio).bit_length() - 1)
  for name, value in implied.items():
    if given[name] not in (None, value):
      raise ValueError(
        f"the tensors are of a network with {name}={value!r}, but "
        f"{name}={given[name]!r} was asked for"
      )
  if _POST in shapes and given["fourier_up"] not in ("Area", "Periodic"):
    asked = given["fourier_up"]
    but = f", but fourier_up={asked!r} was asked for" if asked else ""
    raise ValueError(
      f"the tensors are of a network with fourier_up 'Area' or 'Periodic' "
      f"({_POST} is there){but}: say which, with fourier_up=..."
    )
  defaults = dict(feature_combine="add", fourier_up="Corner")
  chosen = {k: v for k, v in given.items() if v is not None}
  methods = dict(non_act=non_act, liif_up_method=liif_up_method)
  return {**defaults, **chosen, **implied, **methods}


def _rules(*, attention_head, **_):
  source, target = "encoder.featUp{i}.Fup", "double_{i}/fourier"
  layers = [(f"{source}.post", f"{target}/post", rules.pointwise)]
  for theirs, ours in (("amp_fuse", "amplitude"), ("pha_fuse", "phase")):
    for i, part in ((0, "first"), (2, "second")):
      layers.append(
        (f"{source}.{theirs}.{i}", f"{target}/{ours}/{part}", rules.pointwise)
      )
  for theirs, ours in (
    ("downsample_layers.{i}.1", "down_{i}"),
    ("upsample_layers.{i}.2", "up_{i}"),
    ("integrate_layers.{i}", "merge_{i}"),
    ("project", "project"),
  ):
    layers.append((f"{_DECODER}.{theirs}", f"decoder/{ours}", rules.conv))
  bare = [
    ("encoder.featUp{i}.fuse", "double_{i}/fuse", rules.pointwise),
    ("lift", "lift", rules.conv),
  ]
  return [
    *(rule for layer in layers for rule in rules.layer(*layer)),
    *(rule for layer in bare for rule in rules.layer(*layer, bias=None)),
    *srno.galerkin(
      f"{_DECODER}.kernels.{{i}}",
      "decoder/galerkin_{i}",
      attention_head,
      bias=False,
    ),
  ]


def _constants(*, hierarchical_levels, **_):
  value = published.sinc_filter(0.25, 31)[None, None]
  return {
    f"{_DECODER}.{side}_layers.{i}.0.sinc_filter": value
    for side in ("downsample", "upsample")
    for i in range(hierarchical_levels - 1)
  }


LAYOUT = layout.Layout(
  model="hinote_official",
  matches=lambda shapes: (
    "lift.weight" in shapes and f"{_DECODER}.kernels.0.kln.weight" in shapes
  ),
  arguments=_arguments,
  rules=_rules,
  constants=_constants,
  # None: the tensors tell, or, of Area and Periodic, the caller must.
  options=dict(
    feature_up_ratio=None,
    fourier_up=None,
    feature_combine=None,
    non_act="GELU",
    liif_up_method="nearest",
    attention_width=None,
    attention_head=None,
    hierarchical_levels=None,
  ),
)
