"""Steps of training of the released HiNOTE network, with its losses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hinote_jax import interop, losses, models
from tests import trials
from tests.parity import reference

pytestmark = reference.needs_reference
_LOSSES = {
  "L1Loss": "published_l1",
  "FPLoss": "published_prior",
  "FocalLoss": "focal_frequency",
}


def _has_no_gradient(name, case):
  """Whether the answer does not depend on a tensor: its gradient is noise."""
  is_turned = case.meta["config"]["fourier_up"] in ("Area", "Periodic")
  return is_turned and name.endswith("pha_fuse.2.bias")


def _run(case):
  """Returns the losses before 4 steps, the first gradient, 3 steps' weights."""
  imported = interop.from_tensors(case.tensors, **case.meta["config"])
  module = models.build(imported.name, **imported.kwargs)
  loss = losses.build(_LOSSES[case.meta["loss"]])
  lowres, coords, cell = map(jnp.asarray, reference.inputs(case))
  highres = jnp.asarray(reference.to_ours(case.arrays["hr"]))
  transform = optax.adamw(1e-3, weight_decay=1e-5)

  def objective(params, lowres, coords, cell, highres):
    pred = module.apply({"params": params}, lowres, coords, cell)
    return loss.apply({}, pred, highres, lowres, coords).mean()

  @jax.jit
  def step(params, state, *batch):
    value, gradient = jax.value_and_grad(objective)(params, *batch)
    updates, state = transform.update(gradient, state, params)
    return optax.apply_updates(params, updates), state, value, gradient

  params = imported.variables["params"]
  state = transform.init(params)
  history = []
  for _ in range(4):
    before = params
    params, state, value, gradient = step(
      params, state, lowres, coords, cell, highres
    )
    history.append((float(value), gradient))
  first, third = (
    interop.to_tensors(imported.name, imported.kwargs, {"params": tree})
    for tree in (history[0][1], before)
  )
  return [value for value, _ in history], first, third


@pytest.mark.parametrize(
  "name",
  trials.apart_from(
    lambda name: name == "Corner_cat_L1_FocalLoss",
    reference.cases("hinote_train"),
  ),
)
def test_training_is_the_released_one(name):
  with np.load(reference.ROOT / f"hinote_train/{name}.io.npz") as file:
    recorded = set(file.files)
  case = reference.case("hinote_train", name)
  values, gradient, weights = _run(case)
  np.testing.assert_allclose(values, case.arrays["losses"], rtol=1e-4)
  own = case.meta["grad_rel_err_f32_vs_f64"]
  compared = 0
  for tensor, before in case.tensors.items():
    if f"grad:{tensor}" not in recorded or _has_no_gradient(tensor, case):
      continue
    want = case.arrays[f"grad:{tensor}"]
    error = np.linalg.norm(gradient[tensor] - want) / np.linalg.norm(want)
    # Or ten times what the release's own float32 is off.
    assert error <= max(1e-4, 10.0 * own[tensor]), (tensor, error)
    after = case.arrays[f"w3:{tensor}"]
    moved = np.linalg.norm(after - before)
    off = np.linalg.norm(weights[tensor] - after)
    # A step of Adam is as long for a gradient near 0, where rounding tells.
    assert off <= 0.02 * moved, (tensor, off / moved)
    compared += 1
  assert compared > 20
