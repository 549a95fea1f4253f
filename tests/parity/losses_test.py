"""The published losses against their recorded values and gradients."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import losses
from hinote_jax.losses import contrast
from tests import trials
from tests.parity import reference

pytestmark = reference.needs_reference
_FIELDS = {
  "ffl": ("focal_frequency", "pred", "target"),
  "focal": ("published_prior", "x", "hr"),
  "getloss": (None, "pred", "target"),
}
_SUMS = {"L1Loss": "published_l1", "MSELoss": "published_l2"}


def _arrays(name):
  with np.load(reference.ROOT / f"losses/{name}.io.npz") as file:
    return {key: file[key] for key in file.files}


def _meta(name):
  return json.loads((reference.ROOT / f"losses/{name}.meta.json").read_text())


@pytest.mark.parametrize(
  "name",
  [n for n in reference.cases("losses") if n.split("_")[0] in _FIELDS],
)
def test_value_and_gradient_are_the_published_ones(name):
  arrays = _arrays(name)
  kind, *fields = _FIELDS[name.split("_")[0]]
  pred, highres = (jnp.asarray(reference.to_ours(arrays[f])) for f in fields)
  config = _meta(name).get("config", {})
  loss = losses.build(kind or _SUMS[name.split("_")[1]], **config)
  lowres, options = None, {}
  if "lr" in arrays:
    lowres = jnp.asarray(reference.to_ours(arrays["lr"]))
  if "matrix" in arrays:  # [b p c h w], of one patch here
    options["matrix"] = reference.to_ours(arrays["matrix"][:, 0])

  @jax.value_and_grad
  def value_and_grad(pred):
    return loss.apply({}, pred, highres, lowres, None, **options).mean()

  value, gradient = value_and_grad(pred)
  np.testing.assert_allclose(value, arrays["loss_f64"], rtol=2e-6)
  want = reference.to_ours(arrays["grad"])
  reference.assert_close(gradient, want, 2e-6 * np.abs(want).max())


def test_equal_fields_cost_nothing():
  field = jnp.asarray(reference.to_ours(_arrays("degenerate")["p"]))
  loss = losses.build("focal_frequency")

  def value(pred):
    return loss.apply({}, pred, field, None, None).mean()

  assert _meta("degenerate")["ffl_equal"] == 0.0
  assert value(field) == 0.0
  np.testing.assert_array_equal(jax.grad(value)(field), 0.0)


def test_constant_field_is_a_number_where_the_release_has_none():
  assert _meta("degenerate")["focal_pixel_constant_field"] == "nan"
  loss = losses.build("published_prior")
  lowres, highres = jnp.ones((1, 2, 2, 1)), jnp.ones((1, 8, 8, 1))
  value, gradient = jax.value_and_grad(
    lambda pred: loss.apply({}, pred, highres, lowres, None).mean()
  )(highres)
  # Nothing is missed and 1 is predicted: |0 - 1| times 0.5 times 1.
  np.testing.assert_allclose(value, 0.5, rtol=1e-6)
  np.testing.assert_allclose(gradient, 0.5 / 64, rtol=1e-6)


def _assert(got, want, error):
  most = max(2e-5 * float(np.std(want)), 10.0 * float(error))
  reference.assert_close(got, want, most)


def test_transport_plan_is_the_published_one():
  arrays, errors = _arrays("sinkhorn"), _meta("sinkhorn")["errors"]
  for name, (iterations, error) in errors.items():
    kernel, cotangent = (
      jnp.asarray(arrays[f"{name}:{k}"]) for k in ("K", "cot")
    )

    @jax.jit
    def run(kernel, cotangent=cotangent, iterations=iterations):
      def value(kernel):
        plan = contrast.sinkhorn(kernel, iterations)
        return (plan * cotangent).sum(), plan

      return jax.grad(value, has_aux=True)(kernel)

    gradient, plan = run(kernel)
    _assert(plan, arrays[f"{name}:out"], error)
    want = arrays[f"{name}:grad_K"]
    reference.assert_close(gradient, want, 2e-5 * np.abs(want).max())


@pytest.mark.parametrize(
  "name",
  trials.apart_from(
    {"hard_all", "easy_eps03"}.__contains__,
    ["hard", "easy", "hard_all", "hard_np128", "easy_eps03"],
  ),
)
def test_patch_contrast_is_the_published_one(name):
  arrays, meta = _arrays("monce"), _meta("monce")
  config, errors = meta["cases"][name], meta["errors"][name]
  groups = 1 if config["nce_includes_all_negatives_from_minibatch"] else 2
  q, k = (jnp.asarray(arrays[n]).reshape(groups, -1, 8) for n in "qk")
  plan = dict(epsilon=config["eps"], cost=config["cost_type"])

  def run(q):
    loss = contrast.monce(
      q,
      k,
      temperature=config["nce_T"],
      negatives=config["neg_term_weight"],
      count=config["num_patches"],
      **plan,
    )
    return loss.mean(), loss

  gradient, loss = jax.jit(jax.grad(run, has_aux=True))(q)
  likeness = jnp.einsum("bic,bjc->bij", q, k, precision="highest")
  got = contrast.weights(likeness, **plan)
  _assert(got, arrays[f"{name}:weights"], errors[2])
  _assert(loss.ravel(), arrays[f"{name}:loss"], errors[0])
  _assert(gradient.reshape(-1, 8), arrays[f"{name}:grad_q"], errors[1])
