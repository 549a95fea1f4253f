"""The data step of unfolded networks, on arrays and on lazy grids.

On arrays it is `deconvolution.Operator`, by Fourier transforms of the whole. On
lazy grids D and its transpose are local, as far as the kernel reaches, and only
the coarse grid, no larger than the input, is transformed as a whole.
"""

from collections.abc import Callable, Mapping
import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Float
import numpy as np

from hinote_jax import lazy
from hinote_jax.core import deconvolution, grids
from hinote_jax.core.typing import Array, Periodic

Step = Callable[[Any, Any], Any]


def prepared(
  y: Float[lazy.Grid, "b h w c"],
  kernel: Float[Array, "#b p q #c"],
  scale: tuple[int, int],
  closed: Periodic,
  registration: str,
) -> Step:
  """Returns (x, alpha [b]) -> z; what the steps share is computed once.

  Args:
    y: the input.
    kernel: of D, see `deconvolution.operator`.
    scale: whole, (y, x).
    closed: which axes (y, x) the convolution goes around; others are mirrored.
    registration: see `deconvolution.offset`.
  """
  shape = grids.pair(n * s for n, s in zip(y.shape[1:3], scale, strict=True))
  if not isinstance(y, lazy.LazyGrid):
    operator = deconvolution.operator(
      kernel, shape, scale, periodic=closed, registration=registration
    )
    spectrum = operator.spectrum(jnp.asarray(y))
    return lambda x, alpha: operator.solve(x, spectrum, alpha)
  begins = grids.pair(
    deconvolution.offset(n, s, registration)
    for n, s in zip(kernel.shape[1:3], scale, strict=True)
  )
  reach = grids.pair(
    n // 2 + o + 1 for n, o in zip(kernel.shape[1:3], begins, strict=True)
  )
  coarse_reach = grids.pair(
    -(-r // s) + 1 for r, s in zip(reach, scale, strict=True)
  )

  def step(x, alpha):
    periodic = x.domain.periodic
    x = lazy.crop(x, shape, closed)
    blur = lazy.bind(_blurred, reach, begins, closed)
    blurred = lazy.local(blur, kernel, x, reach=reach)
    cells = lazy.pixel_unshuffle(blurred, scale)
    missed = lazy.pointwise(_first, lazy.crop(y, y.shape[1:3], closed), cells)
    weigh = lazy.bind(_weighed, scale, closed)
    weighed = lazy.whole(
      weigh, (kernel, jnp.asarray(alpha)), missed, y.shape[1:3]
    )
    spread = lazy.bind(_spread, coarse_reach, begins, scale, closed)
    added = lazy.local(spread, kernel, weighed, reach=coarse_reach, ratio=scale)
    return lazy.crop(x + added, shape, periodic)

  return step


def _first(y, cells):
  """Returns y without the first cell of each block."""
  return y - cells[..., : y.shape[-1]]


def _padded(values, reach, closed):
  sides = [
    (0, 0) if is_closed else (r, r)
    for r, is_closed in zip(reach, closed, strict=True)
  ]
  return jnp.pad(values, [(0, 0), *sides, (0, 0)], mode="symmetric")


def _convolved(values, kernel, begins, is_transposed):
  response = deconvolution.transfer(kernel, values.shape[1:3], offset=begins)
  if is_transposed:
    response = jnp.conj(response)
  spectrum = response * jnp.fft.rfft2(values, axes=(1, 2))
  return jnp.fft.irfft2(spectrum, s=values.shape[1:3], axes=(1, 2))


def _blurred(reach, begins, closed, kernel, x):
  h, w = x.shape[1:3]
  blurred = _convolved(_padded(x, reach, closed), kernel, begins, False)
  y, x_ = (0 if c else r for r, c in zip(reach, closed, strict=True))
  return blurred[:, y : y + h, x_ : x_ + w]


def _spread(reach, begins, scale, closed, kernel, q):
  """Returns D^T q."""
  (b, h, w, c), (sy, sx) = q.shape, scale
  q = _padded(q, reach, closed)
  fine = jnp.zeros((b, q.shape[1] * sy, q.shape[2] * sx, c), q.dtype)
  fine = fine.at[:, ::sy, ::sx].set(q)
  spread = _convolved(fine, kernel, begins, True)
  y, x = (
    0 if is_closed else r * s
    for r, s, is_closed in zip(reach, scale, closed, strict=True)
  )
  return spread[:, y : y + h * sy, x : x + w * sx]


def _weighed(scale, closed, params, missed):
  """Returns (D D^T + alpha)^-1 of what is missed."""
  kernel, alpha = params
  h, w = missed.shape[1:3]
  missed = deconvolution.mirrored(missed, closed)
  shape = missed.shape[1:3]
  gram = deconvolution.gram(kernel, shape, scale)
  spectrum = jnp.fft.rfft2(missed, axes=(1, 2))
  spectrum = spectrum / (gram + alpha[:, None, None, None])
  return jnp.fft.irfft2(spectrum, s=shape, axes=(1, 2))[:, :h, :w]


def as_batch(
  kernel: Any, batch: int, channels: int
) -> Float[Array, "#b p q #c"]:
  """Returns a kernel [(b) p q (c)] as [b p q c].

  Raises:
    ValueError: it is none, or of another batch or number of channels.
  """
  kernel = jnp.asarray(kernel, jnp.float32)
  given = kernel.shape
  if kernel.ndim == 2:
    kernel = kernel[None]
  if kernel.ndim == 3:
    kernel = kernel[..., None]
  b, *_, c = kernel.shape if kernel.ndim == 4 else (0, 0)
  if b not in (1, batch) or c not in (1, channels):
    raise ValueError(
      f"a kernel is [b p q] or [b p q c] with b = {batch} and c = {channels}, "
      f"got the shape {given}"
    )
  return kernel


def scale(
  asked: int | tuple[int, int] | None,
  lowres: Float[lazy.Grid, "b h w c"],
  coords: lazy.Coords,
  kernel: Any = None,
) -> tuple[int, int]:
  """Returns the whole scale (y, x) that a network works at.

  Args:
    asked: one number or (y, x); None takes what the query points have of the
      input, rounded up, which they then must cover.
    lowres: the input.
    coords: query points.
    kernel: that the network was made with, as of `kernel_at`: where it has one
      of each scale, the smallest of these that is not below, or the largest.
  """
  if asked is not None:
    y, x = (asked, asked) if isinstance(asked, int) else asked
    return y, x
  if isinstance(coords, lazy.Queries):
    ratios = [1.0 / line.step for line in coords.lines]
  else:
    counts = lazy.query_shape(coords)
    ratios = [m / n for m, n in zip(counts, lowres.shape[1:3], strict=True)]
  whole = grids.pair(max(1, math.ceil(ratio - 1e-6)) for ratio in ratios)
  if not isinstance(kernel, Mapping):
    return whole
  known = sorted(map(int, kernel))
  own = next((s for s in known if s >= max(whole)), known[-1])
  return own, own


def kernel_at(kernel: Any, scale: tuple[int, int]) -> Any:
  """Returns the kernel that a network was made with, at a scale.

  Args:
    kernel: one for all scales; one of each, by "2"; or None, the mean over
      coarse cells.
    scale: (y, x), of `scale`.
  """
  if kernel is None:
    return box(scale)
  if not isinstance(kernel, Mapping):
    return kernel
  return kernel[str(scale[0])]


def box(scale: tuple[int, int]) -> np.ndarray:
  """Returns the kernel of the mean over coarse cells, [1 s_y s_x 1]."""
  return np.full((1, *scale, 1), 1.0 / np.prod(scale), np.float32)


def of_model(
  model: Any,
  lowres: Float[lazy.Grid, "b h w c"],
  scale: tuple[int, int],
  kernel: Any = None,
  noise: Any = None,
) -> tuple[Any, Float[Array, " b"]]:
  """Returns the data step of a model, and the noise of each field.

  Args:
    model: has the channels, kernel, noise, registration, walls and periodic
      axes of `usrnet.UsrNet`.
    lowres: what was blurred, decimated and given noise.
    scale: of the grid that is worked on.
    kernel: of a call; None takes the model's own.
    noise: likewise.
  """
  batch = lowres.shape[0]
  if kernel is None:
    kernel = kernel_at(model.kernel, scale)
  kernel = as_batch(kernel, batch, model.channels)
  noise = jnp.asarray(model.noise if noise is None else noise, jnp.float32)
  noise = jnp.broadcast_to(noise.reshape(-1), (batch,))
  closed = grids.pair(p or model.walls == "wrap" for p in model.periodic)
  return prepared(lowres, kernel, scale, closed, model.registration), noise
