"""Linear equations that are solved without their matrix."""

from collections.abc import Callable

from jaxtyping import Bool, Float
import numpy as np


def conjugate_residuals(
  apply: Callable[[np.ndarray], np.ndarray],
  precondition: Callable[[np.ndarray], np.ndarray],
  target: Float[np.ndarray, "*n c"],
  is_met: Callable[[np.ndarray, np.ndarray], np.ndarray],
  *,
  steps: int,
) -> tuple[Float[np.ndarray, "*n c"], Bool[np.ndarray, " c"]]:
  """Solves apply(x) = target for all channels at once.

  Conjugate gradients in the form that brings the residual down at every step
  (Stiefel 1955), so that stopping early is safe.

  Args:
    apply: a symmetric positive operator on [*n c], alike for each channel.
    precondition: an approximate inverse, symmetric and positive.
    target: right-hand sides, one a channel.
    is_met: says of residual and preconditioned residual which channels are
      solved, [c]; they are left as they are from then on.
    steps: the most there may be.

  Returns:
    x and which channels are solved.
  """
  x, residual = np.zeros_like(target), target
  direction = guess = precondition(residual)
  image = seen = apply(guess)
  power = _inner(guess, seen)
  met = is_met(residual, guess)
  for _ in range(steps):
    if met.all():
      break
    back = precondition(image)
    length = np.where(met, 0.0, _ratio(power, _inner(image, back)))
    x = x + length * direction
    residual = residual - length * image
    guess = guess - length * back
    seen, before = apply(guess), power
    power = _inner(guess, seen)
    turn = _ratio(power, before)
    direction, image = guess + turn * direction, seen + turn * image
    met = met | is_met(residual, guess)
  return x, met


def _inner(a, b):
  return np.einsum("nc,nc->c", *(v.reshape(-1, v.shape[-1]) for v in (a, b)))


def _ratio(a, b):
  return np.divide(a, b, out=np.zeros_like(a), where=b > 0.0)
