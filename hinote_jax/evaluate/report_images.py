"""The report of an evaluation on photographs, in Markdown."""

from typing import Any

from hinote_jax.evaluate import markdown, scores


def sections(evaluation: scores.Evaluation) -> list[str]:
  """Returns the report but for its title and pictures, section by section."""
  header = evaluation.header
  return [
    summary(evaluation),
    "## How it was measured\n\n"
    + markdown.facts(facts(header), header.get("command")),
    "## Every image",
    *(_images(evaluation, scale) for scale in header["scales"]),
  ]


def summary(evaluation: scores.Evaluation) -> str:
  """Returns the protocol in a line and the table of the means."""
  header = evaluation.header
  scales, models = header["scales"], header["models"]
  means = {(row["scale"], row["model"]): row for row in evaluation.means}
  lines = [["model", *(f"x{scale:g}" for scale in scales)]]
  for model in models:
    cells = [_cell(means[scale, model]) for scale in scales]
    lines.append([model, *cells])
  count = len(header["images"])
  return (
    f"PSNR in dB / SSIM, mean over {count} image{'s' * (count > 1)}. "
    f"{protocol_line(evaluation)}\n\n{markdown.table(lines)}"
  )


def protocol_line(evaluation: scores.Evaluation) -> str:
  """Returns what belongs beside every number, one line."""
  header = evaluation.header
  return f"Protocol `{header['protocol']}`: {header['description']}."


def facts(header: dict[str, Any]) -> dict[str, Any]:
  """Returns how it was measured, by name."""
  known = {
    "images": f"{len(header['images'])} of {header['dataset']}",
    "inputs and scores": f"`{header['protocol']}`, {header['description']}",
  }
  if "checkpoints" in header:
    known["models"] = ", ".join(
      f"{name} from `{path}`" for name, path in header["checkpoints"].items()
    )
  known["versions"] = header.get("versions", "")
  return known


def _images(evaluation: scores.Evaluation, scale: float) -> str:
  """Returns the table of one scale, an image a line."""
  models = evaluation.header["models"]
  rows = {
    (row["image"], row["model"]): row for row in evaluation.select(scale=scale)
  }
  lines = [["image", *models]]
  for image in evaluation.header["images"]:
    lines.append([image, *(_cell(rows[image, m]) for m in models)])
  return f"### x{scale:g}\n\n{markdown.table(lines)}"


def _cell(row: dict[str, Any]) -> str:
  return f"{row['psnr']:.2f} / {row['ssim']:.4f}"
