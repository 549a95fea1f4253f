"""The tables between layouts: transforms, strictness both ways, messages."""

import re

from hypothesis import given
from hypothesis import strategies as st
import jax
import numpy as np
import pytest

from hinote_jax import interop, lazy, models
from hinote_jax.core import grids
from hinote_jax.interop import inspect, rules, torch_writer
from hinote_jax.models.implicit import srno_weights
from hinote_jax.models.single_scale import dfno_weights

_RANDOM = np.random.default_rng(0)
_TABLE = [
  *rules.layer("body.{i}.0", "block_{i}/first", rules.conv),
  rules.Rule(
    "qkv", ("q/kernel", "k/kernel"), rules.interleaved(2, 2, rules.dense)
  ),
]


def _tensors():
  return {
    "body.0.0.weight": _RANDOM.normal(size=(3, 2, 1, 1)).astype(np.float32),
    "body.0.0.bias": np.arange(3, dtype=np.float32),
    "qkv": _RANDOM.normal(size=(8, 5)).astype(np.float32),
  }


_EXPECTED = {
  "block_0/first/kernel": (1, 1, 2, 3),
  "block_0/first/bias": (3,),
  "q/kernel": (5, 4),
  "k/kernel": (5, 4),
}


def test_tensors_go_where_the_rules_say_and_back():
  tensors = _tensors()
  params = rules.load(tensors, _TABLE, _EXPECTED)
  kernel = params["block_0"]["first"]["kernel"]
  np.testing.assert_array_equal(
    kernel[0, 0], tensors["body.0.0.weight"][:, :, 0, 0].T
  )
  # Head by head [q q k k], so that rows 0, 1, 4, 5 of the tensor are q.
  np.testing.assert_array_equal(
    params["q"]["kernel"], tensors["qkv"][[0, 1, 4, 5]].T
  )
  back = rules.save(params, _TABLE)
  assert set(back) == set(tensors)
  for name, tensor in tensors.items():
    np.testing.assert_array_equal(back[name], tensor)


def test_every_difference_is_listed():
  tensors = _tensors()
  tensors["tail.weight"] = np.zeros((2, 2))
  del tensors["body.0.0.bias"]
  tensors["qkv"] = tensors["qkv"][:, :3]
  with pytest.raises(ValueError, match="differ") as caught:
    rules.load(tensors, _TABLE, _EXPECTED)
  message = str(caught.value)
  assert "tail.weight (2, 2): the model has no place for it" in message
  assert "block_0/first/bias (3,): not given" in message
  assert "gives q/kernel the shape (3, 4), the model has (5, 4)" in message


@pytest.mark.parametrize(
  ("transform", "whole", "more"),
  [
    (rules.pointwise, (3, 2, 1, 1), (3, 2, 3, 3)),
    (rules.depthwise, (3, 1, 3, 3), (3, 2, 3, 3)),
    (srno_weights._norm, (2, 1, 4), (2, 3, 4)),
    (dfno_weights._pointwise, (3, 2, 1), (3, 2, 2)),
  ],
)
def test_no_part_of_a_tensor_is_left_out(transform, whole, more):
  table = [rules.Rule("w", "kernel", transform)]
  tensor = np.zeros(whole, np.float32)
  expected = {"kernel": transform.load(tensor).shape}
  rules.load({"w": tensor}, table, expected)
  words = re.escape(f"w {more}: the model has {whole}")
  with pytest.raises(ValueError, match=f"differ:\n  {words}$"):
    rules.load({"w": np.zeros(more, np.float32)}, table, expected)


@pytest.mark.parametrize(
  ("values", "words"),
  [
    (
      np.ones(3, np.complex64),
      "gives bias numbers of complex64, the model has real",
    ),
    (np.ones(3, np.int8), "gives bias numbers of int8, the model has real"),
    (np.float32([0, np.nan, 1]), "1 of 3 weights in bias are not finite"),
    (
      np.float64([1e300, -1e300, 1]),
      "2 of 3 weights in bias are not finite in",
    ),
  ],
)
def test_what_is_no_parameter_in_float32_is_refused(values, words):
  table = [rules.Rule("w", "bias", rules.as_is)]
  with pytest.raises(ValueError, match=rf"w \(3,\): {words}"):
    rules.load({"w": values}, table, {"bias": (3,)})


def test_constants_must_have_their_value():
  tensors = _tensors() | {"mean": np.array([0.5, 0.25])}
  right = {"mean": np.array([0.5, 0.25])}
  assert rules.load(tensors, _TABLE, _EXPECTED, constants=right)
  assert rules.load(tensors, _TABLE, _EXPECTED, constants={"mean": None})
  with pytest.raises(ValueError, match="mean .*not the constant"):
    rules.load(
      tensors, _TABLE, _EXPECTED, constants={"mean": np.array([0.5, 0.3])}
    )


def test_a_parameter_without_a_rule_is_not_lost_in_silence():
  with pytest.raises(ValueError, match="no place for.*\n.*stray/kernel"):
    rules.save({"stray": {"kernel": np.zeros(2)}}, _TABLE)


@given(
  groups=st.integers(1, 4), size=st.integers(1, 4), inputs=st.integers(1, 3)
)
def test_transforms_undo_themselves(groups, size, inputs):
  tensor = np.arange(groups * size * inputs * 9.0)
  tensor = tensor.reshape(groups * size, inputs, 3, 3)
  for transform in (rules.conv, rules.regrouped(size, rules.conv)):
    np.testing.assert_array_equal(
      transform.save(transform.load(tensor)), tensor
    )
  flat = tensor[..., 0, 0]
  for transform in (
    rules.dense,
    rules.interleaved(groups, size, rules.dense),
    rules.parts([inputs, 0], [rules.dense, rules.dense]),
  ):
    loaded = transform.load(flat)
    loaded = loaded if isinstance(loaded, tuple) else (loaded,)
    np.testing.assert_array_equal(transform.save(*loaded), flat)


def test_shuffled_channels_end_in_the_same_pixels():
  factor, c = 2, 3
  tensor = np.arange(c * factor**2, dtype=np.float32)
  ours = rules.shuffled(factor, rules.as_is).load(tensor)
  got = lazy.pixel_shuffle(ours[None, None, None], factor)[0]
  # PyTorch: out[c, i, j] = in[c * r * r + i * r + j].
  want = tensor.reshape(c, factor, factor).transpose(1, 2, 0)
  np.testing.assert_array_equal(got, want)


def _small(name="srno", **changes):
  kwargs = dict(
    channels=3,
    encoder="edsr",
    encoder_options=dict(width=8, blocks=1, residual_scale=1.0),
    hidden=(16,),
  )
  if name == "srno":
    kwargs |= dict(width=12, heads=3, blocks=2)
  kwargs |= changes
  module = models.build(name, **kwargs)
  lowres = np.zeros((1, 4, 4, 3), np.float32)
  inputs = lowres, grids.axes((8, 8)), grids.cell_size((8, 8))[None]
  return kwargs, jax.jit(module.init)(jax.random.key(0), *inputs)


def test_a_file_written_here_is_read_back_bit_by_bit(tmp_path):
  path = tmp_path / "srno.pth"
  kwargs, variables = _small()
  interop.save_torch(path, "srno", kwargs, variables)
  imported = interop.load_checkpoint(path)
  assert imported.name == "srno"
  assert imported.kwargs == kwargs
  assert jax.tree.structure(imported.variables) == jax.tree.structure(variables)
  jax.tree.map(
    np.testing.assert_array_equal, imported.variables, dict(variables)
  )


def test_default_sizes_need_not_be_said_to_write(tmp_path):
  path = tmp_path / "rdn.pth"
  kwargs = dict(scale=3, channels=1, blocks=1, layers=2, growth=4, width=6)
  module = models.build("rdn", **kwargs)
  lowres = np.zeros((1, 4, 4, 1), np.float32)
  inputs = lowres, grids.axes((12, 12)), grids.cell_size((12, 12))[None]
  variables = module.init(jax.random.key(0), *inputs)
  interop.save_torch(path, "rdn", kwargs, variables)
  assert interop.load_checkpoint(path).kwargs == kwargs


def test_faults_of_a_file_name_it_and_the_reason(tmp_path):
  kwargs, variables = _small()
  tensors = interop.to_tensors("srno", kwargs, variables)
  path = tmp_path / "fault.pth"

  def fails(tensors, match, **options):
    torch_writer.write(path, tensors)
    with pytest.raises(ValueError, match=r"fault.pth: [\s\S]*" + match):
      interop.load_checkpoint(path, **options)

  fails({n: t for n, t in tensors.items() if n != "fc1.bias"}, "layer_0/bias")
  fails(tensors | {"fc1.bias": np.zeros(3, np.float32)}, "fc1.bias")
  fails(tensors | {"more": np.zeros(3, np.float32)}, "more .*no place")
  fails({"a": np.zeros(3, np.float32)}, "no network known here")
  fails(tensors, "did you mean 'res_scale'", resscale=1.0)
  with pytest.raises(ValueError, match="has no published layout"):
    interop.to_tensors("bicubic", {}, {"params": {}})


def test_inspect_says_what_would_be_built(tmp_path, capsys):
  path = tmp_path / "liif.pth"
  kwargs, variables = _small("liif")
  interop.save_torch(path, "liif", kwargs, variables)
  assert inspect.main([str(path)]) == 0
  told = capsys.readouterr().out
  assert "torch zip, " in told
  assert "imnet.layers.0.weight" in told
  assert "float32" in told
  assert "models.build('liif', hidden=(16,)" in told
  assert inspect.main([str(path), "feat_unfold=False"]) == 0
  assert "no model: " in capsys.readouterr().out
  assert inspect.main([str(tmp_path / "absent.pth")]) == 2
  assert "absent.pth" in capsys.readouterr().err
