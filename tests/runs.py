"""A tiny run for tests: a few smooth random fields in a file, a small model."""

import pathlib

import ml_collections
import numpy as np

from configs import common


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
