"""Writes the encoder of a run as a network that comes with the package.

    python -m experiments.tables.photographs photographs
    python -m hinote_jax.main --config=configs/perceptual.py:inn_photographs \\
      --config.data.path=photographs --workdir=runs/inn_photo
    python -m experiments.perceptual.networks runs/inn_photo inn-photo

The tensors are called as CDDFuse calls them.
"""

import pathlib
import sys

import numpy as np

from hinote_jax import interop
from hinote_jax.train import checkpoint, feature_networks


def write(workdir: pathlib.Path, name: str) -> pathlib.Path:
  """Writes the best weights of a run; returns where."""
  variables, meta = checkpoint.load_variables(workdir, "best")
  kwargs = {k: v for k, v in meta["model"].items() if k != "name"}
  tensors = interop.to_tensors(meta["model"]["name"], kwargs, variables)
  path = feature_networks.SHIPPED / f"{name}.npz"
  path.parent.mkdir(exist_ok=True)
  np.savez_compressed(path, **tensors)
  return path


if __name__ == "__main__":
  print(write(pathlib.Path(sys.argv[1]), sys.argv[2]))
