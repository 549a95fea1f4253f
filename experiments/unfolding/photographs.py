"""Photographs behind a known blur, by a denoiser that was trained for minutes.

    python -m experiments.unfolding.photographs FOLDER SET5
    python -m experiments.unfolding.photographs FOLDER SET5 --smoke

FOLDER has photographs to train the denoiser on, SET5 those that are scored.
The protocol is that of USRNet's table: photographs cut to whole cells, blurred
as if they closed on themselves, the upper left pixel of each s x s kept, the
input of 8 bits; PSNR of all colours, s^2 pixels of each border left out.
"""

import argparse
import math
import time

import jax
import numpy as np
from PIL import Image
from scipy import ndimage

from configs import unfolding
from experiments.unfolding import run, show
from hinote_jax import degradations, infer
from hinote_jax.degradations import drawn, psf
from hinote_jax.evaluate import image_sets
from hinote_jax.infer import blurred
from hinote_jax.metrics import image as metrics
from hinote_jax.train import loop, workdir

STEPS = 1500
_SIZE = {"model.width": 48, "model.depth": 10}  # for minutes
CASES = ((2, 0.0), (3, 0.0), (3, 7.65 / 255.0), (4, 0.0))
# Whose kernels these are is on the page.
KERNELS = {
  "gaussian(0.7)": lambda: psf.read("gaussian(0.7)")[0],
  "gaussian(1.6)": lambda: psf.read("gaussian(1.6)")[0],
  "gaussian(3, 1.2, 30)": lambda: psf.read("gaussian(3, 1.2, 30)")[0],
  "motion": lambda: drawn.motion(np.random.default_rng(9)),
}


def config(folder: str, *, is_smoke: bool):
  """Returns the config of the denoiser."""
  made = unfolding.get_config("denoiser")
  made.data.path = folder
  made.split.validation, made.split.test = 0.02, 0.02
  made.steps, made.validate_every = STEPS, STEPS // 5
  made.validation_examples = 16
  made.update_from_flattened_dict(_SIZE)
  if is_smoke:
    made.update_from_flattened_dict(
      {"steps": 20, "validate_every": 10, "model.width": 8, "model.depth": 3}
    )
  return made


def degraded(highres, kernel, scale, noise, seed):
  """Returns the input of 8 bits [h w 3] of a photograph [H W 3] in [0, 1]."""
  blurry = np.stack(
    [
      ndimage.convolve(c, kernel, mode="wrap")
      for c in np.moveaxis(highres, -1, 0)
    ],
    axis=-1,
  )
  lowres = blurry[::scale, ::scale]
  rng = np.random.default_rng(seed)
  lowres = lowres + noise * rng.standard_normal(lowres.shape)
  return np.round(np.clip(lowres, 0.0, 1.0) * 255.0) / 255.0


def pillow(lowres, scale):
  """Returns Pillow's bicubic, which takes samples for means of cells."""
  size = tuple(scale * n for n in lowres.shape[1::-1])
  picture = Image.fromarray(np.round(lowres * 255.0).astype(np.uint8))
  return np.asarray(picture.resize(size, Image.Resampling.BICUBIC)) / 255.0


def spline(lowres, scale):
  """Returns the cubic spline through the samples, where these are."""
  places = [np.arange(n * scale) / scale for n in lowres.shape[:2]]
  places = np.meshgrid(*places, indexing="ij")
  return np.stack(
    [
      ndimage.map_coordinates(c, places, order=3, mode="grid-wrap")
      for c in np.moveaxis(lowres, -1, 0)
    ],
    axis=-1,
  )


def score(pred, highres, border):
  """Returns the PSNR of a prediction of 8 bits, in dB."""
  inside = slice(border, -border), slice(border, -border)
  pred = np.round(np.clip(pred, 0.0, 1.0) * 255.0) / 255.0
  error = metrics.mse(pred[None][:, *inside], highres[None][:, *inside])
  return -10.0 * math.log10(error.mean())


def unfolded(denoiser: infer.Predictor, noise: float) -> infer.Unfolded:
  """Returns the loop around a denoiser, of photographs that close."""
  denoiser = infer.Predictor(
    denoiser.module,
    denoiser.variables,
    normaliser=denoiser.normaliser,
    periodic=(True, True),
  )
  # Its kernel and noise are told at each call.
  blur = degradations.parse(run.degradation(noise))
  return infer.Unfolded(denoiser, blur, registration="corner")


def scores(denoiser: infer.Predictor, photographs: image_sets.Images) -> list:
  """Returns mean PSNR, a row each of scale, noise, kernel and way."""
  rows = []
  own = blurred.units(denoiser, 3)
  for scale, noise in CASES:
    predict = unfolded(denoiser, noise)
    for name, make in KERNELS.items():
      kernel, found = make(), {"bicubic": [], "spline": [], "unfolded": []}
      seconds = 0.0
      for index in range(len(photographs.names)):
        highres = photographs.read(index) / 255.0
        height, width = (n - n % scale for n in highres.shape[:2])
        highres = highres[:height, :width]
        lowres = degraded(highres, kernel, scale, noise, seed=index)
        told = blurred.Blur.of(kernel, noise)
        assert told is not None
        before = time.perf_counter()
        made = predict(lowres, scale=scale, extras=told.extras(own))
        seconds += time.perf_counter() - before
        ways = {
          "bicubic": pillow(lowres, scale),
          "spline": spline(lowres, scale),
          "unfolded": made,
        }
        for way, pred in ways.items():
          found[way].append(score(pred, highres, scale**2))
      means = {way: float(np.mean(values)) for way, values in found.items()}
      print(scale, f"{noise:.3f}", name, means, f"{seconds:.0f} s", flush=True)
      rows += [
        dict(scale=scale, noise=noise, kernel=name, way=way, psnr=value)
        for way, value in means.items()
      ]
  return rows


def main(argv: list[str] | None = None) -> None:
  """Trains the denoiser where it is not there, scores it and fills the page."""
  parser = argparse.ArgumentParser()
  parser.add_argument("training", metavar="FOLDER")
  parser.add_argument("scored", metavar="SET5")
  parser.add_argument("--smoke", action="store_true")
  arguments = parser.parse_args(argv)
  root = run.ROOT.with_name("unfolding-smoke") if arguments.smoke else run.ROOT
  folder = root / "ffdnet"
  loop.train(config(arguments.training, is_smoke=arguments.smoke), folder)
  photographs = image_sets.load(
    "folder", path=arguments.scored, limit=1 if arguments.smoke else None
  )
  rows = scores(infer.load(folder), photographs)
  if arguments.smoke:
    print(show.photographs(rows))
    return
  known = dict(steps=STEPS, jax=jax.__version__, rows=rows)
  workdir.write_json(show.PHOTOGRAPHS, known)
  show.main()


if __name__ == "__main__":
  main()
