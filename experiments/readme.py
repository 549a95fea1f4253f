"""Writes the tables of README.md and docs/, and the tree of CONTRIBUTING.md.

python -m experiments.readme
"""

import ast
import json
import pathlib

from benchmarks import against, beside
from benchmarks import run as benchmark
from experiments import question
from experiments.demo import show
from experiments.four_sciences import show as four_sciences
from experiments.given_time import run as given_time
from experiments.peers import show as peers
from experiments.published_liif import show as published_liif
from experiments.scaling import predict
from hinote_jax.evaluate import markdown, report

ROOT = pathlib.Path(__file__).parents[1]
README = ROOT / "README.md"
# Which blocks each page holds.
_BLOCKS = {
  "README.md": ("sciences", "beside PyTorch"),
  "CONTRIBUTING.md": ("tree",),
  "experiments/scaling/README.md": ("predictions",),
  "docs/place.md": ("demo table",),
  "docs/choose.md": ("sciences table",),
  "docs/published.md": ("liif table",),
  "docs/evidence.md": (
    "given time",
    "beside table",
    "benchmark table",
    "against table",
  ),
}
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
  "pages",
  "cli",
  "shipped",
)


def blocks() -> dict[str, str]:
  """Returns what scripts print for the pages, by name."""
  return {
    "demo table": show.table(report.read(show.FOLDER)),
    "given time": question.told(given_time.QUESTION),
    "sciences table": four_sciences.summary(),
    "sciences": peers.summary(),
    "beside PyTorch": beside.summary(beside.read()),
    "beside table": beside.table(beside.read()),
    "against table": against.table(json.loads(against.RESULTS.read_text())),
    "liif table": published_liif.table(),
    "benchmark table": benchmark.table(
      json.loads(benchmark.RESULTS.read_text())["results"]
    ),
    "predictions": predict.table(),
    "tree": tree(),
  }


def pages() -> list[pathlib.Path]:
  """Returns the pages that people read, the README first."""
  outside = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
  return [*outside, *sorted((ROOT / "docs").rglob("*.md"))]


def filled() -> dict[pathlib.Path, str]:
  """Returns the pages with every marked block made anew."""
  printed, texts = blocks(), {}
  for page, names in _BLOCKS.items():
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    texts[path] = markdown.filled(text, {name: printed[name] for name in names})
  return texts


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
  """Rewrites the pages."""
  for path, text in filled().items():
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
  main()
