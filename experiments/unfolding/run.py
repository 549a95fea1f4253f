"""Turbulence behind a known Gaussian filter, decimation and noise.

    python -m experiments.unfolding.run              # trains what is not there
    python -m experiments.unfolding.run --only=usrnet
    python -m experiments.unfolding.run --score      # trains nothing
    python -m experiments.unfolding.run --smoke      # a minute, in runs/

`usrnet` is told kernel and noise and trained once; the others are trained for
each noise. A run goes on where it was stopped. What is scored is kept in
results.json, of which `show` makes the page.
"""

import argparse
import pathlib
from typing import Any

import jax
import numpy as np

from configs import baselines, hinote, unfolding
from experiments import equal_time, flows
from experiments.unfolding import show
from hinote_jax import degradations, infer
from hinote_jax import models as zoo
from hinote_jax.core import deconvolution, grids
from hinote_jax.degradations import matrices
from hinote_jax.evaluate import scores
from hinote_jax.infer import blurred
from hinote_jax.train import loop, run_data, workdir

ROOT = pathlib.Path("runs/unfolding")
SCALES = (2.0, 4.0)
NOISES = (0.0, 0.01)  # of the deviation of the field
FILTER = "blur(0.5)|uniform"
_OTHERS = {
  "windows.window": (16, 16),
  "windows.queries": (32, 32),
  "windows.min_scale": 2.0,
  "windows.max_scale": 4.0,
  "windows.whole": 1.0,
}
# So many that one takes as long as another, ten minutes: a step of them takes
# .5, .028 and .45 s on two cores.
STEPS = {"usrnet": 1200, "hinote": 21000, "srno": 1330}
_SMOKE = {"steps": 20, "validate_every": 10, "validation_examples": 4}


def runs() -> list[tuple[str, float]]:
  """Returns what is trained: a model, and the noise that it is trained on."""
  others = [name for name in STEPS if name != "usrnet"]
  return [("usrnet", 0.0)] + [(n, noise) for n in others for noise in NOISES]


def folder(root: pathlib.Path, name: str, noise: float) -> pathlib.Path:
  """Returns where a run is."""
  return root / (name if name == "usrnet" else f"{name}-{noise:g}")


def degradation(noise: float) -> str:
  """Returns what a field is degraded by, with noise of a deviation."""
  return FILTER + (f"|noise({noise:g})" if noise else "")


def config(name: str, noise: float, *, is_smoke: bool):
  """Returns the config of a run."""
  given: dict[str, Any] = {}
  if name == "usrnet":
    made = unfolding.get_config("smoke" if is_smoke else "fields")
    if not is_smoke:
      given = {"windows.scales": (2, 4), "windows.noise": 0.02}
  else:
    get, argument = (
      (hinote.get_config, "untold")
      if name == "hinote"
      else (baselines.get_config, f"model={name},untold")
    )
    made = get(argument)
    given = hinote.LEVELS if name == "hinote" else {}
    given = given | _OTHERS | {"degradation": degradation(noise)}
  flows.put(made, is_small=is_smoke)
  given["steps"], given["validate_every"] = STEPS[name], STEPS[name] // 4
  made.update_from_flattened_dict(given | (_SMOKE if is_smoke else {}))
  made.evaluate.scales = SCALES
  return made


class Wiener:
  """The linear estimate of least error: told filter, noise and spectrum.

  A field is white noise through a filter of the mean spectrum of the training
  fields; the white noise is what a least squares of it finds.
  """

  def __init__(self, degradation, data):
    """Takes the spectrum of the training part."""
    self._degradation, self._normaliser = degradation, data.normaliser
    self._periodic = data.dataset.periodic
    power = np.mean([self._power(data, i) for i in data.split.train], axis=0)
    self._root = np.sqrt(power)

  def _power(self, data, i):
    values = self._normaliser.normalise(np.asarray(data.dataset.values[i]))
    spectrum = np.fft.rfft2(values.astype(np.float64), axes=(0, 1))
    return np.square(np.abs(spectrum)) / values[..., 0].size

  def __call__(self, lowres, *, shape, extras=None):
    """Returns the field [H W c] of a low resolution [h w c]."""
    del extras
    values = self._normaliser.normalise(lowres)[None].astype(np.float64)
    scale = grids.pair(
      n // m for n, m in zip(shape, values.shape[1:3], strict=True)
    )
    kernel = matrices.kernel(self._degradation, scale)[None, ..., None]
    plain = deconvolution.operator(kernel, shape, scale)
    white = np.fft.irfft2(plain.response * self._root, s=shape, axes=(1, 2))
    middle = shape[0] // 2, shape[1] // 2
    made = deconvolution.data_step(
      np.zeros((1, *shape, values.shape[-1])),
      values,
      np.roll(white, middle, axis=(1, 2)),
      np.array([max(self._degradation.noise, 1e-4) ** 2]),
      registration="corner",
    )
    spectrum = np.fft.rfft2(made, axes=(1, 2)) * self._root
    made = np.fft.irfft2(spectrum, s=shape, axes=(1, 2))
    return self._normaliser.denormalise(made[0].astype(np.float32))


def errors(root: pathlib.Path, *, is_smoke: bool) -> list[dict]:
  """Returns mean squared errors on the held-out fields, a row each."""
  rows = []
  for noise in NOISES:
    known = degradations.parse(degradation(noise))
    first = config("hinote", noise, is_smoke=is_smoke)
    data = run_data.make(first, folder(root, "hinote", noise))
    predictors = _predictors(root, noise, known, data)
    rows += [
      {k: row[k] for k in ("model", "scale", "mse")} | {"noise": noise}
      for row in equal_time.held_out(
        predictors, data, SCALES, degradation=known
      )
    ]
  return rows


def _predictors(root, noise, degradation, data):
  shared = dict(normaliser=data.normaliser, periodic=data.dataset.periodic)
  made = {
    name: infer.Predictor(zoo.build(name), {}, **shared)
    for name in (scores.BASELINE, "spectral")
  }
  made["Wiener"] = Wiener(degradation, data)
  for name, own in runs():
    if name == "usrnet":
      made[name] = _Told(infer.load(folder(root, name, own)), degradation)
    elif own == noise:
      made[name] = infer.load(folder(root, name, own))
  return made


class _Told:
  """USRNet, told of the filter and of the noise of an input."""

  def __init__(self, predictor, degradation):
    self._predictor, self._degradation = predictor, degradation

  def __call__(self, lowres, *, shape, extras=None):
    del extras
    scale = tuple(n // m for n, m in zip(shape, lowres.shape[:2], strict=True))
    kernel = matrices.kernel(self._degradation, scale)
    units = blurred.units(self._predictor, lowres.shape[-1])
    told = blurred.Blur.of(kernel, self._degradation.noise / units)
    assert told is not None
    return self._predictor(lowres, shape=shape, extras=told.extras(units))


def main(argv: list[str] | None = None) -> None:
  """Trains what is not there, scores all and fills the page."""
  parser = argparse.ArgumentParser()
  parser.add_argument("--only", choices=[n for n in STEPS], default=None)
  parser.add_argument("--score", action="store_true")
  parser.add_argument("--smoke", action="store_true")
  arguments = parser.parse_args(argv)
  root = ROOT.with_name("unfolding-smoke") if arguments.smoke else ROOT
  for name, noise in [] if arguments.score else runs():
    if arguments.only in (None, name):
      loop.train(
        config(name, noise, is_smoke=arguments.smoke), folder(root, name, noise)
      )
  if arguments.only is None:
    rows = errors(root, is_smoke=arguments.smoke)
    if arguments.smoke:
      print(show.table(rows))
      return
    known = dict(steps=STEPS, filter=FILTER, jax=jax.__version__, rows=rows)
    workdir.write_json(show.RESULTS, known)
    show.main()


if __name__ == "__main__":
  main()
