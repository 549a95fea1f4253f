"""Writes the tables of README.md from the committed results.

python -m experiments.readme
"""

import json
import pathlib

from benchmarks import run as benchmark
from experiments.demo import show
from experiments.first_light import run as first_light
from experiments.four_sciences import show as four_sciences
from experiments.published_liif import show as published_liif
from hinote_jax.evaluate import markdown, report

README = pathlib.Path(__file__).parents[1] / "README.md"


def tables() -> dict[str, str]:
  """Returns the tables of the README by name."""
  return {
    "demo": show.table(report.read(show.FOLDER)),
    "first_light": first_light.table(
      json.loads(first_light.RESULTS.read_text())
    ),
    "sciences": four_sciences.summary(),
    "liif": published_liif.table(),
    "benchmark": benchmark.table(
      json.loads(benchmark.RESULTS.read_text())["results"]
    ),
  }


def filled(text: str) -> str:
  """Returns the README with every marked block replaced by its table."""
  blocks = {f"{name} table": table for name, table in tables().items()}
  return markdown.filled(text, blocks)


def main() -> None:
  """Rewrites README.md."""
  README.write_text(filled(README.read_text()))


if __name__ == "__main__":
  main()
