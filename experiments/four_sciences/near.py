"""What whole scales do to a network that has seen none: scales near 2.

    python -m experiments.four_sciences.near [--print]

On held-out turbulence, by the run that drew its scales uniformly and by the
longer one, of which a quarter of the scales was whole.
"""

import argparse
import json

from experiments.four_sciences import runs
from hinote_jax.evaluate import markdown, scores
from hinote_jax.evaluate import run as scoring
from hinote_jax.train import run_data, workdir

RESULTS = runs.RESULTS / "near.json"
_SCALES = (1.9, 2.0, 2.1)
_NAMES = ("turbulence", "turbulence_long")


def _ratios(name: str) -> list[float]:
  """Returns the errors of a run over bicubic's, one a scale."""
  config = runs.config(name)
  config.evaluate.scales = _SCALES
  config.evaluate.against = (scores.BASELINE,)
  folder = runs.ROOT / name
  found = scoring.evaluate_run(config, folder, run_data.make(config, folder))
  rows = [found.select(scale=scale) for scale in _SCALES]
  errors = [{row["model"]: row["mse"] for row in at} for at in rows]
  return [e["hinote"] / e[scores.BASELINE] for e in errors]


def table(found: dict) -> str:
  """Returns the ratios as Markdown."""
  lines = [["MSE over bicubic's", *(f"x{s:g}" for s in found["scales"])]]
  for name, ratios in found["ratios"].items():
    lines.append([runs.label(name), *(f"{ratio:.3f}" for ratio in ratios)])
  lines[1][0] = "hinote"
  return markdown.table(lines)


def main() -> None:
  """Scores the runs, keeps the ratios and prints them."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--print", action="store_true", dest="only_print")
  if not parser.parse_args().only_print:
    ratios = {name: _ratios(name) for name in _NAMES}
    workdir.write_json(RESULTS, {"scales": _SCALES, "ratios": ratios})
  print(table(json.loads(RESULTS.read_text())))


if __name__ == "__main__":
  main()
