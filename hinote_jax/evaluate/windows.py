"""Validation while training: the same held-out windows every time."""

from collections.abc import Mapping
import functools
import math
from typing import Any

from flax import linen as nn
import numpy as np

from hinote_jax import models
from hinote_jax.core import compiling
from hinote_jax.data import batches
from hinote_jax.metrics import image
from hinote_jax.models.spec import Spec
from hinote_jax.train import checkpoint, contract

_EXACT = 1e-9  # error of normalised values that is rounding


class Validator:
  """Scores a model's variables on the same held-out windows every time."""

  def __init__(
    self,
    module: nn.Module,
    windows: batches.Windows,
    examples: int,
    *,
    spec: Spec = contract.PLAIN,
  ):
    size = math.gcd(examples, 8)
    self._batches = windows.fixed(examples, batch_size=size)
    self._predict = _compiled(module, spec)
    bicubic = _compiled(models.build("bicubic"), contract.PLAIN)
    self._bicubic = self._errors(bicubic, {})
    # Where a field is given back, interpolations have no error.
    is_exact = self._bicubic < _EXACT
    self._reference = np.where(is_exact, 1.0, self._bicubic)

  def _errors(self, predict, variables) -> np.ndarray:
    """Returns the mean squared error of each channel over the windows, [c]."""
    errors = [
      image.mse(
        contract.scored(predict(variables, batch), batch), batch["highres"]
      )
      for batch in self._batches
    ]
    return np.mean(np.concatenate(errors), axis=0)

  def __call__(self, variables: Mapping[str, Any]) -> dict[str, float]:
    """Returns the error as a fraction of bicubic's, and both errors.

    The fraction is taken per variable and then averaged, so that no variable
    outweighs the others. Where bicubic has none, at scale 1, it is one of the
    variance, which is 1.
    """
    mse = self._errors(self._predict, variables)
    return {
      checkpoint.BEST_KEY: float(np.mean(mse / self._reference)),
      "validation/mse": float(mse.mean()),
      "validation/bicubic_mse": float(self._bicubic.mean()),
    }


def _compiled(module, spec):
  return compiling.jit(functools.partial(contract.apply, module, spec=spec))
