"""Writes the tables of README.md, and the tree of CONTRIBUTING.md.

python -m experiments.readme
"""

import ast
import json
import pathlib

from benchmarks import run as benchmark
from experiments.demo import show
from experiments.first_light import run as first_light
from experiments.four_sciences import show as four_sciences
from experiments.published_liif import show as published_liif
from hinote_jax.evaluate import markdown, report

ROOT = pathlib.Path(__file__).parents[1]
README, CONTRIBUTING = ROOT / "README.md", ROOT / "CONTRIBUTING.md"
# In the order of the arrows: each knows those above it.
_FOLDERS = (
  "core",
  "fields",
  "io",
  "degradations",
  "losses",
  "metrics",
  "lazy",
  "nn",
  "models",
  "interop",
  "data",
  "train",
  "evaluate",
  "infer",
  "plots",
  "cli",
)


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


def tree() -> str:
  """Returns the folders of the package and what each says of itself."""
  lines = []
  for name in _FOLDERS:
    folder = ROOT / "hinote_jax" / name
    inner = sorted(p.parent for p in folder.glob("*/__init__.py"))
    for part in (folder, *inner):
      module = ast.parse((part / "__init__.py").read_text(encoding="utf-8"))
      first = (ast.get_docstring(module) or "").splitlines()[0]
      depth = 2 * len(part.relative_to(folder).parts)
      lines.append(f"{' ' * depth + part.name + '/':<18} {first}")
  return "```\n" + "\n".join(lines) + "\n```"


def main() -> None:
  """Rewrites README.md and CONTRIBUTING.md."""
  README.write_text(filled(README.read_text()))
  text = CONTRIBUTING.read_text(encoding="utf-8")
  CONTRIBUTING.write_text(markdown.filled(text, {"tree": tree()}))


if __name__ == "__main__":
  main()
