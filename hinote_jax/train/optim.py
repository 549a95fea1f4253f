"""The optimiser: AdamW, warm-up and cosine, clipping, and EMA of weights."""

from collections.abc import Sequence
import re
from typing import Any

import jax
import jax.numpy as jnp
import optax


def schedule(
  *, learning_rate: float, steps: int, warmup: int, final: float
) -> optax.Schedule:
  """Returns linear warm-up, then a cosine to `final` of the peak.

  The first step has the peak over (warmup + 1), not 0: no step is wasted.

  Args:
    learning_rate: the peak.
    steps: length of the run.
    warmup: steps until the peak; held below `steps`.
    final: last learning rate as a fraction of the peak.
  """
  warmup = min(warmup, max(steps - 1, 0))
  return optax.warmup_cosine_decay_schedule(
    init_value=learning_rate / (warmup + 1),
    peak_value=learning_rate,
    warmup_steps=warmup,
    decay_steps=max(steps, warmup + 1),
    end_value=learning_rate * final,
  )


# What is no product though it has axes: of heads, windows, tokens, tables.
_NO_KERNEL = re.compile(
  "scales?|(.*_)?bias|bias_table|positions|cls|mask|register|table_.*"
)


def _is_kernel(params):
  """Weight decay is for products, not for biases, scales and tables."""

  def of(path, leaf):
    name = jax.tree_util.keystr(path[-1:], simple=True)
    return leaf.ndim > 1 and not _NO_KERNEL.fullmatch(name)

  return jax.tree_util.tree_map_with_path(of, params)


def build(
  *,
  learning_rate: float,
  steps: int,
  warmup: int = 100,
  final: float = 0.01,
  weight_decay: float = 0.0,
  clip: float = 1.0,
  b2: float = 0.99,
  frozen: Sequence[str] = (),
) -> tuple[optax.GradientTransformation, optax.Schedule]:
  """Returns the optimiser and its learning rate as a function of the step.

  Args:
    learning_rate: peak of the schedule.
    steps: length of the run.
    warmup: steps until the peak.
    final: last learning rate as a fraction of the peak.
    weight_decay: of kernels only.
    clip: largest global norm of the gradient.
    b2: Adam's second decay.
    frozen: regular expressions; parameters in whose path, such as
      "model/encoder/trunk/head/kernel", one of them is found stay as they are.
  """
  # Whole numbers may be too large for an array, where others are not.
  peak, decay, clip = map(float, (learning_rate, weight_decay, clip))
  rate = schedule(learning_rate=peak, steps=steps, warmup=warmup, final=final)
  transform = optax.chain(
    optax.clip_by_global_norm(clip),
    optax.adamw(rate, b2=b2, weight_decay=decay, mask=_is_kernel),
  )
  if frozen:
    transform = optax.partition(
      {"trained": transform, "frozen": optax.set_to_zero()},
      lambda params: _labels(params, frozen),
    )
  return transform, rate


def _labels(params: Any, patterns: Sequence[str]) -> Any:
  """Returns of each parameter whether it is "trained" or "frozen", a tree.

  Raises:
    ValueError: a pattern is found in no path, or all are frozen.
  """
  leaves, structure = jax.tree_util.tree_flatten_with_path(params)
  paths = [
    jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves
  ]
  for pattern in patterns:
    if not any(re.search(pattern, path) for path in paths):
      raise ValueError(
        f"config.optim.frozen: {pattern!r} is found in no parameter; there are "
        f"{', '.join(paths)}"
      )
  every = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
  labels = ["frozen" if every.search(path) else "trained" for path in paths]
  if "trained" not in labels:
    raise ValueError(f"config.optim.frozen: {patterns} leave nothing to train")
  return jax.tree.unflatten(structure, labels)


def ema(average, params, *, decay: float, step):
  """Moves the average of the weights; its memory grows with the step.

  The decay starts at 1/10 and rises as (1 + t) / (10 + t) to `decay`, so that
  the first weights are forgotten in short runs too.
  """
  t = jnp.asarray(step, jnp.float32)
  now = jnp.minimum(decay, (1.0 + t) / (10.0 + t))
  return optax.incremental_update(params, average, 1.0 - now)
