"""The focal frequency loss (Jiang et al., ICCV 2021).

    d(u, v) = |F(pred)(u, v) - F(highres)(u, v)|^2        (eq. 5)
    w(u, v) = |F(pred)(u, v) - F(highres)(u, v)|^alpha    (eq. 7)
    loss    = mean of w d                                 (eq. 8)

w is scaled to a maximum of 1 and held fixed in the gradient; F is the
orthonormal 2-D transform, of each patch where there are patches.
"""

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Complex, Float

from hinote_jax.core.typing import Array

Field = Float[Array, "b H W c"]


def spectra(
  field: Field, patch_factor: int = 1
) -> Complex[Array, "b p m q n c"]:
  """Returns the orthonormal spectra of p x q patches, p = q = `patch_factor`.

  Raises:
    ValueError: the sides do not divide by `patch_factor`.

  Examples:
    >>> spectra(jnp.ones((1, 2, 2, 1)))[0, 0, :, 0, :, 0].real.tolist()
    [[2.0, 0.0], [0.0, 0.0]]
  """
  b, height, width, c = field.shape
  if patch_factor < 1 or height % patch_factor or width % patch_factor:
    raise ValueError(
      f"patch_factor {patch_factor} does not divide a field of {height} x "
      f"{width}; take one that divides both"
    )
  sides = height // patch_factor, width // patch_factor
  shape = (b, patch_factor, sides[0], patch_factor, sides[1], c)
  field = field.astype(jnp.float32).reshape(shape)
  return jnp.fft.fft2(field, axes=(2, 4), norm="ortho")


def focal_weight(
  distance: Float[Array, "b p m q n c"],
  *,
  alpha: float | int = 1.0,
  log_matrix: bool = False,
  batch_matrix: bool = False,
) -> Float[Array, "b p m q n c"]:
  """Returns w of the squared distance of two spectra; no gradient passes.

  Args:
    distance: squared, at least 0.
    alpha: exponent of the distance.
    log_matrix: take log(1 + w) before scaling.
    batch_matrix: scale by the maximum of all, not of each patch and channel.

  Returns:
    in [0, 1]; zeros where two spectra are equal.

  Examples:
    >>> distance = jnp.array([0.0, 1.0, 4.0]).reshape(1, 1, 3, 1, 1, 1)
    >>> focal_weight(distance).ravel().tolist()
    [0.0, 0.5, 1.0]
  """
  weight = jnp.sqrt(jax.lax.stop_gradient(distance)) ** alpha
  weight = jnp.log1p(weight) if log_matrix else weight
  axes = None if batch_matrix else (2, 4)
  largest = weight.max(axis=axes, keepdims=True)
  return jnp.where(
    largest > 0.0, weight / jnp.where(largest > 0.0, largest, 1.0), 0.0
  )


class FocalFrequency(nn.Module):
  """w d of every frequency, laid out as the pixels of its patch.

  Attributes:
    loss_weight: factor of the whole.
    alpha: exponent of w; 1 in the paper.
    patch_factor: patches along each axis; the sides must divide by it.
    ave_spectrum: compare the mean spectra of the batch.
    log_matrix: see `focal_weight`.
    batch_matrix: see `focal_weight`.

  Examples:
    >>> one = jnp.ones((1, 2, 2, 1))
    >>> float(FocalFrequency().apply({}, 2 * one, one, None, None).sum())
    4.0
  """

  loss_weight: float | int = 1.0
  alpha: float | int = 1.0
  patch_factor: int = 1
  ave_spectrum: bool = False
  log_matrix: bool = False
  batch_matrix: bool = False

  @property
  def is_of_batch(self) -> bool:
    """Whether examples are compared with each other."""
    return self.ave_spectrum or self.batch_matrix

  @nn.compact
  def __call__(
    self,
    pred: Field,
    highres: Field,
    lowres,
    coords,
    matrix: Field | None = None,
  ) -> Field:
    """Returns the loss of every frequency, [b H W c].

    Args:
      pred: prediction on a window of neighbours.
      highres: what it should be.
      lowres: not used.
      coords: not used.
      matrix: w, laid out as the result, in place of the distance's own.

    Raises:
      ValueError: the sides do not divide by `patch_factor`.
    """
    del lowres, coords
    chex.assert_equal_shape([pred, highres])
    # The transform is linear: one of the difference, not two.
    error = pred - highres
    if self.ave_spectrum:
      error = error.mean(axis=0, keepdims=True)
    difference = jnp.asarray(spectra(error, self.patch_factor))
    distance = jnp.square(difference.real) + jnp.square(difference.imag)
    if matrix is None:
      weight = focal_weight(
        distance,
        alpha=self.alpha,
        log_matrix=self.log_matrix,
        batch_matrix=self.batch_matrix,
      )
    else:
      weight = jax.lax.stop_gradient(matrix).reshape(-1, *distance.shape[1:])
    each = self.loss_weight * weight * distance
    return jnp.broadcast_to(each.reshape(-1, *pred.shape[1:]), pred.shape)
