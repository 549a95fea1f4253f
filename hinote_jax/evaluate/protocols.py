"""How published numbers on photographs are made, each way under a name.

LIIF, LTE and SRNO report the PSNR of predictions that are clamped and not
rounded: of the luma on the benchmarks (Set5, Set14, B100, Urban100), of all
colours on DIV2K, with a border left out. Their inputs at x2, x3 and x4 are the
files that come with the data sets, which MATLAB made; beyond, and in training,
Pillow makes them. Networks of one scale (HAT, SwinIR, SR-LUT) have MATLAB's
inputs and round the prediction to 8 bits.
"""

from collections.abc import Callable
import dataclasses
import math

import numpy as np

from hinote_jax.core import naming, resize
from hinote_jax.io import inputs
from hinote_jax.metrics import image as metrics

# BT.601: RGB in [0, 1] to luma in [16, 235] / 255. The offset drops out of the
# PSNR, not of SSIM.
LUMA = np.asarray([65.738, 129.057, 25.064]) / 256.0
_BLACK = 16.0 / 255.0
_LEAST = 11  # cells, the side of SSIM's window


def pillow(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
  """Reduces an image as Pillow's bicubic does.

  8 bits go through Pillow's own fixed-point arithmetic; 16 bits through the
  same kernel in float64, since Pillow has none for colours of 16 bits.

  Args:
    image: [H W 3], uint8 or uint16.
    shape: (h, w).

  Returns:
    [h w 3] of the same type.
  """
  if image.dtype != np.uint8:
    return _reduced(image, shape, "drop")
  module = inputs.require("PIL.Image", "io")
  size = (shape[1], shape[0])
  small = module.fromarray(image).resize(size, module.Resampling.BICUBIC)
  return np.asarray(small)


def matlab(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
  """Reduces an image as MATLAB's imresize does, rounding once; as `pillow`."""
  return _reduced(image, shape, "mirror")


def _reduced(image, shape, boundary):
  along_y, along_x = (
    resize.matrix(n, m, method="cubic", boundary=boundary)
    for n, m in zip(image.shape[:2], shape, strict=True)
  )
  rows = np.tensordot(along_y, image.astype(np.float64), axes=1)
  values = np.einsum("Ww,hwc->hWc", along_x, rows, optimize=True)
  white = np.iinfo(image.dtype).max
  return np.clip(np.floor(values + 0.5), 0, white).astype(image.dtype)


@dataclasses.dataclass(frozen=True)
class Protocol:
  """One way to make inputs and to score predictions.

  Attributes:
    description: one line, printed beside every number.
    inputs: (image [H W 3], (h, w)) -> [h w 3], as `pillow`.
    is_luma: PSNR of the luma, else of the three colours together. SSIM is of
      the luma always.
    margin: cells beyond the scale that are left out at each border.
    bits: what predictions are rounded to; None leaves them.
  """

  description: str
  inputs: Callable[[np.ndarray, tuple[int, int]], np.ndarray]
  is_luma: bool
  margin: int = 0
  bits: int | None = None

  def prepare(
    self, image: np.ndarray, scale: float | int
  ) -> tuple[np.ndarray, np.ndarray]:
    """Returns the input and the truth of an image.

    The truth is the image cut at its right and bottom to sides that are
    multiples of `scale`, rounded where the scale is fractional.

    Args:
      image: [H W 3], uint8 or uint16.
      scale: at least 1.

    Returns:
      lowres [h w 3] and highres [H' W' 3], float32 in [0, 1].

    Raises:
      ValueError: the scale is below 1, or nothing would be left to score.
    """
    if not 1.0 <= scale < np.inf:
      raise ValueError(f"scale must be a number of at least 1, got {scale}")
    coarse, fine = mod_crop(image.shape[:2], scale)
    border = self.border(scale)
    if min(fine) - 2 * border < _LEAST:
      raise ValueError(
        f"an image of {image.shape[0]} x {image.shape[1]} is too small for "
        f"x{scale:g}: without {border} cells at every border no {_LEAST} x "
        f"{_LEAST} are left to score"
      )
    truth = np.ascontiguousarray(image[: fine[0], : fine[1]])
    white = np.float32(np.iinfo(image.dtype).max)
    lowres = self.inputs(truth, coarse)
    return lowres.astype(np.float32) / white, truth.astype(np.float32) / white

  def border(self, scale: float | int) -> int:
    """Returns how many cells of each border are left out."""
    return math.ceil(scale) + self.margin

  def finish(self, pred: np.ndarray) -> np.ndarray:
    """Returns a prediction clamped to [0, 1], and rounded where it is."""
    pred = np.clip(np.asarray(pred, np.float64), 0.0, 1.0)
    if self.bits is None:
      return pred
    white = 2.0**self.bits - 1.0
    return np.round(pred * white) / white

  def score(
    self, pred: np.ndarray, highres: np.ndarray, scale: float | int
  ) -> dict[str, float]:
    """Returns the "psnr" in dB and the "ssim" of a prediction.

    Args:
      pred: [H W 3], before `finish`.
      highres: the truth, [H W 3] in [0, 1].
      scale: how many times the input was coarser.
    """
    border = self.border(scale)
    inside = slice(border, -border)
    pred, truth = (
      np.asarray(v, np.float64)[inside, inside]
      for v in (self.finish(pred), highres)
    )
    luma, true_luma = (luma_of(v)[None, ..., None] for v in (pred, truth))
    error = luma - true_luma if self.is_luma else pred - truth
    with np.errstate(divide="ignore"):
      psnr = -10.0 * np.log10(np.mean(np.square(error)))
    ssim = metrics.ssim(luma, true_luma, data_range=1.0)
    return {"psnr": float(psnr), "ssim": float(ssim[0, 0])}


def luma_of(image: np.ndarray) -> np.ndarray:
  """Returns the BT.601 luma of RGB in [0, 1], [..]; black is 16 / 255."""
  return image @ LUMA + _BLACK


def mod_crop(
  shape: tuple[int, int], scale: float | int
) -> tuple[tuple[int, int], tuple[int, int]]:
  """Returns the shapes of the input and of the truth of an image.

  h = floor(H / s), and the truth has round(h s) rows, halves to even: for a
  whole s the largest multiple of it.
  """
  h, w = (math.floor(n / scale + 1e-9) for n in shape)
  return (h, w), (round(h * scale), round(w * scale))


def look_up(name: str) -> Protocol:
  """Returns the protocol called `name`; a ValueError names the nearest."""
  return naming.look_up("protocol", name, PROTOCOLS)


_LUMA_TEXT = (
  "PSNR and SSIM of the BT.601 luma without a border of s cells, mean over "
  "images; predictions clamped to [0, 1], {}; inputs made of the image, cut to "
  "multiples of s, by {}, in its own bits"
)
_RGB_TEXT = (
  "PSNR of the RGB values (SSIM of the luma) without a border of s + 6 cells, "
  "mean over images; predictions clamped to [0, 1], not rounded; inputs made "
  "of the image, cut to multiples of s, by {}, in its own bits"
)
_PILLOW, _MATLAB = "Pillow's bicubic", "MATLAB's imresize (bicubic)"
PROTOCOLS = {
  "benchmark_luma": Protocol(
    _LUMA_TEXT.format("not rounded", _PILLOW), pillow, is_luma=True
  ),
  "benchmark_luma_matlab": Protocol(
    _LUMA_TEXT.format("not rounded", _MATLAB), matlab, is_luma=True
  ),
  "single_scale_luma": Protocol(
    _LUMA_TEXT.format("rounded to 8 bits", _MATLAB),
    matlab,
    is_luma=True,
    bits=8,
  ),
  "div2k_rgb": Protocol(
    _RGB_TEXT.format(_PILLOW), pillow, is_luma=False, margin=6
  ),
  "div2k_rgb_matlab": Protocol(
    _RGB_TEXT.format(_MATLAB), matlab, is_luma=False, margin=6
  ),
}
