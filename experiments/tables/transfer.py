"""What is lost between a network and its table, and what training wins back.

    python -m experiments.tables.transfer --images=Set5 \\
      runs/im_nlcz runs/im_nlcz.npz runs/im_fine.npz

The three are of one IM-LUT: the run of the network, the table that was made of
it, and that table after its entries were trained (`configs/tables.py`:
`im_lut,table`). They see the same inputs, in grey; what network and table
differ by is a mean over samples and photographs, of 255, before rounding.
"""

import argparse
import json
import pathlib
from typing import Any

import numpy as np

from experiments.tables import show
from hinote_jax import infer
from hinote_jax.evaluate import image_sets, markdown, protocols
from hinote_jax.io import files

RESULTS = show.RESULTS.with_name("transfer.json")
_KINDS = ("network", "table", "table, its entries trained")
_SCALES = ("2", "2.5", "3", "4")


def difference(
  images: pathlib.Path, network: Any, table: Any, scale: float
) -> float:
  """Returns what network and table differ by, mean absolute, of 255."""
  rules = protocols.look_up(show.PROTOCOL)
  photographs, found = image_sets.load("folder", path=images), []
  for i in range(len(photographs.names)):
    lowres, highres = rules.prepare(photographs.read(i), scale)
    grey = protocols.luma_of(lowres)[..., None].astype(np.float32)
    one, other = (p(grey, shape=highres.shape[:2]) for p in (network, table))
    found.append(255.0 * float(np.abs(one - other).mean()))
  return float(np.mean(found))


class _OfColours:
  """A predictor of one channel, of each colour by itself."""

  def __init__(self, predictor: Any):
    self._predictor = predictor

  def __call__(self, lowres: np.ndarray, *, shape: tuple[int, int]):
    colours = np.moveaxis(lowres, -1, 0)[..., None]
    made = [self._predictor(colour, shape=shape) for colour in colours]
    return np.concatenate(made, axis=-1)


def measure(images: pathlib.Path, paths: list[str]) -> dict[str, Any]:
  """Returns the PSNR of the three at every scale, and the difference."""
  network, made, trained = (
    infer.load(paths[0], "latest"),
    infer.load(paths[1]),
    infer.load(paths[2]),
  )
  every = (_OfColours(network), made, trained)
  return {
    "psnr": {
      kind: show.score(images, predictor, _SCALES)
      for kind, predictor in zip(_KINDS, every, strict=True)
    },
    "difference": {
      scale: difference(images, network, made, float(scale))
      for scale in _SCALES
    },
  }


def table(known: dict[str, Any]) -> str:
  """Returns what was measured as Markdown."""
  lines = [["IM-LUT NLCZ", *(f"x{scale}" for scale in _SCALES)]]
  for kind, psnr in known["psnr"].items():
    lines.append([kind, *(f"{psnr[scale]:.2f}" for scale in _SCALES)])
  apart = known["difference"]
  name = "network and table differ by, of 255"
  lines.append([name, *(f"{apart[scale]:.2f}" for scale in _SCALES)])
  return markdown.table(lines)


def main() -> None:
  """Measures where runs are given, fills the page and prints the table."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--images", type=pathlib.Path)
  parser.add_argument("paths", nargs="*", metavar="NETWORK TABLE TRAINED")
  asked = parser.parse_args()
  if asked.paths:
    known = measure(asked.images, asked.paths)
    files.write_text(RESULTS, json.dumps(known, indent=1) + "\n")
  made = table(json.loads(RESULTS.read_text()))
  text = show.README.read_text()
  files.write_text(show.README, markdown.filled(text, {"transfer": made}))
  print(made)


if __name__ == "__main__":
  main()
