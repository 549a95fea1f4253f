"""Parts that several models share: convolutions, residual blocks, trunks."""

from collections.abc import Callable
import itertools
from typing import Any, TypedDict

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from hinote_jax import lazy
from hinote_jax.core import kernels
from hinote_jax.core.typing import Array, Periodic

# Residual branches start small, so that a fresh network is close to its skip.
small_init = nn.initializers.variance_scaling(
  0.02, "fan_in", "truncated_normal"
)


class Options(TypedDict):
  """What the layers of a network have in common, see `Conv`."""

  periodic: Periodic
  dtype: DTypeLike


def require_channels(
  lowres: Float[lazy.Grid, "b h w c"], channels: int | None
) -> None:
  """Refuses a field that a model was not built for; None takes any.

  Raises:
    ValueError: the field has another number of channels.
  """
  if channels is not None and lowres.shape[-1] != channels:
    raise ValueError(
      f"the field has {lowres.shape[-1]} channels, the model was built "
      f"for {channels}"
    )


def as_float32(x: Array) -> jax.Array:
  """Returns x in float32, for the layers that are exact whatever the dtype."""
  return jnp.asarray(x, jnp.float32)


class LayerNorm(nn.LayerNorm):
  """Flax's layer norm of every point, on arrays and lazy grids."""

  __call__ = lazy.layer()(nn.LayerNorm.__call__)


class Affine(nn.Module):
  """The kernel and bias of a dense layer, to be multiplied by the caller.

  Attributes:
    features: output channels.
    use_bias: whether there is a bias; without one it is zeros.
  """

  features: int
  use_bias: bool = True
  kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

  @nn.compact
  def __call__(
    self, inputs: int
  ) -> tuple[Float[Array, "c d"], Float[Array, "d"]]:
    kernel = self.param("kernel", self.kernel_init, (inputs, self.features))
    if not self.use_bias:
      return kernel, jnp.zeros(self.features)
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    return kernel, bias


def multiply(
  x: Float[Array, "*b c"], kernel: Float[Array, "c d"], dtype: DTypeLike
) -> Float[Array, "*b d"]:
  """Returns x @ kernel in `dtype`.

  Points are put on one axis before: the gradient of a product with several is
  twice as slow on a CPU.
  """
  flat = x.astype(dtype).reshape(-1, x.shape[-1])
  product = flat @ kernel.astype(dtype)
  return product.reshape(*x.shape[:-1], kernel.shape[-1])


class Dense(nn.Module):
  """A dense layer at every point, as flax's but on one axis of points.

  Attributes:
    features: output channels.
    use_bias: add a bias.
    kernel_init: of the kernel.
    dtype: type of the computation; parameters stay float32.
  """

  features: int
  use_bias: bool = True
  kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
  dtype: DTypeLike = jnp.float32

  @lazy.layer()
  @nn.compact
  def __call__(self, x: Float[Array, "*b c"]) -> Float[Array, "*b d"]:
    shape = (x.shape[-1], self.features)
    kernel = self.param("kernel", self.kernel_init, shape)
    y = multiply(x, kernel, self.dtype)
    if not self.use_bias:
      return y
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    return y + bias.astype(self.dtype)


class Conv(nn.Module):
  """A convolution that wraps around periodic axes and pads zeros at walls.

  Attributes:
    features: output channels.
    size: side of the odd square kernel.
    periodic: which of (y, x) close on themselves.
    use_bias: add a bias.
    dtype: type of the computation; parameters stay float32.
  """

  features: int
  size: int = 3
  periodic: Periodic = (False, False)
  use_bias: bool = True
  kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
  dtype: DTypeLike = jnp.float32

  @lazy.layer(reach=lambda conv: conv.size // 2)
  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
    shape = (self.size, self.size, x.shape[-1], self.features)
    kernel = self.param("kernel", self.kernel_init, shape)
    x = convolve(x, kernel, self.periodic, self.dtype)
    if not self.use_bias:
      return x
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    return x + bias.astype(self.dtype)


def convolve(
  x: Float[Array, "b h w c"],
  kernel: Float[Array, "k k c d"],
  periodic: Periodic,
  dtype: DTypeLike,
) -> Float[Array, "b h w d"]:
  """Returns x convolved with an odd square kernel, on the same grid.

  Periodic axes wrap, walls are padded with zeros.
  """
  halo = kernel.shape[0] // 2
  wrap = [(halo, halo) if closed else (0, 0) for closed in periodic]
  zero = [(0, 0) if closed else (halo, halo) for closed in periodic]
  x = jnp.pad(x.astype(dtype), [(0, 0), *wrap, (0, 0)], mode="wrap")
  return jax.lax.conv_general_dilated(
    x,
    jnp.asarray(kernel, dtype),
    window_strides=(1, 1),
    padding=zero,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )


def padded(x: Any, halo: int, periodic: Periodic, *, axis: int = 1) -> Any:
  """Returns a field with cells more around it.

  Those of the other end on a periodic axis, zeros beyond a wall.

  Args:
    x: of JAX or of NumPy, as is the result.
    halo: how many cells on each side.
    periodic: which of (y, x) close on themselves.
    axis: that of y; x is the next.
  """
  xp = kernels.namespace(x)
  for i, closed in enumerate(periodic, start=axis):
    widths = [(halo, halo) if i == j else (0, 0) for j in range(x.ndim)]
    x = xp.pad(x, widths, mode="wrap" if closed else "constant")
  return x


class DepthwiseConv(nn.Module):
  """A 3x3 convolution of every channel by itself, padded as `Conv`."""

  periodic: Periodic = (False, False)
  use_bias: bool = True
  dtype: DTypeLike = jnp.float32

  @lazy.layer(reach=1)
  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    _, h, w, c = x.shape
    init = nn.initializers.normal(1.0 / 3.0)
    kernel = self.param("kernel", init, (3, 3, c)).astype(self.dtype)
    total: Any = 0.0
    if self.use_bias:
      bias = self.param("bias", nn.initializers.zeros, (c,))
      total = bias.astype(self.dtype)
    x = padded(x.astype(self.dtype), 1, self.periodic)
    # Nine products: XLA's grouped convolution is many times slower on a CPU.
    for i, j in itertools.product(range(3), repeat=2):
      total = total + x[:, i : i + h, j : j + w] * kernel[i, j]
    return total


class ResidualBlock(nn.Module):
  """Two 3x3 convolutions around a ReLU, added to the input (EDSR, no norm).

  Attributes:
    scale: of what is added; EDSR's res_scale, 0.1 in its full size.
  """

  scale: float | int = 1.0
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b h w c"]:
    width = x.shape[-1]
    options = Options(periodic=self.periodic, dtype=self.dtype)
    y = lazy.pointwise(nn.relu, Conv(width, name="first", **options)(x))
    y = Conv(width, kernel_init=small_init, name="second", **options)(y)
    return x + y * self.scale


class Trunk(nn.Module):
  """EDSR's feature extractor: conv, residual blocks, conv, long skip.

  Attributes:
    width: channels of the features.
    blocks: how many residual blocks; unrolled, since a scan over convolutions
      is many times slower on a CPU.
    residual_scale: of what each block adds.
  """

  width: int = 64
  blocks: int = 16
  residual_scale: float | int = 1.0
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b h w d"]:
    options = Options(periodic=self.periodic, dtype=self.dtype)
    head = Conv(self.width, name="head", **options)(x)
    x = head
    for i in range(self.blocks):
      x = ResidualBlock(self.residual_scale, name=f"block_{i}", **options)(x)
      # A halo of sixteen cells costs less than to store; one of 66 does not.
      x = lazy.stored(x) if i % 8 == 7 else x
    return head + Conv(self.width, name="tail", **options)(x)


class ShuffleUp(nn.Module):
  """Enlarges by 2, 3 or a power of 2: convolutions and pixel shuffles (ESPCN).

  Attributes:
    scale: how many times; a power of two is taken in steps of 2.
    width: channels after each step; None keeps those of the input.
    activate: function after each shuffle; None for none.
  """

  scale: int
  width: int | None = None
  activate: Callable | None = None
  periodic: Periodic = (False, False)
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[lazy.Grid, "b h w c"]
  ) -> Float[lazy.Grid, "b H W d"]:
    """Returns the enlarged features.

    Raises:
      ValueError: `scale` is neither 3 nor a power of two.
    """
    for i, factor in enumerate(shuffle_steps(self.scale)):
      x = Conv(
        (self.width or x.shape[-1]) * factor**2,
        periodic=self.periodic,
        dtype=self.dtype,
        name=f"up_{i}",
      )(x)
      x = lazy.pixel_shuffle(x, factor)
      x = lazy.pointwise(self.activate, x) if self.activate else x
    return x


def shuffle_steps(scale: int) -> tuple[int, ...]:
  """Returns the factors that `ShuffleUp` takes one after another.

  Raises:
    ValueError: `scale` is neither 3 nor a power of two.
  """
  if scale == 3:
    return (3,)
  if scale < 1 or scale & (scale - 1):
    raise ValueError(f"a pixel shuffle takes 3 or a power of two, got {scale}")
  return (2,) * (scale.bit_length() - 1)
