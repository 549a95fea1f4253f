"""Embeddings compared as distributions: the DINOv2 term of MGHF, version 1."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax.core.typing import Array
from hinote_jax.losses import mghf

Field = Float[Array, "b H W c"]


def jensen_shannon(
  x: Float[Array, "*b c"], y: Float[Array, "*b c"]
) -> Float[Array, "*b"]:
  """Returns the divergence of softmax(x) and softmax(y), 0 to log 2.

  Examples:
    >>> far = jnp.array([100.0, 0.0])
    >>> f"{jensen_shannon(far, far[::-1]):.4f}"
    '0.6931'
  """
  p, q = jax.nn.log_softmax(x), jax.nn.log_softmax(y)
  middle = jnp.logaddexp(p, q) - jnp.log(2.0)
  halves = jnp.exp(p) * (p - middle) + jnp.exp(q) * (q - middle)
  return 0.5 * halves.sum(axis=-1)


class DinoJs(mghf.OfFeatures):
  """Jensen-Shannon divergence of what DINOv2 sees in both fields.

  It sees whole patches of 14 cells; what is left of a window below and to the
  right of them is not looked at.

  Attributes:
    temperature: of the softmax of the embedding; ours.
    factor: that takes a normalised field towards [0, 1]; ours.
    offset: likewise; ours.

  Examples:
    >>> DinoJs().temperature
    1.0
  """

  NETWORK: ClassVar[str] = "dinov2"
  WHENCE: ClassVar[str] = (
    "give dinov2_vits14_pretrain.pth of its authors "
    "(https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/"
    "dinov2_vits14_pretrain.pth, 88 MB, Apache-2.0)"
  )

  factor: float | int = 0.25
  offset: float | int = 0.5
  temperature: float | int = 1.0

  def seen(self, variables: Any, field: Field) -> Any:
    """Returns the features of the whole patches of a field, if it has any."""
    patch = self.network.module.patch
    whole = (max(n - n % patch, min(n, patch)) for n in field.shape[1:3])
    rows, columns = map(slice, whole)
    return super().seen(variables, field[:, rows, columns])

  def compare(self, ours: Any, theirs: Any) -> Float[Array, ""]:
    ours, theirs = (x.embedding / self.temperature for x in (ours, theirs))
    return jensen_shannon(ours, theirs).mean()
