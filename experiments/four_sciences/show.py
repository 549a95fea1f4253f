"""Prints the scores of the four sciences and writes them into README.md.

python -m experiments.four_sciences.show
"""

import json

from experiments.four_sciences import near, rates, runs
from hinote_jax import models as zoo
from hinote_jax.evaluate import markdown, scores
from hinote_jax.io import files
from hinote_jax.metrics import domains

README = runs.FOLDER / "README.md"
# Of each science, what its people look at; shown at one scale.
_ASKED = {
  "turbulence": ("enstrophy_error", "energy_error", "effective_resolution"),
  "weather": ("area_rmse", "acc", "effective_resolution"),
  "radar": ("csi_mean", "fss@5@4", "effective_resolution"),
  "mri": ("psnr_head", "hfen", "ssim_head"),
}
_SCALE = 4.0


def read(name: str) -> scores.Evaluation | None:
  """Returns the scores that are kept under a name, if they are."""
  path = runs.RESULTS / f"{name}.json"
  if not path.is_file():
    return None
  values = json.loads(path.read_text())
  values["header"]["models"] = [
    runs.label(m) for m in values["header"]["models"]
  ]
  for row in values["rows"]:
    row["model"] = runs.label(row["model"])
  return scores.Evaluation.from_dict(values | {"spectra": []})


def table(evaluation: scores.Evaluation) -> str:
  """Returns errors over bicubic's at all scales, and what the science asks."""
  header = evaluation.header
  scales = sorted(header["scales"])
  asked = [
    (key, domains.metric(header["domain"], key))
    for key in _ASKED[header["domain"]]
  ]
  parts = []
  for variable in header["variables"]:
    at = {"variable": variable["name"]}
    present = evaluation.select(scale=_SCALE, **at)[0]
    shown = [(k, m) for k, m in asked if k in present]
    titles = [m.title.replace("%", variable["units"]) for _, m in shown]
    lines = [
      [
        variable["name"],
        *(f"x{s:g}" for s in scales),
        *(f"{t}, x{_SCALE:g}" for t in ["SSIM", *titles]),
      ]
    ]
    base = {
      r["scale"]: r["mse"]
      for r in evaluation.select(model=scores.BASELINE, **at)
    }
    for model in header["models"]:
      rows = {r["scale"]: r for r in evaluation.select(model=model, **at)}
      cells = [f"{rows[s]['mse'] / base[s]:.3f}" for s in scales]
      cells.append(f"{rows[_SCALE]['ssim']:.4f}")
      cells += [format(rows[_SCALE][k], m.digits) for k, m in shown]
      lines.append([model, *cells])
    parts.append(markdown.table(lines))
  return "\n\n".join(parts)


def summary() -> str:
  """Returns errors over bicubic's of all sciences."""
  names = ["hinote", "hinote, longer", "srno", "liif"]
  lines = [["fields", "scale", *names, "best interpolation"]]
  for name in sections():
    evaluation = read(name)
    if evaluation is None:
      continue
    for variable in evaluation.header["variables"]:
      for scale in (2.0, 4.0, 8.0):
        rows = evaluation.select(variable=variable["name"], scale=scale)
        mse = {row["model"]: row["mse"] for row in rows}
        base = mse[scores.BASELINE]
        cells = [f"{mse[n] / base:.3f}" if n in mse else "" for n in names]
        best = min((n for n in mse if n in zoo.INTERPOLATIONS), key=mse.get)
        cells.append(f"{mse[best] / base:.3f} ({best})")
        title = f"{name.replace('_', ' ')}, {variable['name']}"
        lines.append([title, f"x{scale:g}", *cells])
  return markdown.table(lines, left=2)


def sections() -> list[str]:
  """Returns the names under which scores are kept, in the order shown."""
  names = []
  for name in runs.EXTRA:
    names += [name, *([f"{name}_elsewhere"] if name in runs.ELSEWHERE else [])]
  return names


def behind(evaluation: scores.Evaluation) -> str:
  """Returns where hinote's error is not the least, in words."""
  models = evaluation.header["models"]
  peers = [m for m in models if not m.startswith("hinote")]
  found = []
  for variable in evaluation.header["variables"]:
    for scale in sorted(evaluation.header["scales"]):
      where = dict(variable=variable["name"], scale=scale)
      mse = {r["model"]: r["mse"] for r in evaluation.select(**where)}
      best = min(peers, key=mse.get)
      if mse[best] < mse["hinote"]:
        more = mse["hinote"] / mse[best] - 1.0
        found.append(f"{variable['name']} x{scale:g} ({best}, by {more:.1%})")
  networks = [m for m in peers if m not in zoo.INTERPOLATIONS]
  start = "After the same steps `hinote`" if networks else "`hinote`"
  if not found:
    return f"{start} has the least MSE at every scale."
  return f"{start} is behind in MSE: {', '.join(found)}."


def costs(evaluation: scores.Evaluation) -> str:
  """Returns what each run is and took."""
  lines = [["run", "parameters", "steps", "minutes", "waited for data"]]
  for cost in evaluation.header["runs"]:
    lines.append(
      [
        f"{cost['name']} ({cost['model']})",
        f"{cost['parameters']:,}",
        f"{cost['steps']:,}",
        f"{cost['seconds'] / 60:.1f}",
        f"{cost['waiting']:.2%}",
      ]
    )
  return markdown.table(lines)


def _section(name: str) -> str:
  evaluation = read(name)
  if evaluation is None:
    return "Not run."
  header = evaluation.header
  about = (
    f"Fields of {' x '.join(map(str, header['shape']))} cells; "
    f"{header['split']}; degradation `{header['degradation']}`. MSE over "
    "bicubic's at each scale, and beside it scores at x4."
  )
  return "\n\n".join([about, table(evaluation), behind(evaluation)])


def filled(text: str) -> str:
  """Returns the README with every marked block made anew."""
  found = {name: _section(name) for name in sections()}
  every = [read(name) for name in runs.EXTRA]
  found["costs"] = "\n\n".join(costs(e) for e in every if e is not None)
  if near.RESULTS.is_file():
    found["near"] = near.table(json.loads(near.RESULTS.read_text()))
  if rates.RESULTS.is_file():
    found["rates"] = rates.table(json.loads(rates.RESULTS.read_text()))
  names = [runs.command(name) for name in runs.RUNS]
  found["commands"] = "\n".join(["```", *names, "```"])
  return markdown.filled(text, found)


def write() -> None:
  """Rewrites the README of this folder."""
  files.write_text(README, filled(README.read_text()))


if __name__ == "__main__":
  write()
