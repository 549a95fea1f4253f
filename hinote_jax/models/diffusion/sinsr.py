"""SinSR (Wang et al., CVPR 2024) and ResShift: latents moved to fine ones.

One step, or the fifteen of the teacher, from the latent of the enlarged input
and noise. The noise is a function of a seed and of the place in the field, so
that tiles and devices have the same.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int
import numpy as np

from hinote_jax.core import resize, taps
from hinote_jax.core.typing import Array
from hinote_jax.models.diffusion import autoencoder, schedule, unet
from hinote_jax.models.single_scale import fixed_scale
from hinote_jax.nn import blocks

Field = Float[Array, "b h w c"]


def noise(
  seed: int, start: Int[Array, "2"], shape: tuple[int, int], channels: int
) -> Float[Array, "1 h w c"]:
  """Returns normal numbers of the cells from `start` on, [1 h w c]."""
  key = jax.random.key(seed)

  def cell(y, x):
    own = jax.random.fold_in(jax.random.fold_in(key, y), x)
    return jax.random.normal(own, (channels,))

  y, x = (start[i] + jnp.arange(shape[i]) for i in (0, 1))
  return jax.vmap(lambda y: jax.vmap(lambda x: cell(y, x))(x))(y)[None]


@dataclasses.dataclass(frozen=True)
class Crops:
  """How a field is cut into overlapping crops, whose answers are averaged.

  Attributes:
    side: of a crop, in cells of the input.
    stride: from one to the next; the last ends where the field does.
  """

  side: int
  stride: int

  def starts(self, n: int) -> list[int]:
    """Returns where the crops of an axis of n cells begin."""
    last = max(0, n - self.side)
    return sorted({min(i, last) for i in range(0, n, self.stride)})


class Sinsr(fixed_scale.FixedScale):
  """The diffusion, its autoencoder around it, of pictures in [-1, 1].

  Attributes:
    channels: of the pictures; those of the published files are RGB.
    unet: arguments of `unet.UNet`.
    autoencoder: arguments of `autoencoder.Autoencoder`.
    steps: how many are taken, 1 as SinSR, or all `schedule.steps` of the
      teacher, without new noise.
    schedule: arguments of `schedule.Schedule`.
    seed: of the noise.
    multiple: sides are padded to multiples of it by reflection, below and to
      the right.
    crop: side of what is computed at once; the answer depends on it.
    stride: from one crop to the next.
  """

  channels: int = 3
  unet: Mapping[str, Any] = dataclasses.field(default_factory=nn.FrozenDict)
  autoencoder: Mapping[str, Any] = dataclasses.field(
    default_factory=nn.FrozenDict
  )
  steps: int = 1
  schedule: Mapping[str, Any] = dataclasses.field(default_factory=nn.FrozenDict)
  seed: int = 12345
  multiple: int = 64
  crop: int = 512
  stride: int = 448

  def setup(self):
    if not 0 < self.stride <= self.crop:
      raise ValueError(
        f"a stride of {self.stride} leaves gaps between crops of {self.crop}"
      )
    self.times = schedule.Schedule(**self.schedule)
    self.net = unet.UNet(**{"channels": 3, "dtype": self.dtype, **self.unet})
    self.coder = autoencoder.Autoencoder(
      **{"channels": self.channels, "dtype": self.dtype, **self.autoencoder}
    )
    if self.steps not in (1, len(self.times.times)):
      raise ValueError(
        f"steps is 1 or {len(self.times.times)}, got {self.steps}"
      )

  @property
  def crops(self) -> Crops:
    """How a field is cut."""
    return Crops(self.crop, self.stride)

  def latent(self, lowres: Field) -> tuple[Any, Any]:
    """Returns the input padded, and its latent when enlarged."""
    x = lowres
    for axis, n in enumerate(x.shape[1:3], start=1):
      whole = np.arange(n + -n % self.multiple)
      x = x[(slice(None),) * axis + (taps.fold(whole, n, "reflect"),)]
    _, h, w, _ = x.shape
    enlarged = resize.resize(
      x, (4 * h, 4 * w), method="cubic_torch", antialias=False
    )
    return x, self.coder.encode(enlarged)

  def begin(self, y: Field, drawn: Any) -> Any:
    """Returns the latent of the last time, of noise."""
    return y + self.times.kappa * self.times.roots[-1] * drawn

  def predict(self, x: Field, time: int, lowres: Array) -> Any:
    """Returns the latent without noise, of that at a step."""
    batch_times = jnp.full(len(x), float(self.times.times[time]))
    return self.net(x * self.times.input_scale[time], batch_times, lowres)

  def sample(
    self, x: Field, y: Field, lowres: Array, drawn: Any = None
  ) -> Float[Array, "t b h w c"]:
    """Returns the latents after each of the steps.

    Args:
      x: of the last time.
      y: of the input.
      lowres: the input, padded.
      drawn: new noise of every step, [t b h w c], the first step's first, as
        ResShift samples; None: none, as SinSR's teacher does.
    """
    times = self.times
    order = np.arange(len(times.times))[::-1]
    if self.steps == 1 or self.is_initializing():
      return self.predict(x, int(order[0]), lowres)[None]
    if drawn is None:
      fine, old, other = times.deterministic()
      drawn = jnp.broadcast_to(y, (len(order), *y.shape))
    else:
      old, fine, other = times.stochastic()
    # The network as a function: all steps are one program.
    net, variables = self.net.clone(parent=None, name=None), self.net.variables

    def step(x, now):
      (scale, time, *share), more = now
      batch_times = jnp.full(len(x), time)
      answer = net.apply(variables, x * scale, batch_times, lowres)
      x = share[0] * answer + share[1] * x + share[2] * more
      return x, x

    tables = (times.input_scale, times.times, fine, old, other)
    tables = [jnp.asarray(table[order], jnp.float32) for table in tables]
    return jax.lax.scan(step, x, (tables, drawn))[1]

  def distil(
    self, lowres: Field, highres: Array, drawn: Any, taught: Any
  ) -> dict[str, Float[Array, " b"]]:
    """Returns what SinSR is trained by, of each example; to be summed.

    "taught": one step gives what the teacher's fifteen do; "back": from that
    the first latent is found again; "true": what is found of the true latent
    leads to it. The autoencoder is not trained.

    Args:
      lowres: sides are multiples of `multiple`.
      highres: four times finer.
      drawn: noise of the latent.
      taught: the teacher's last latent, of the same noise.
    """
    padded, y = self.latent(lowres)
    y, true = map(jax.lax.stop_gradient, (y, self.coder.encode(highres)))
    x, last = self.begin(y, drawn), len(self.times.times) - 1
    scale = self.times.input_scale[last]

    def answer(x, time):
      return self.net(x * scale, jnp.full(len(x), float(time)), padded)

    last = self.times.times[last]
    inverted = jax.lax.stop_gradient(answer(true, 0))
    pairs = {
      "taught": (answer(x, last), taught),
      "back": (answer(taught, 0), x),
      "true": (answer(inverted, last), true),
    }
    return {
      name: jnp.square(a - b).mean(axis=(1, 2, 3))
      for name, (a, b) in pairs.items()
    }

  def finish(self, latent: Field) -> Any:
    """Returns the picture of a latent."""
    return jnp.clip(self.coder.decode(latent), -1.0, 1.0)

  def enlarge(self, lowres: Field, start: Any = (0, 0)) -> Any:
    """Returns a crop four times finer.

    Args:
      lowres: the crop.
      start: its first cell in the field; the noise depends on it.
    """
    chex.assert_rank(lowres, 4)
    blocks.require_channels(lowres, self.channels)
    _, h, w, _ = lowres.shape
    padded, y = self.latent(lowres)
    where = jnp.asarray(start, jnp.int32)
    drawn = noise(self.seed, where, padded.shape[1:3], y.shape[-1])
    latents = self.sample(self.begin(y, drawn), y, padded)
    return self.finish(latents[-1])[:, : 4 * h, : 4 * w]
