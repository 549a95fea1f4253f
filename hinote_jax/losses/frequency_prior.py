"""The frequency-aware loss prior (paper, section 3.6; abstract).

    e_s = |b - R(a)|      what lies beyond the input's band: structure prior
    e_d = |b - b_hat|     where the model is wrong now: dynamic prior
    w(e) = gamma exp(alpha minmax(e))
    loss = w_s w_d |b - b_hat|

R is spectral resizing of the input to the query points. No gradient flows
through the weights into the model.
"""

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax.core import grids, naming, resize, spectral
from hinote_jax.core.typing import Array
from hinote_jax.losses import pixel

Field = Float[Array, "b H W c"]
RESIZES = ("spectral", "bicubic")
LEARNED = ("alpha_s", "alpha_d")
INITIAL = dict(alpha_s=1.0, gamma_s=0.5, alpha_d=1.0, gamma_d=1.0)


def _log_initial(key, shape, value):
  del key  # the same for every seed
  return jnp.full(shape, jnp.log(value), jnp.float32)


def minmax(error: Field, epsilon: float = 1e-6) -> Field:
  """Scales each image and channel to [0, 1]; a constant error gives zeros.

  Args:
    error: at least 0, [b H W c].
    epsilon: range below which an error map counts as constant, in its units.

  Examples:
    >>> minmax(jnp.array([1.0, 2.0, 5.0]).reshape(1, 3, 1, 1)).ravel().tolist()
    [0.0, 0.25, 1.0]
  """
  low = error.min(axis=(1, 2), keepdims=True)
  high = error.max(axis=(1, 2), keepdims=True)
  return (error - low) / jnp.maximum(high - low, epsilon)


class FrequencyPrior(nn.Module):
  """Pixel error weighted by the structure prior and by the current error.

  Attributes:
    static: use the structure prior w_s.
    dynamic: use the learnable prior w_d.
    resize: how R takes the input to the query points, "spectral" or
      "bicubic".
    learned: train alpha_s and alpha_d (their logarithms). The mean weight of
      each image is then held at 1, so that learning cannot shrink the loss;
      the gammas cancel and are not parameters.
    power: exponent of the pixel error; 1 in the paper, 2 for squared error.
    periodic: which of (y, x) of the input window close on themselves.

  Examples:
    >>> from hinote_jax import losses
    >>> losses.build("frequency_prior", dynamic=False).value("gamma_s")
    0.5
  """

  static: bool = True
  dynamic: bool = True
  resize: str = "spectral"
  learned: bool = False
  power: float = 1.0
  periodic: tuple[bool, bool] = (False, False)

  def setup(self):
    naming.look_up("resize", self.resize, dict.fromkeys(RESIZES))
    if self.learned:
      self.log_values = {
        name: self.param(f"log_{name}", _log_initial, (), INITIAL[name])
        for name in LEARNED
      }

  def value(self, name: str):
    """Returns alpha_s, gamma_s, alpha_d or gamma_d."""
    if self.learned and name in LEARNED:
      return jnp.exp(self.log_values[name])
    return INITIAL[name]

  def resized(
    self, lowres: Float[Array, "b h w c"], coords: grids.Coords
  ) -> Field:
    """Returns R(a) at the query points."""
    if self.resize == "spectral":
      return spectral.sample(lowres, coords, periodic=self.periodic)
    rules = resize.boundaries(self.periodic, "edge")
    return resize.sample(lowres, coords, method="cubic", boundary=rules)

  def weights(
    self,
    pred: Field,
    highres: Field,
    lowres: Float[Array, "b h w c"],
    coords: grids.Coords,
  ) -> Field:
    """Returns w_s w_d at the query points, without gradient to `pred`."""
    weight = jnp.ones_like(highres)
    if self.static:
      error = minmax(jnp.abs(highres - self.resized(lowres, coords)))
      weight *= self.value("gamma_s") * jnp.exp(self.value("alpha_s") * error)
    if self.dynamic:
      error = minmax(jax.lax.stop_gradient(jnp.abs(highres - pred)))
      weight *= self.value("gamma_d") * jnp.exp(self.value("alpha_d") * error)
    if self.learned:
      weight /= weight.mean(axis=(1, 2), keepdims=True)
    return weight

  def __call__(self, pred: Field, highres: Field, lowres, coords) -> Field:
    chex.assert_equal_shape([pred, highres])
    error = pixel.magnitude(pred - highres)
    return self.weights(pred, highres, lowres, coords) * error**self.power
