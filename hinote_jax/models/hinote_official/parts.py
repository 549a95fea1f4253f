"""The parts of the released HiNOTE: doublings, sampler, decoder."""

from collections.abc import Callable, Mapping
from typing import Any

from flax import linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax.core import grids, naming, resize
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.lazy import plane_ops, planes
from hinote_jax.models.hinote_official import published, published_planes
from hinote_jax.nn import blocks, galerkin, samplers


class Pair(nn.Module):
  """Two pointwise layers around a LeakyReLU of slope 0.1."""

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    c = x.shape[-1]
    x = nn.leaky_relu(nn.Dense(c, name="first")(x), 0.1)
    return nn.Dense(c, name="second")(x)


class FourierDoubling(nn.Module):
  """Doubles a field through layers on its amplitude and on its phase.

  Attributes:
    kind: one of `published.FOURIER_UPS`.
  """

  kind: str

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W c"]:
    double = naming.look_up("fourier_up", self.kind, published.FOURIER_UPS)
    amplitude, phase = published.spectrum(x)
    amplitude = Pair(name="amplitude")(amplitude)
    x = double(amplitude, Pair(name="phase")(phase))
    return x if self.kind == "Corner" else nn.Dense(x.shape[-1], name="post")(x)


class Doubling(nn.Module):
  """Linear and Fourier enlargement, mixed by a pointwise layer.

  Attributes:
    fourier_up: see `FourierDoubling`.
    combine: "add" the two or "cat" them.
    activate: function of the mixture.
    periodic: which of (y, x) the linear one takes as closed.
  """

  fourier_up: str
  combine: str
  activate: Callable
  periodic: Periodic = (False, False)

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W c"]:
    _, h, w, c = x.shape
    boundary = resize.boundaries(self.periodic, "edge")
    near = resize.resize(x, (2 * h, 2 * w), method="linear", boundary=boundary)
    far = FourierDoubling(self.fourier_up, name="fourier")(x)
    if self.combine == "cat":
      both = jnp.concatenate([near, far], axis=-1)
    else:
      both = near + far
    return self.activate(nn.Dense(c, use_bias=False, name="fuse")(both))


class Sampler(nn.Module):
  """The tokens of the query points, [b H W 4(c+2)+2]; no parameters.

  Attributes:
    method: how a neighbour is read, a method of `resize`.
    periodic: which of (y, x) close on themselves; "nearest" only.
  """

  method: str
  periodic: Periodic = (False, False)

  def __call__(self, feats, coords, rel_cell):
    if self.method == "nearest":
      return samplers.local_ensemble(
        feats, coords, rel_cell, periodic=self.periodic, halve_at_walls=True
      )
    points = grids.dense(grids.batched(coords, feats.shape[0]))
    return published.blurred_ensemble(feats, points, rel_cell, self.method)


class Decoder(nn.Module):
  """A Galerkin block a level, the levels joined by alias-free activations.

  Attributes:
    width: channels.
    heads: of every block.
    levels: each has half the sides of the one before.
    activate: every non-linear function.
    dtype: type of the products.
    most: points of a block at once.
  """

  width: int
  heads: int
  levels: int
  activate: Callable
  dtype: DTypeLike = jnp.float32
  most: int | None = None

  @nn.compact
  def __call__(self, x: Float[Array, "b H W d"]) -> Float[Array, "b H W 1"]:
    finer = [x]
    for i in range(self.levels - 1):
      x = published.alias_free(self.activate, finer[-1])
      finer.append(self._down(i)(x))
    finer = [self._block(i)(x) for i, x in enumerate(finer)]
    x = finer.pop()
    for i in range(self.levels - 1):
      h, w = x.shape[1:3]
      x = published.alias_free(self.activate, x)
      x = self._conv(f"up_{i}")(published.nodes(x, (2 * h, 2 * w)))
      x = jnp.concatenate([finer.pop(), x], axis=-1)
      x = self._conv(f"merge_{i}")(x)
    return self._project()(x.astype(jnp.float32))

  @nn.nowrap
  def planes(
    self, run: planes.Run, params: Mapping[str, Any], x: planes.Plane
  ) -> planes.Plane:
    """Returns the same as a call of a plane, window by window; see `planes`.

    The finest level is not stored; where others read it, it is made again.
    """

    def conv(module, x):
      return plane_ops.local(
        x, plane_ops.applied(module), params[module.name], module.size // 2
      )

    finer = [x]
    for i in range(self.levels - 1):
      x = published_planes.alias_free(self.activate, finer[-1])
      down = self._down(i)
      x = published_planes.halved(down, params[down.name], x)
      finer.append(run.store(x))
    for i, x in enumerate(finer):
      block = self._block(i)
      finer[i] = galerkin.attend(run, block, params[block.name], x)
    x = finer.pop()
    for i in range(self.levels - 1):
      shape = tuple(2 * n for n in x.grid.shape)
      x = run.store(published_planes.alias_free(self.activate, x))
      x = run.store(
        conv(self._conv(f"up_{i}"), published_planes.nodes(x, shape))
      )
      x = plane_ops.joined(finer.pop(), x)
      x = run.store(conv(self._conv(f"merge_{i}"), x))
    return conv(self._project(), x)

  @nn.nowrap
  def _down(self, i):
    return nn.Conv(self.width, (3, 3), 2, 1, dtype=self.dtype, name=f"down_{i}")

  @nn.nowrap
  def _block(self, level):
    return galerkin.GalerkinBlock(
      self.heads,
      self.dtype,
      norm="published",
      use_bias=False,
      activate=self.activate,
      activate_sum=self.activate,
      most=self.most,
      name=f"galerkin_{level}",
    )

  @nn.nowrap
  def _conv(self, name):
    return blocks.Conv(self.width, dtype=self.dtype, name=name)

  @nn.nowrap
  def _project(self):
    return blocks.Conv(1, name="project")
