"""The invertible network and CDDFuse's losses against the published code."""

import json

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import interop, models
from hinote_jax.losses import structure
from hinote_jax.models.features import inn, inn_weights
from tests import trials
from tests.parity import reference

pytestmark = reference.needs_reference
# The published names of what lies between, and ours.
_TAPS = {
  "patch_embed": "head",
  "encoder_level1.0.norm1": "block_0/norm_0",
  "encoder_level1.0.attn": "block_0/attention",
  "encoder_level1.0": "block_0",
  "encoder_level1.3": "block_3",
  "baseFeature.attn": "base/attention",
  "baseFeature.mlp": "base/perceptron",
  "detailFeature.net.0.theta_phi": "node_0/phi",
  "detailFeature.net.0.theta_rho": "node_0/rho",
  "detailFeature.net.0": "node_0",
  "detailFeature.net.1": "node_1",
  "detailFeature.net.2": "node_2",
}


def _imported(folder, stem):
  imported = interop.from_tensors(reference.weights(folder, stem))
  module = models.build(imported.name, **imported.kwargs)
  return imported, module


@pytest.mark.parametrize(
  "name",
  trials.apart_from(
    "encoder_small__12x17".__eq__, reference.cases("cddfuse", "encoder_*")
  ),
)
def test_features_are_the_published_ones(name):
  case = reference.case("cddfuse", name)
  imported, module = _imported("cddfuse", name.split("__")[0])

  @jax.jit
  def run(x):
    return module.apply(
      imported.variables, x, method="features", capture_intermediates=True
    )

  features, state = run(reference.to_ours(case.arrays["x"]))
  got = dict(
    level1=features.shared, base=features.base, detail=features.details[-1]
  )
  for key, ours in got.items():
    want = reference.to_ours(case.arrays[key])
    part = {"base": "base_f32_vs_f64", "detail": "f32_vs_f64"}.get(key, "")
    error = case.meta.get(part, {}).get("maxabs", 0.0)
    allowed = max(2e-5 * float(want.std()), 10.0 * error)
    reference.assert_close(ours, want, allowed)
  taps = state["intermediates"]["encoder"]
  for key, want in case.arrays.items():
    path = _TAPS.get(key.removeprefix("tap:")) if key != "tap" else None
    if key.startswith("tap:") and path:
      node = taps
      for part in path.split("/"):
        node = node[part]
      want = reference.to_ours(want)
      reference.assert_close(
        node["__call__"][0], want, 2e-5 * float(want.std())
      )
  back = interop.to_tensors(*imported)
  assert set(back) == set(case.tensors)
  for key, tensor in case.tensors.items():
    np.testing.assert_array_equal(back[key], tensor)


def test_gradient_is_the_published_one():
  case = reference.case("cddfuse", "encoder_small__12x17")
  imported, module = _imported("cddfuse", "encoder_small")
  base, detail = (
    reference.to_ours(case.arrays[f"cot_{n}"]) for n in ("base", "detail")
  )

  @jax.jit
  @jax.grad
  def gradient(x):
    found = module.apply(imported.variables, x, method="features")
    ours = (found.base * base).mean() + (found.details[-1] * detail).mean()
    return ours

  got = gradient(jnp.asarray(reference.to_ours(case.arrays["x"])))
  want = reference.to_ours(case.arrays["grad_x"])
  error = case.meta["grad_f32_vs_f64"]["maxabs"]
  reference.assert_close(got, want, max(2e-5 * float(want.std()), 10 * error))


def _nodes(tensors):
  """Returns the parameters of three invertible modules, as they are."""
  table, flat = inn_weights.node("net.{i}", "node_{i}"), {}
  for i in range(3):
    for rule in table:
      value = rule.transform.load(tensors[rule.source.format(i=i)])
      flat[rule.targets[0].format(i=i)] = jnp.asarray(value, np.float64)
  return traverse_util.unflatten_dict(flat, sep="/")


def test_inverse_is_exact():
  case = reference.case("cddfuse", "detail_inn__inverse")
  with jax.enable_x64(True):
    for is_turned in (False, True):
      tensors = dict(case.tensors)
      if is_turned:
        for i in range(3):
          turn = case.arrays[f"orthogonal_w{i}"][:, :, None, None]
          tensors[f"net.{i}.shffleconv.weight"] = turn
      params = _nodes(tensors)
      module = inn.InvertibleModule(64, np.float64)
      z = jnp.asarray(reference.to_ours(case.arrays["z"]), np.float64)
      y = z
      for i in range(3):
        y = module.apply({"params": params[f"node_{i}"]}, y)
      end = "out_f64_orthogonal" if is_turned else "out_f64"
      want = reference.to_ours(case.arrays[end])
      np.testing.assert_allclose(y, want, rtol=0, atol=1e-12)
      for i in reversed(range(3)):
        y = module.apply({"params": params[f"node_{i}"]}, y, method="inverse")
      checks = case.meta["inverse_check_float64"].values()
      worst = list(checks)[is_turned]["roundtrip_maxabs"]
      assert float(jnp.abs(y - z).max()) <= 10 * worst


def test_decoder_is_the_published_one():
  case = reference.case("cddfuse", "decoder_small")
  encoder = reference.weights("cddfuse", "encoder_small")
  imported = interop.from_tensors({**encoder, **case.tensors})
  module = models.build(imported.name, **imported.kwargs)
  base, detail, x = (
    reference.to_ours(case.arrays[n]) for n in ("base", "detail", "x")
  )
  for residual, key in ((True, "out"), (False, "out_noresidual")):
    got = module.clone(residual=residual).apply(
      imported.variables, base, detail, x, method="decode"
    )
    want = reference.to_ours(case.arrays[key])
    reference.assert_close(got, want, reference.tolerance(case, want))


def test_published_sizes():
  from hinote_jax.interop import checkpoints

  counts = json.loads(
    (reference.ROOT / "cddfuse" / "param_counts.json").read_text()
  )
  for channels in (1, 3):
    shapes = checkpoints.parameter_shapes("inn", dict(channels=channels))
    for part in ("encoder", "decoder"):
      sizes = [np.prod(s) for n, s in shapes.items() if n.startswith(part)]
      assert sum(map(int, sizes)) == counts[f"{part}_{channels}ch"]


def _ours(arrays, key):
  return jnp.asarray(reference.to_ours(arrays[key]))


@pytest.mark.parametrize("kind", ["mixed", "anti", "same"])
def test_correlation_is_the_published_one(kind):
  arrays = reference.arrays("cddfuse", "cc")
  x, y = _ours(arrays, "x"), _ours(arrays, f"{kind}:y")

  def value(x, y):
    return structure.correlation(x, y).mean()

  got, gradients = jax.value_and_grad(value, argnums=(0, 1))(x, y)
  np.testing.assert_allclose(got, arrays[f"{kind}:cc_f64"], rtol=2e-6)
  for name, gradient in zip("xy", gradients, strict=True):
    want = reference.to_ours(arrays[f"{kind}:grad_{name}"])
    np.testing.assert_allclose(gradient, want, atol=2e-8)
  # Where the release has no gradient: a channel that does not vary.
  still = jnp.zeros_like(x).at[..., 1:].set(x[..., 1:])
  gradient = jax.grad(value)(still, y)
  assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("kind", ["near", "inverted", "other"])
def test_similarity_and_slopes_are_the_published_ones(kind):
  arrays = reference.arrays("cddfuse", "ssim_sobel")
  x, y = _ours(arrays, "x"), _ours(arrays, f"{kind}:y")

  def similarity(y):
    each = structure.dissimilarity(x, y)
    return each.mean(), each

  def slopes(y):
    error = structure.gradients(x) - structure.gradients(y)
    return (error * jnp.sign(error)).mean()

  (value, each), gradient = jax.value_and_grad(similarity, has_aux=True)(y)
  np.testing.assert_allclose(value, arrays[f"{kind}:ssim11_f64"], atol=5e-7)
  want = reference.to_ours(arrays[f"{kind}:ssim11_map"])
  np.testing.assert_allclose(each, want, atol=5e-5)
  want = reference.to_ours(arrays[f"{kind}:ssim11_grad_y"])
  np.testing.assert_allclose(gradient, want, atol=5e-8)
  value, gradient = jax.value_and_grad(slopes)(y)
  np.testing.assert_allclose(value, arrays[f"{kind}:sobel_l1"], rtol=2e-6)
  want = reference.to_ours(arrays[f"{kind}:sobel_l1_grad_y"])
  # The sign of an error that is rounding is anybody's.
  assert np.isclose(gradient, want, atol=1e-8).mean() > 0.99
  want = arrays["spatial_gradient"].transpose(0, 2, 3, 4, 1)
  np.testing.assert_allclose(structure.gradients(x), want, atol=1e-6)


def test_fusion_is_the_published_one():
  arrays = reference.arrays("cddfuse", "fusionloss")
  fields = [_ours(arrays, name) for name in ("vis", "ir", "fused")]

  def value(fused):
    near, steep = structure.fusion(*fields[:2], fused)
    return near + 10.0 * steep, (near, steep)

  (total, parts), gradient = jax.value_and_grad(value, has_aux=True)(fields[2])
  np.testing.assert_allclose(total, arrays["total"], rtol=2e-6)
  np.testing.assert_allclose(parts[0], arrays["loss_in"], rtol=2e-6)
  np.testing.assert_allclose(parts[1], arrays["loss_grad"], rtol=2e-6)
  want = reference.to_ours(arrays["grad_fused"])
  np.testing.assert_allclose(gradient, want, atol=1e-6)


@pytest.mark.trial
def test_first_stage_has_the_published_terms_and_gradients():
  case = reference.arrays("cddfuse", "stage1_step")
  tensors = {
    n: t
    for part in ("encoder", "decoder")
    for n, t in reference.weights("cddfuse", f"stage1_{part}").items()
  }
  imported = interop.from_tensors(tensors)
  module = models.build(imported.name, **imported.kwargs)
  fields = [_ours(case, name) for name in ("vis", "ir")]

  @jax.jit
  @jax.grad
  def gradient(params):
    return _first_stage(module, params, fields)[0]

  params = imported.variables["params"]
  loss, terms, answers = jax.jit(
    lambda params: _first_stage(module, params, fields)
  )(params)
  for name, value in {**terms, "loss": loss}.items():
    np.testing.assert_allclose(value, case[f"term_f64:{name}"], rtol=2e-5)
  for answer, name in zip(answers, ("vis_hat", "ir_hat"), strict=True):
    want = reference.to_ours(case[name])
    reference.assert_close(answer, want, 2e-5 * float(want.std()))
  flat = interop.to_tensors(
    "inn", imported.kwargs, {"params": gradient(params)}
  )
  for key, want in case.items():
    if key.startswith("grad:"):
      got = flat[key.partition(":")[2].partition(".")[2]]
      np.testing.assert_allclose(got, want, atol=5e-5 * np.abs(want).max())


def _first_stage(module, params, fields):
  """Returns CDDFuse's first loss of two fields, its terms, the answers."""
  features, answers, mses = [], [], []
  for field in fields:
    found = module.apply({"params": params}, field, method="features")
    last = found.base, found.details[-1]
    answer = module.apply({"params": params}, *last, field, method="decode")
    similarity = structure.dissimilarity(field, answer).mean()
    mses.append(jnp.square(answer - field).mean() + 5.0 * similarity)
    features.append(last)
    answers.append(answer)
  slopes = structure.gradients(fields[0]) - structure.gradients(answers[0])
  cc_base, cc_detail = (
    structure.correlation(features[0][i], features[1][i]).mean() for i in (0, 1)
  )
  terms = dict(cc_B=cc_base, cc_D=cc_detail, mse_V=mses[0], mse_I=mses[1])
  terms["gradient"] = jnp.abs(slopes).mean()
  terms["decomp"] = cc_detail**2 / (1.01 + cc_base)
  loss = mses[0] + mses[1] + 2.0 * terms["decomp"] + 5.0 * terms["gradient"]
  return loss, terms, answers
