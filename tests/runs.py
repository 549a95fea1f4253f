"""A tiny run for tests: a few smooth random fields in a file, a small model."""

import pathlib
import sys
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from configs import common
from hinote_jax.train import loop
from hinote_jax.train import step as train_step

ROOT = pathlib.Path(__file__).parents[1]


def write_fields(path: pathlib.Path, *, seed: int = 0) -> pathlib.Path:
  """Writes 12 smooth fields [12 40 48] around 280 as npy; returns the path."""
  rng = np.random.default_rng(seed)
  ky = np.fft.fftfreq(40)[:, None]
  kx = np.fft.rfftfreq(48)[None]
  envelope = 1.0 / (0.01 + ky**2 + kx**2)
  noise = rng.normal(size=(12, 40, 25)) + 1j * rng.normal(size=(12, 40, 25))
  fields = np.fft.irfft2(envelope * noise, s=(40, 48))
  np.save(path, (280.0 + fields).astype(np.float32))
  return path


def tiny_config(
  path: pathlib.Path, cache_dir: pathlib.Path
) -> ml_collections.ConfigDict:
  """Returns an unlocked config that trains in seconds on `write_fields`."""
  config = common.base()
  config.steps = 6
  config.batch_size = 8
  config.data = dict(
    name="files",
    path=str(path),
    variables=("psi",),
    cache_dir=str(cache_dir),
  )
  config.split = dict(validation=2, test=2, gap=0)
  config.windows = dict(
    window=(8, 8), queries=(8, 8), min_scale=1.0, max_scale=4.0
  )
  config.model = dict(
    name="hinote",
    preset="pointwise",
    width=8,
    blocks=1,
    head_width=8,
    residual_scale="auto",
  )
  config.loss.name = "frequency_prior"
  config.log_every = 1
  config.validate_every = 3
  config.validation_examples = 4
  config.evaluate = dict(scales=(2.0,), against=("bicubic",), figures=False)
  return config


def write_config(
  path: pathlib.Path, config: ml_collections.ConfigDict
) -> pathlib.Path:
  """Writes a config as a file that the command line can load."""
  path.write_text(
    "import ml_collections\n"
    "def get_config():\n"
    f"  return ml_collections.ConfigDict({config.to_dict()!r})\n"
  )
  return path


def command(config: pathlib.Path | str, workdir: pathlib.Path) -> list[str]:
  """Returns the command line that trains a config."""
  return [
    sys.executable,
    "-m",
    "hinote_jax.main",
    f"--config={config}",
    f"--workdir={workdir}",
  ]


def train_lightly(
  config: ml_collections.ConfigDict, workdir: pathlib.Path
) -> dict[str, Any]:
  """Trains by steps that push the parameters a little, without a gradient.

  It makes a workdir where a test is of what is done with a run, and not of what
  it learns: the gradient is most of what a training compiles.
  """

  def make_train_step(*args, **kwargs):
    del args, kwargs
    return _push

  with mock.patch.object(train_step, "make_train_step", make_train_step):
    return loop.train(config, workdir)


def _push(state, batch, axis_name=None):
  del batch, axis_name

  def pushed(leaf):
    wave = jnp.sin(1.0 + jnp.arange(leaf.size, dtype=leaf.dtype))
    return leaf + 0.01 * wave.reshape(leaf.shape)

  params = jax.tree.map(pushed, state.params)
  average = jax.tree.map(pushed, state.average)
  metrics = {name: jnp.ones(()) for name in ("loss", "mse", "grad_norm")}
  moved = state.replace(params=params, average=average, step=state.step + 1)
  return moved, metrics
