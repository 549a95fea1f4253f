"""Any model of the zoo, told what is known of the place.

A wrapper, not a change of each model: what is static on the coarse grid is
joined to the input as channels, and what is known at the query points scales
and shifts the features that the model answers with. All of it is pointwise at
the queries, so that tiles and devices carry it as they carry the model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import grids, resize
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.models.spec import Spec
from hinote_jax.nn import blocks


def at_queries(
  static: Mapping[str, lazy.Grid],
  coords: lazy.Coords,
  units: Sequence[float],
  periodic: Periodic,
) -> Float[lazy.Grid, "b H W k"]:
  """Returns what is known at the query points.

  With S what is static, S_c the same coarsened and I the interpolation:

      f = [S, (S - I S_c) / unit]

  As coarsening and I are linear, the second part of a climatology is the mean
  of what interpolation misses, at any scale.

  Args:
    static: "fine" [b H W s] at the query points, "coarse" [b h w s].
    coords: query points.
    units: typical size of S - I S_c, [s].
    periodic: which of (y, x) close on themselves.
  """
  fine = static["fine"]
  smooth = lazy.interpolate(
    static["coarse"],
    coords,
    method="cubic",
    boundary=resize.boundaries(periodic, "edge"),
  )
  missed = (fine - smooth) / jnp.asarray(units, jnp.float32)
  return lazy.concatenate([fine, missed])


class Informed(nn.Module):
  """A model that takes static fields beside its own.

      z = model([lowres, S_c])
      y = gelu(W z),  y <- y (1 + A f) + B f
      highres = z[:c] + L f + P gelu(y)

  L f alone is what `StaticRegression` fits: a model that knows the place should
  not have to learn that first.

  Attributes:
    plain: the model, with a channel for each of the field and of what is
      static.
    units: of `at_queries`, one a static field.
    channels: variables of the field.
    width: channels of the features that are scaled and shifted.
    periodic: which of (y, x) close on themselves.
  """

  plain: nn.Module
  units: Sequence[float]
  channels: int = 1
  width: int = 32
  periodic: Periodic = (False, False)

  def setup(self):
    self.model = self.plain.clone(periodic=self.periodic)

  @nn.compact
  def __call__(
    self,
    lowres: Float[lazy.Grid, "b h w c"],
    coords: lazy.Coords,
    cell: Float[Array, "b 2"],
    *,
    static: Mapping[str, lazy.Grid],
    **extras: Any,
  ) -> Float[lazy.Grid, "b H W c"]:
    """Returns the field at the query points; `static` as of `at_queries`.

    The model is given the other extras.

    Raises:
      ValueError: as the model, or another number of static fields.
    """
    blocks.require_channels(lowres, self.channels)
    count = static["coarse"].shape[-1]
    if count != len(self.units):
      raise ValueError(
        f"the model is told of {len(self.units)} static channels, got {count}"
      )
    both = lazy.concatenate([lowres, static["coarse"]])
    z = self.model(both, coords, cell, **extras)
    f = at_queries(static, coords, self.units, self.periodic)
    y = lazy.pointwise(jax.nn.gelu, blocks.Dense(self.width, name="lift")(z))
    options: Any = dict(kernel_init=blocks.small_init)
    scale = blocks.Dense(self.width, name="scale", **options)(f)
    y = y * (scale + 1.0) + blocks.Dense(self.width, name="shift")(f)
    y = lazy.pointwise(jax.nn.gelu, y)
    added = blocks.Dense(self.channels, name="project", **options)(y)
    options = dict(use_bias=False, kernel_init=nn.initializers.zeros)
    added = added + blocks.Dense(self.channels, name="linear", **options)(f)
    return lazy.pointwise(_first, z, added) + added

  def own_loss(
    self, lowres, coords, cell, highres, *, static, **extras: Any
  ) -> Float[Array, "b H W c"]:
    """Returns what the model adds to the loss by its own variables.

    What is static is a part of its input, and of what it should answer.
    """
    both = jnp.concatenate([lowres, static["coarse"]], axis=-1)
    truth = jnp.concatenate([highres, static["fine"]], axis=-1)
    each = self.model.own_loss(both, coords, cell, truth, **extras)
    return _first(each, highres)


def _first(z, like):
  return z[..., : like.shape[-1]]


class StaticRegression(nn.Module):
  """Bicubic interpolation and a linear function of what is static.

  What everybody must beat: no network at all. Its kernel is fitted, not
  trained, see `train.static_run.regression`.

      highres = I lowres + K [f, f log2 s]

  Attributes:
    static_units: of `at_queries`, one a static field.
    channels: variables of the field.
    periodic: which of (y, x) close on themselves.
  """

  static_units: Sequence[float]
  channels: int = 1
  periodic: Periodic = (False, False)

  @nn.compact
  def __call__(
    self,
    lowres: Float[lazy.Grid, "b h w c"],
    coords: lazy.Coords,
    cell: Float[Array, "b 2"],
    *,
    static: Mapping[str, lazy.Grid],
  ) -> Float[lazy.Grid, "b H W c"]:
    """Returns the field at the query points; `static` as of `at_queries`."""
    rules = resize.boundaries(self.periodic, "edge")
    known = lazy.interpolate(lowres, coords, method="cubic", boundary=rules)
    terms = self.terms(lowres, coords, cell, static)
    shape = terms.shape[-1], self.channels
    kernel = self.param("kernel", nn.initializers.zeros, shape)
    return known + lazy.pointwise(_multiplied, terms, params=kernel)

  @nn.nowrap
  def terms(self, lowres, coords, cell, static) -> Any:
    """Returns what the kernel weighs, [b H W 4*s+2]."""
    f = at_queries(static, coords, self.static_units, self.periodic)
    one = lazy.constant(jnp.ones((lowres.shape[0], 1)), f)
    f = lazy.concatenate([f, one])
    h, w = lowres.shape[1:3]
    scale = jnp.log2(grids.scale_of(cell, (h, w))).mean(-1)
    return lazy.concatenate([f, f * lazy.constant(scale[:, None], f)])


def _multiplied(kernel, terms):
  return jnp.einsum("bhwk,kc->bhwc", terms, kernel, precision="highest")


SPECS = (
  Spec(
    "static_regression",
    f"{__name__}:StaticRegression",
    extras=("static",),
  ),
)
