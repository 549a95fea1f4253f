"""HAT against runs of the published code, and its files."""

import functools
import json

from flax import traverse_util
import jax
import numpy as np
import pytest

from hinote_jax import interop, models
from hinote_jax.interop import checkpoints
from hinote_jax.models.single_scale import hat
from hinote_jax.nn import window_attention
from tests import trials
from tests.parity import reference

_QUICK = ("hat_tiny_ws8_x2__16x24", "hat_tiny_gray_ws4_x3__12x20")
_CASES = trials.apart_from(_QUICK.__contains__, reference.cases("hat", "hat_*"))
_MEAN = (0.4488, 0.4371, 0.4040)
_WINDOWS = dict(embed_dim=10, depths=(2, 1), num_heads=(2, 5), window_size=4)


class _Tapped(hat.Hat):
  """Keeps what lies between its layers, under the published names."""

  def _kept(self, name, x):
    self.sow("taps", name, x)
    return x

  def _block(self, x, block):
    i, j = block.name.split("_")[1::2]
    name = f"layers.{i}.residual_group.blocks.{j}"
    return self._kept(name, super()._block(x, block))

  def _end_of_group(self, x, block):
    name = f"layers.{block.name.split('_')[1]}.residual_group.overlap_attn"
    return self._kept(name, super()._end_of_group(x, block))

  def _connection(self, x, options, name):
    where = "conv_after_body" if name == "body_conv" else f"{name} adds"
    return self._kept(where, super()._connection(x, options, name))

  def _before(self, x, options):
    return self._kept("conv_before_upsample", super()._before(x, options))


@reference.needs_reference
@pytest.mark.parametrize("name", _CASES)
def test_output_and_activations_are_the_published_ones(name):
  case = reference.case("hat", name)
  imported = interop.from_tensors(case.tensors, beside=case.meta["config"])
  module = models.build(imported.name, **imported.kwargs)
  fields = set(module.__dataclass_fields__) - {"parent", "name"}
  module = _Tapped(**{field: getattr(module, field) for field in fields})

  @jax.jit
  def run(lowres):
    return module.apply(
      imported.variables,
      lowres,
      method="enlarge",
      mutable=["taps", "intermediates"],
      capture_intermediates=lambda m, _: m.name in ("head", "norm_0", "norm_1"),
    )

  got, state = run(reference.to_ours(case.arrays["lr"]))
  want = reference.to_ours(case.arrays["out"])
  reference.assert_close(got, want, reference.tolerance(case, want))
  taps = {name: values[0] for name, values in state["taps"].items()}
  layers = state["intermediates"]
  for there, ours in (
    ("conv_first", "head"),
    ("norm", "norm_1"),
    ("before", "norm_0"),
  ):
    taps[there] = layers[ours]["__call__"][0]
  taps["layers.0"] = taps["before"] + taps["group_0_conv adds"]
  if module.resi_connection == "identity":  # a convolution's place is no layer
    taps["conv_after_body"] = taps["norm"]
  for key in case.arrays:
    if key.startswith("tap:"):
      want, got = case.arrays[key], taps[key.removeprefix("tap:")]
      if want.ndim == 3:  # tokens
        want = want.reshape(got.shape)
      else:
        want = reference.to_ours(want)
      reference.assert_close(got, want, 2e-5 * float(want.std()))


@reference.needs_reference
def test_tables_are_the_published_ones():
  case = np.load(reference.ROOT / "hat" / "tables.io.npz")
  index = window_attention.relative_index(8)
  np.testing.assert_array_equal(index, case["rpi_sa_ws8"])
  index = window_attention.overlap_index(8, 12)
  np.testing.assert_array_equal(index, case["rpi_oca_ws8"])
  mask = window_attention.shift_mask((24, 32), 8, 4, (False, False))
  np.testing.assert_array_equal(mask, case["mask_ws8_24x32"] == 0)


def test_every_row_of_the_table_of_wide_windows_is_used():
  for window, wide in ((16, 24), (16, 28), (8, 12)):
    rows = (window + wide - 1) ** 2
    index = window_attention.overlap_index(window, wide) % rows
    np.testing.assert_array_equal(np.unique(index), np.arange(rows))


@reference.needs_reference
@pytest.mark.parametrize("stem", [name.split("__")[0] for name in _QUICK])
def test_there_and_back_changes_no_bit(stem):
  tensors = reference.weights("hat", stem)
  back = interop.to_tensors(*interop.from_tensors(tensors))
  assert set(back) == set(tensors)
  for key, tensor in tensors.items():
    assert back[key].dtype == tensor.dtype, key
    assert back[key].tobytes() == tensor.tobytes(), key


@reference.needs_reference
def test_a_file_written_here_has_the_keys_of_the_authors():
  path = reference.ROOT / "hat" / "hat_s_1group_x4.keys.json"
  keys = json.loads(path.read_text())["keys"]
  kwargs = dict(size="S", channels=3, depths=(2,), num_heads=(6,), mean=_MEAN)
  tensors = interop.to_tensors("hat", kwargs, _drawn("hat", kwargs))
  assert {k: (list(t.shape), str(t.dtype)) for k, t in tensors.items()} == {
    k: (entry["shape"], entry["dtype"]) for k, entry in keys.items()
  }


def _drawn(name, kwargs):
  random = np.random.default_rng(0)
  shapes = checkpoints.parameter_shapes(name, kwargs)
  drawn = {p: random.normal(size=s).astype("f4") for p, s in shapes.items()}
  return {"params": traverse_util.unflatten_dict(drawn, sep="/")}


_MIXED = dict(attention="mixed", feed_forward="frfn", overlap_ratio=0.5)


@pytest.mark.parametrize(
  ("name", "kwargs"),
  [
    (
      "hat",
      dict(scale=3, channels=3, overlap_ratio=1.0, mean=_MEAN),
    ),
    ("hat", dict(scale=1, channels=2, resi_connection="3conv")),
    ("hat", dict(scale=4, channels=1, feed_forward="frfn")),
    ("hat_ast", dict(_MIXED, scale=2, channels=1)),
    ("hat_ast", dict(_MIXED, scale=8, channels=1, mlp_ratio=1.5)),
  ],
)
def test_files_tell_what_they_are(name, kwargs):
  kwargs = dict(_WINDOWS, compress_ratio=4) | kwargs
  variables = _drawn(name, kwargs)
  tensors = interop.to_tensors(name, kwargs, variables)
  imported = interop.from_tensors(tensors)
  assert imported.name == name
  wanted = models.build(name, **kwargs)
  got = models.build(name, **imported.kwargs)
  # Of ten channels three and four times fewer leave as many.
  assert (got.compress_ratio, got.squeeze_factor) == (5, 10)
  told = dict(compress_ratio=4, squeeze_factor=wanted.squeeze_factor)
  assert got.clone(**told) == wanted
  jax.tree.map(np.testing.assert_array_equal, imported.variables, variables)
  again = interop.to_tensors(*imported)
  assert {k: t.tobytes() for k, t in again.items()} == {
    k: t.tobytes() for k, t in tensors.items()
  }


def test_variant_has_the_keys_of_its_authors():
  kwargs = dict(depths=(1,), num_heads=(6,), channels=3, mean=_MEAN)
  tensors = interop.to_tensors("hat_ast", kwargs, _drawn("hat_ast", kwargs))
  end = "layers.0.residual_group.overlap_attn."
  shapes = {
    k.removeprefix(end): t.shape for k, t in tensors.items() if end in k
  }
  for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"):
    assert shapes.pop(name) == (144,)
  for name, features in (("qkv", 432), ("proj", 144)):
    assert shapes.pop(f"{name}.weight") == (features, 144)
    assert shapes.pop(f"{name}.bias") == (features,)
  assert shapes == {
    "relative_position_bias_table": (1849, 6),
    "ast_weight": (1,),
    "frfn.partial_conv3.weight": (36, 36, 3, 3),
    "frfn.linear1.0.weight": (576, 144),
    "frfn.linear1.0.bias": (576,),
    "frfn.dwconv.0.weight": (288, 1, 3, 3),
    "frfn.dwconv.0.bias": (288,),
    "frfn.linear2.0.weight": (144, 288),
    "frfn.linear2.0.bias": (144,),
  }


def _count(name, **kwargs):
  shapes = checkpoints.parameter_shapes(name, dict(kwargs, channels=3))
  return sum(int(np.prod(shape)) for shape in shapes.values())


@functools.cache
def _groups(name, size, groups, **kwargs):
  """Counts parameters of `groups` groups of six: every one adds as many."""

  def of(*depths):
    heads = (6,) * len(depths)
    return _count(name, size=size, depths=depths, num_heads=heads, **kwargs)

  one, two = of(1), of(2)
  return one + (groups - 1) * (of(1, 1) - one) + 5 * groups * (two - one)


@pytest.mark.parametrize(
  ("name", "size", "groups", "kwargs", "count"),
  [
    ("hat", "S", 6, dict(scale=2), 9_473_471),
    ("hat", "S", 6, dict(scale=3), 9_658_111),
    ("hat", "S", 6, dict(scale=4), 9_621_183),
    ("hat", "B", 6, dict(scale=4), 20_772_507),
    ("hat", "L", 12, dict(scale=4), 40_846_575),
    ("hat_ast", "S", 6, dict(scale=4), 9_970_821),
    ("hat_ast", "S", 6, dict(scale=4, overlap_ratio=0.5), 9_959_013),
  ],
)
def test_sizes_are_the_published_ones(name, size, groups, kwargs, count):
  module = models.build(name, size=size)
  assert tuple(module.depths) == tuple(module.num_heads) == (6,) * groups
  assert _groups(name, size, groups, **kwargs) == count


def _file(**kwargs):
  kwargs = dict(_WINDOWS, channels=1, scale=2) | kwargs
  return interop.to_tensors("hat", kwargs, _drawn("hat", kwargs))


@pytest.mark.parametrize(
  "name",
  [
    "conv_first.weight",
    "layers.0.residual_group.blocks.1.attn.relative_position_bias_table",
    "layers.0.residual_group.blocks.0.mlp.fc1.weight",
    "layers.1.residual_group.overlap_attn.relative_position_bias_table",
    "layers.1.conv.weight",
    "conv_before_upsample.0.bias",
  ],
)
def test_a_tensor_that_is_missing_is_named(name):
  tensors = _file()
  del tensors[name]
  with pytest.raises(ValueError, match=f"no {name}|lacks {name}") as caught:
    interop.from_tensors(tensors)
  assert len(str(caught.value).splitlines()) <= 2  # and nothing beside it
