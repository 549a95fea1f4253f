"""How a model is called on a batch; the one place that knows.

    module.apply(variables, lowres, coords, cell, **extras)

`variables` holds "params", which are trained, and perhaps collections that
nothing trains: tables, frozen features. The extras are those that the model's
spec declares, taken from the batch by name.

In training a model draws from the random streams of its spec, `Spec.rngs`.
Every example has its own key, a function of (seed, step, row of the batch of
all devices together): no number depends on how many devices there are, and a
run that resumes draws what it would have drawn. Elsewhere there are no streams,
by which a layer knows that it is not trained:

    nn.Dropout(0.1, deterministic=not self.has_rng("dropout"))
"""

from collections.abc import Mapping
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from hinote_jax.models.spec import Spec

PLAIN = Spec("plain", "")  # of a model that takes and draws nothing more
ROW = "row"  # of a batch: which of its examples these are, [b]


def inputs(
  batch: Mapping[str, Any], spec: Spec = PLAIN
) -> tuple[tuple[Any, ...], dict[str, Any]]:
  """Returns what a model takes from a batch, by position and by name.

  Raises:
    ValueError: the batch lacks what the spec declares.
  """
  missing = [name for name in spec.extras if name not in batch]
  if missing:
    raise ValueError(
      f"{spec.name} takes {', '.join(missing)} beside the field and the data "
      f"have {', '.join(batch)}"
    )
  names = (*spec.extras, *(n for n in spec.optional if n in batch))
  extras = {name: batch[name] for name in names}
  return (batch["lowres"], batch["coords"], batch["cell"]), extras


def init(
  module: nn.Module,
  key: jax.Array,
  batch: Mapping[str, Any],
  spec: Spec = PLAIN,
) -> dict[str, Any]:
  """Returns fresh variables of a model, all of its collections."""
  args, extras = inputs(batch, spec)
  return dict(jax.jit(module.init)(key, *args, **extras))


def apply(
  module: nn.Module,
  variables: Mapping[str, Any],
  batch: Mapping[str, Any],
  spec: Spec = PLAIN,
  *,
  key: jax.Array | None = None,
) -> jax.Array:
  """Returns the prediction for a batch, [b H W c].

  Args:
    module: any model of the zoo.
    variables: its own.
    batch: as `data.batches.Windows` makes it; with a key also "row", [b].
    spec: of the model.
    key: of a training step; None: nothing random is drawn.
  """
  args, extras = inputs(batch, spec)
  if key is None or not spec.rngs:
    return module.apply(variables, *args, **extras)  # pyright: ignore[reportReturnType]

  def one(row, args, extras):
    own = jax.random.fold_in(key, row)
    rngs = {n: jax.random.fold_in(own, i) for i, n in enumerate(spec.rngs)}
    args, extras = jax.tree.map(lambda leaf: leaf[None], (args, extras))
    return module.apply(variables, *args, rngs=rngs, **extras)[0]

  return jax.vmap(one)(batch[ROW], args, extras)


def own_loss(
  module: nn.Module,
  variables: Mapping[str, Any],
  batch: Mapping[str, Any],
  spec: Spec = PLAIN,
) -> jax.Array | float:
  """Returns the mean of what a model adds to its loss; 0 where it has none.

  A model may have a method own_loss(lowres, coords, cell, highres, **extras)
  that says it of each element, [b H W c]; what it is wrapped in passes it on.
  """
  plain: Any = module
  while hasattr(plain, "plain"):
    plain = plain.plain
  if not hasattr(plain, "own_loss"):
    return 0.0
  args, extras = inputs(batch, spec)
  given = *args, batch["highres"]
  each = module.apply(variables, *given, method="own_loss", **extras)
  known = batch.get("known")
  return jnp.mean(each if known is None else each * known)  # pyright: ignore


def scored(pred: jax.Array, batch: Mapping[str, Any]) -> jax.Array:
  """Returns a prediction that is the target where nothing is known of that.

  Any loss and its gradient are 0 there; the mean is over all points, so that
  it does not depend on how a batch is divided among devices.

  Args:
    pred: [b H W c].
    batch: with "known", [b H W c], 0 where the target was missing; as it is
      where it has none.

  Raises:
    ValueError: the prediction has another shape than the target.
  """
  if pred.shape != batch["highres"].shape:
    raise ValueError(
      f"the model answers with [b H W c] = {pred.shape} and the target has "
      f"{batch['highres'].shape}: it must answer at every point, in as many "
      "channels as the field has"
    )
  if "known" not in batch:
    return pred
  return jnp.where(batch["known"] > 0, pred, batch["highres"])
