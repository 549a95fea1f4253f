"""Scans: errors within the head, and of edges and fine features."""

from jaxtyping import Float
import numpy as np
import scipy.ndimage
import scipy.signal

from hinote_jax.core.typing import Periodic
from hinote_jax.metrics import context as contexts
from hinote_jax.metrics import image

# Of the 99.5th percentile of the slice: above it is tissue. Otsu's threshold
# falls between grey and white matter of a slice full of head.
TISSUE = 0.1
# Of full scale: a slice whose 99.5th percentile is below it holds air alone.
EMPTY = 0.05
_SIZE, _SIGMA = 15, 1.5

METRICS = {
  "psnr_head": contexts.Metric(
    "PSNR in the head [dB]",
    +1,
    "PSNR over the cells of the head alone, mean over slices that show it: air "
    "around it is easy",
    ".2f",
  ),
  "ssim_head": contexts.Metric(
    "SSIM in the head",
    +1,
    "SSIM of the windows centred in the head, mean over slices that show it",
    ".4f",
  ),
  "hfen": contexts.Metric(
    "HFEN",
    -1,
    "high-frequency error norm: ||LoG(error)|| / ||LoG(truth)|| over all "
    "slices, Laplacian of a Gaussian of 15 x 15 cells, sigma 1.5",
    ".4f",
  ),
}


def head(
  values: Float[np.ndarray, "H W"], full_scale: float | int
) -> np.ndarray:
  """Returns which cells of a slice are the head, [H W] of bool.

  The largest connected part above a tenth of the slice's 99.5th percentile,
  with its holes filled: cavities, bone and fluid are dark. None in a slice
  whose 99.5th percentile is below a twentieth of full scale.

  Args:
    values: intensities, 0 in air, [H W].
    full_scale: of the variable.

  Examples:
    >>> scan = np.zeros((6, 6))
    >>> scan[1:5, 1:5] = 1.0
    >>> scan[2, 2] = 0.0  # a cavity within
    >>> int(head(scan, 1.0).sum())
    16
  """
  bright = np.percentile(values, 99.5)
  if bright < EMPTY * full_scale:
    return np.zeros(values.shape, bool)
  labels = np.zeros(values.shape, np.int32)
  if not scipy.ndimage.label(values > TISSUE * bright, output=labels):
    return np.zeros(values.shape, bool)
  sizes = np.bincount(labels.ravel())
  largest = labels == 1 + np.argmax(sizes[1:])
  return np.asarray(scipy.ndimage.binary_fill_holes(largest))


def laplacian_of_gaussian() -> np.ndarray:
  """Returns the filter of the high-frequency error norm, [15 15], of sum 0.

  Examples:
    >>> kernel = laplacian_of_gaussian()
    >>> kernel.shape, abs(float(kernel.sum())) < 1e-12
    ((15, 15), True)
  """
  offset = np.arange(_SIZE) - _SIZE // 2
  squared = offset[:, None] ** 2 + offset**2
  gaussian = np.exp(-0.5 * squared / _SIGMA**2)
  gaussian /= gaussian.sum()
  kernel = gaussian * (squared - 2.0 * _SIGMA**2) / _SIGMA**4
  return kernel - kernel.mean()


def edges(
  values: Float[np.ndarray, "H W"], *, periodic: Periodic
) -> np.ndarray:
  """Returns a slice filtered by `laplacian_of_gaussian`, [H W].

  Walls mirror the cells before them.

  Examples:
    >>> flat = edges(np.ones((16, 16)), periodic=(False, False))
    >>> flat.shape, bool(np.abs(flat).max() < 1e-9)
    ((16, 16), True)
  """
  half = _SIZE // 2
  for axis, is_periodic in enumerate(periodic):
    width = [(0, 0), (0, 0)]
    width[axis] = (half, half)
    values = np.pad(values, width, "wrap" if is_periodic else "symmetric")
  return scipy.signal.fftconvolve(values, laplacian_of_gaussian(), "valid")


def parts(
  pred: Float[np.ndarray, "H W c"],
  target: Float[np.ndarray, "H W c"],
  context: contexts.Context,
) -> dict[str, np.ndarray]:
  """Returns what `reduce` needs to know of one slice, [c] each.

  "edges_error" and "edges", mean squares after the filter; "heads", 1 where
  the slice shows the head of the truth; "psnr_head" and "ssim_head", 0 where
  it does not, the latter with "ssim_heads" where windows fit in.

  Args:
    pred: [H W c].
    target: [H W c].
    context: full scale, periodic axes, and what is known: the rest is air, and
      weighs nothing.

  Examples:
    >>> from hinote_jax.metrics import context
    >>> known = context.Context(
    ...   ("T1",), ("",), ("",), (False, False), np.ones(1)
    ... )
    >>> scan = np.zeros((16, 16, 1))
    >>> scan[2:14, 2:14] = 1.0
    >>> parts(scan + 0.1, scan, known)["psnr_head"].round(3)
    array([20.])
  """
  names = ("edges_error", "edges", "heads", "psnr_head")
  names += ("ssim_heads", "ssim_head")
  sums = {name: np.zeros(pred.shape[-1]) for name in names}
  every = np.True_ if context.known is None else context.known
  every = np.broadcast_to(every, target.shape)
  for c, span in enumerate(context.data_range):
    known, error = every[..., c], pred[..., c] - target[..., c]
    for name, plane in (("edges_error", error), ("edges", target[..., c])):
      filtered = edges(plane, periodic=context.periodic)
      sums[name][c] = np.mean(known * filtered**2)
    mask = head(np.where(known, target[..., c], 0.0), span) & known
    if not mask.any():
      continue
    sums["heads"][c] = 1.0
    with np.errstate(divide="ignore"):
      peak = span**2 / np.mean(error[mask] ** 2)
      sums["psnr_head"][c] = 10.0 * np.log10(peak)
    if min(mask.shape) < image.WINDOW:
      continue
    one = np.s_[None, :, :, c : c + 1]
    similar = image.ssim_map(pred[one], target[one], data_range=span)[0, ..., 0]
    half = image.WINDOW // 2
    inside = mask[half:-half, half:-half]
    if inside.any():
      weight = image.share_known(every[one])[0, ..., 0][inside]
      sums["ssim_heads"][c] = 1.0
      sums["ssim_head"][c] = np.average(similar[inside], weights=weight)
  return sums


def reduce(mean: contexts.Parts) -> dict[str, np.ndarray]:
  """Returns the `METRICS` from the means of `parts` over slices.

  PSNR and SSIM are means over the slices that show the head; the error norm is
  the ratio of the norms over all slices, those of a volume.

  Examples:
    >>> one = np.array([1.0])
    >>> mean = dict(psnr_head=one, heads=one, ssim_head=one, ssim_heads=one)
    >>> reduce(mean | dict(edges_error=one, edges=4 * one))["hfen"]
    array([0.5])
  """
  return {
    "psnr_head": contexts.ratio(mean["psnr_head"], mean["heads"]),
    "ssim_head": contexts.ratio(mean["ssim_head"], mean["ssim_heads"]),
    "hfen": np.sqrt(contexts.ratio(mean["edges_error"], mean["edges"])),
  }
