"""Validation while training: the same held-out windows every time."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax import models
from hinote_jax.data import batches
from hinote_jax.train import checkpoint


class Validator:
  """Scores the averaged weights on the same held-out windows every time."""

  def __init__(self, module, windows: batches.Windows, examples: int):
    size = math.gcd(examples, 8)
    self._batches = windows.fixed(examples, batch_size=size)
    self._error = jax.jit(_window_error, static_argnums=0)
    self._module = module
    self._bicubic = self._mean(models.build("bicubic"), {})

  def _mean(self, module, params) -> np.ndarray:
    errors = [self._error(module, params, batch) for batch in self._batches]
    return np.mean(np.asarray(errors, np.float64), axis=0)

  def __call__(self, params) -> dict[str, float]:
    """Returns the error as a fraction of bicubic's, and both errors.

    The fraction is taken per variable and then averaged, so that no variable
    outweighs the others.
    """
    mse = self._mean(self._module, params)
    return {
      checkpoint.BEST_KEY: float(np.mean(mse / self._bicubic)),
      "validation/mse": float(mse.mean()),
      "validation/bicubic_mse": float(self._bicubic.mean()),
    }


def _window_error(module, params, batch) -> jax.Array:
  """Returns the mean squared error of each channel over a batch, [c]."""
  pred = module.apply(
    {"params": params}, batch["lowres"], batch["coords"], batch["cell"]
  )
  return jnp.mean(jnp.square(pred - batch["highres"]), axis=(0, 1, 2))
