"""DINOv2 against runs of the published code."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import interop, models
from tests import trials
from tests.parity import reference

pytestmark = reference.needs_reference
_NAMES = [n for n in reference.cases("dinov2", "vit*") if "__inter" not in n]
_QUICK = {"vit_tiny__98x126", "vit_tiny_reg__98x126"}
_CASES = trials.apart_from(_QUICK.__contains__, _NAMES)
_OPTIONS = ("num_heads", "interpolate_offset", "interpolate_antialias")


def _network(case):
  config = case.meta["config"]
  options = {n: config[n] for n in _OPTIONS if n in config}
  imported = interop.from_tensors(case.tensors, **options)
  return imported, models.build(imported.name, **imported.kwargs)


def _assert(got, want, error):
  most = max(2e-5 * float(want.std()), 10.0 * float(error))
  reference.assert_close(np.asarray(got).reshape(want.shape), want, most)


@pytest.mark.parametrize("name", _CASES)
def test_tokens_are_the_published_ones(name):
  case = reference.case("dinov2", name)
  imported, module = _network(case)
  x = jnp.asarray(reference.to_ours(case.arrays["x"]))
  shape = x.shape[1] // 14, x.shape[2] // 14
  masks = case.arrays.get("masks")
  masks = None if masks is None else jnp.asarray(masks, bool)

  @jax.jit
  def run(variables, x):
    tokens = module.apply(variables, x, masks, method="tokens")
    return tokens, module.apply(variables, tokens[-1], shape, method="parts")

  tokens, parts = run(imported.variables, x)
  _assert(
    parts.embedding, case.arrays["cls"], case.meta["cls_f32_vs_f64"]["maxabs"]
  )
  error = case.meta["f32_vs_f64"]["maxabs"]
  _assert(parts.patches, case.arrays["patch"], error)
  if "reg" in case.arrays:
    _assert(parts.registers, case.arrays["reg"], error)
  if "pos" in case.arrays:
    got = module.apply(imported.variables, shape, method="positions_of")
    _assert(got, case.arrays["pos"], 0.0)
  for i, got in enumerate(tokens):
    if (key := f"tap:blocks.{i}") in case.arrays:
      _assert(got[:1], case.arrays[key], error)
  if "image01" in case.arrays and masks is None:
    image = jnp.asarray(reference.to_ours(case.arrays["image01"]))
    whole = module.apply(imported.variables, image, method="features")
    np.testing.assert_allclose(whole.embedding, parts.embedding, atol=2e-5)
  if "grad_x" in case.arrays:
    cotangent = jnp.asarray(case.arrays["cotangent_cls"])

    def value(x):
      tokens = module.apply(imported.variables, x, method="tokens")
      parts = module.apply(
        imported.variables, tokens[-1], shape, method="parts"
      )
      return (parts.embedding * cotangent).sum()

    want = reference.to_ours(case.arrays["grad_x"])
    got = jax.jit(jax.grad(value))(x)
    np.testing.assert_allclose(got, want, atol=2e-5 * np.abs(want).max())
  back = interop.to_tensors(*imported)
  assert set(back) == set(case.tensors)
  for key, tensor in case.tensors.items():
    np.testing.assert_array_equal(back[key], tensor)


def test_intermediate_tokens_are_the_published_ones():
  case = reference.case("dinov2", "vit_tiny__intermediate")
  imported, module = _network(case)
  x = jnp.asarray(reference.to_ours(case.arrays["x"]))
  tokens = module.apply(imported.variables, x, method="tokens")
  for i, each in enumerate(tokens):
    parts = module.apply(imported.variables, each, (5, 3), method="parts")
    want = reference.to_ours(case.arrays[f"patch{i}"])
    _assert(parts.patches, want, 1e-6)
    _assert(parts.embedding, case.arrays[f"cls{i}"], 1e-6)


def test_positions_are_interpolated_as_published():
  arrays = reference.arrays("dinov2", "pos_interp")
  kinds = {"o01": (0.1, False), "o0": (0.0, False), "aa": (0.0, True)}
  tables = {"params": {"positions": jnp.asarray(arrays["pos_embed"])}}
  for key, want in arrays.items():
    kind, _, sides = key.partition(":")
    if kind not in kinds:
      continue
    offset, antialias = kinds[kind]
    module = models.build(
      "dinov2", width=8, depth=0, offset=offset, antialias=antialias
    )
    shape = tuple(int(side) // 14 for side in sides.split("x"))

    def positions(module, shape=shape):
      return module.positions_of(shape)

    fixed = dict(cls=jnp.zeros((1, 1, 8)), mask=jnp.zeros((1, 8)))
    variables = {"params": tables["params"] | fixed}
    got = module.apply(variables, method=positions)
    _assert(got, want, 1.2e-6)


def test_published_sizes():
  from hinote_jax.interop import checkpoints

  path = reference.ROOT / "dinov2" / "param_counts.json"
  counts = json.loads(path.read_text())
  for size, registers, name in (
    ("S", 4, "vit_small14_reg4"),
    ("B", 0, "vit_base14"),
    ("L", 0, "vit_large14"),
  ):
    kwargs = dict(size=size, registers=registers, channels=3)
    shapes = checkpoints.parameter_shapes("dinov2", kwargs)
    total = sum(int(np.prod(shape)) for shape in shapes.values())
    assert [total, len(shapes)] == counts[name]


def test_file_of_safetensors_is_read(tmp_path):
  numpy = pytest.importorskip("safetensors.numpy")
  tensors = reference.weights("dinov2", "vit_tiny")
  numpy.save_file(tensors, tmp_path / "vit.safetensors")
  imported = interop.load_checkpoint(tmp_path / "vit.safetensors", num_heads=3)
  assert imported.kwargs["depth"] == 2 and imported.kwargs["heads"] == 3
