"""The released HiNOTE network against its recorded runs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import interop, models
from hinote_jax.core import grids
from hinote_jax.models.hinote_official import published
from hinote_jax.nn import galerkin, samplers
from tests import trials
from tests.parity import reference

pytestmark = reference.needs_reference
_STRICT = [
  name for name in reference.cases("hinote") if not name.startswith("flagged")
]
_WEIGHTS = sorted({name.split("__")[0] for name in _STRICT})
# Parts of the names of the release's modules, and of ours.
_PARTS = (
  ("encoder.featUp", "double_"),
  (".Fup", "/fourier"),
  ("hierarchical_decoder.", "decoder/"),
  ("kernels.", "galerkin_"),
  ("integrate_layers.", "merge_"),
  ("downsample_layers.", "down_"),
  ("upsample_layers.", "up_"),
)


def _cases(stem):
  names = [name for name in _STRICT if name.startswith(f"{stem}__")]
  return [reference.case("hinote", name) for name in names]


def _network(case):
  imported = interop.from_tensors(case.tensors, **case.meta["config"])
  return models.build(imported.name, **imported.kwargs), imported.variables


def _tap(found, name, activate):
  """Returns ours of what the release calls `name`."""
  for theirs, ours in _PARTS:
    name = name.replace(theirs, ours)
  if name == "decoder/down_0.0":  # the activation before a convolution
    return published.alias_free(activate, found["lift"]["__call__"][0])
  for part in name.split("/"):
    found = found[part]
  return found["__call__"][0]


# Of two upsamplings, each merging, and an activation; Corner is in bands below.
_QUICK = {
  "Area_add_L1",
  "Periodic_cat_L3",
  "variant_elu_r8_L1",
}
_BANDS = (
  "default_w256__16x16_to_32x32",
  "Corner_add_L1__15x17_to_31x45",
  "Area_add_L1__16x16_to_40x56",
  "Periodic_cat_L1__16x16_to_scattered",
  "variant_elu_r8_L1__12x16_to_40x28",
)


@pytest.mark.parametrize(
  "stem", trials.apart_from(_QUICK.__contains__, _WEIGHTS)
)
def test_output_and_taps_are_the_released_ones(stem):
  cases = _cases(stem)
  module, variables = _network(cases[0])
  activate = published.activation(module.non_act)
  # Every shape is another program: unoptimised, they compile in half the time.
  run = jax.jit(
    functools.partial(module.apply, capture_intermediates=True),
    compiler_options={"xla_backend_optimization_level": 0},
  )
  for case in cases:
    got, state = run(variables, *reference.inputs(case))
    want = reference.to_ours(case.arrays["out"])
    most = reference.tolerance(case, want)
    reference.assert_close(got, want, most)
    taps = [name for name in case.arrays if name.startswith("tap:")]
    assert taps
    for name in taps:
      got = _tap(state["intermediates"], name.removeprefix("tap:"), activate)
      tap = reference.to_ours(case.arrays[name])
      # As exact as the output, each in units of its standard deviation; the
      # release recorded the first example.
      allowed = most * tap.std() / want.std()
      reference.assert_close(got[:1], tap, allowed)


@pytest.mark.parametrize(
  "name",
  trials.apart_from(
    lambda name: name.startswith(("Corner", "Periodic")), _BANDS
  ),
)
def test_bands_give_the_released_output(name):
  case = reference.case("hinote", name)
  module, variables = _network(case)
  module = module.clone(points_at_once=100)  # several bands, none filled
  lowres, coords, cell = reference.inputs(case)
  want = reference.to_ours(case.arrays["out"])
  most = reference.tolerance(case, want)
  run = jax.jit(module.apply)
  reference.assert_close(run(variables, lowres, coords, cell), want, most)
  if "scattered" not in name:
    window = grids.Axes(coords[:, :, 0, 0], coords[:, 0, :, 1])
    reference.assert_close(run(variables, lowres, window, cell), want, most)


def test_phases_of_white_noise_are_those_of_pytorch():
  # Bins that are their own mirror image are negative here; on sides that are
  # powers of two PyTorch gives them +pi, and so do we.
  case = reference.case("hinote", "flagged_Corner_add_L1__rand_pow2")
  module, variables = _network(case)
  got = jax.jit(module.apply)(variables, *reference.inputs(case))
  want = reference.to_ours(case.arrays["out"])
  reference.assert_close(got, want, reference.tolerance(case, want))


@pytest.mark.parametrize("stem", _WEIGHTS)
def test_weights_go_there_and_back_bit_by_bit(stem):
  case = _cases(stem)[0]
  imported = interop.from_tensors(case.tensors, **case.meta["config"])
  again = interop.to_tensors(imported.name, imported.kwargs, imported.variables)
  assert set(again) == set(case.tensors)
  for name, tensor in case.tensors.items():
    if name.endswith("sinc_filter"):  # a constant, of our own formula
      np.testing.assert_allclose(again[name], tensor, atol=1e-6)
    else:
      assert again[name].dtype == tensor.dtype
      np.testing.assert_array_equal(again[name], tensor)


def _parts():
  with np.load(reference.ROOT / "ops/hinote_parts.io.npz") as file:
    return {name: file[name] for name in file.files}


@pytest.mark.parametrize(
  ("cutoff", "size"), [(0.25, 31), (0.125, 15), (0.25, 5), (1 / 6, 21)]
)
def test_sinc_filter(cutoff, size):
  want = _parts()[f"sinc:{cutoff:.4f}:{size}"]
  got = published.sinc_filter(cutoff, size)
  np.testing.assert_allclose(got, want, atol=2e-6 * want.max())


@pytest.mark.parametrize(
  ("key", "name", "options"),
  [
    ("alias_free_gelu", "GELU", {}),
    ("alias_free_relu_u4_f15", "ReLU", dict(up=4, size=15)),
  ],
)
def test_alias_free_activation(key, name, options):
  parts = _parts()
  activate = published.activation(name)
  x = reference.to_ours(parts["x"])
  got = published.alias_free(activate, x, **options)
  want = reference.to_ours(parts[key])
  reference.assert_close(got, want, 2e-6 * np.abs(want).max())


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
def test_sampler(method):
  parts = _parts()
  feats = reference.to_ours(parts["liif_feat"])
  coords, cell = parts["liif_coord"], parts["liif_cell"]
  cell = jnp.asarray(cell) * np.array(feats.shape[1:3], np.float32)
  if method == "nearest":
    got = samplers.local_ensemble(feats, coords, cell, halve_at_walls=True)
  else:
    name = dict(bilinear="linear", bicubic="cubic_torch")[method]
    got = published.blurred_ensemble(feats, coords, cell, name)
  want = reference.to_ours(parts[f"liif_ensemble:{method}"])
  # Positions are float32 in [-1, 1], offsets in units of up to 1/5 of that.
  reference.assert_close(got, want, 1e-5)


def test_layer_norm():
  parts = _parts()
  x, want = (parts[key].transpose(0, 2, 1, 3) for key in ("ln_x", "ln_out"))
  scale, bias = parts["ln_w"][:, 0], parts["ln_b"][:, 0]
  got = galerkin.apply_norm("published", x, scale, bias)
  np.testing.assert_allclose(got, want, atol=2e-6)
