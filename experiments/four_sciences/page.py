"""One page of figures: what went in, what came out, and the truth.

python -m experiments.four_sciences.page
"""

import numpy as np

from experiments.four_sciences import runs, show
from hinote_jax import models as zoo
from hinote_jax.evaluate import scores
from hinote_jax.plots import looks, maps, scales, style

PICTURE = runs.FOLDER / "page.png"
_TITLES = {
  "turbulence": "turbulence, held out",
  "turbulence_elsewhere": "turbulence of others",
  "weather": "weather",
  "rain": "radar",
  "mri": "MRI",
}
_SCALE = 4.0
_SHARE = 0.3  # of a field's side, of the window that is drawn


def _curves(evaluation, variable: str) -> tuple[list, dict]:
  """Returns the scales, and each model's error over bicubic's."""
  found = sorted(evaluation.header["scales"])
  names = [n for n in evaluation.header["models"] if n != "nearest"]
  mse = {
    (row["model"], row["scale"]): row["mse"]
    for row in evaluation.select(variable=variable)
  }
  base = np.array([mse[scores.BASELINE, scale] for scale in found])
  return found, {
    name: np.array([mse[name, scale] for scale in found]) / base
    for name in names
  }


def _best(evaluation, variable: str, names) -> str:
  rows = evaluation.select(variable=variable, scale=_SCALE)
  mse = {row["model"]: row["mse"] for row in rows}
  return min(names, key=mse.get)


def _draw(row, name: str, evaluation, kept) -> None:
  """Draws a science into a row of axes."""
  variable, domain = (
    evaluation.header["variables"][0],
    evaluation.header["domain"],
  )
  models = evaluation.header["models"]
  rivals = [n for n in models if n in zoo.INTERPOLATIONS]
  ours = [n for n in models if n.startswith("hinote")]
  shown = [_best(evaluation, variable["name"], g) for g in (rivals, ours)]
  fields = {"input": kept["lowres"]}
  fields |= {n: kept[f"by {n}"] for n in shown}
  fields["truth"] = kept["highres"]
  fields = {n: v[..., 0] for n, v in fields.items()}
  truth = fields["truth"]
  where = maps.frame(truth.shape)
  window = maps.worst_window(fields[shown[0]] - truth, _SHARE)
  edges = maps.box(where, truth.shape, window)
  look = looks.look(
    maps.inside(truth, where, edges),
    name=variable["name"],
    units=variable["units"],
    domain=domain,
  )
  for axes, (title, values) in zip(row, fields.items(), strict=False):
    maps.show(axes, values, where, **look)
    maps.zoom(axes, edges)
    axes.set(xticks=[], yticks=[], title=f"{title}, x{_SCALE:g}")
  row[3].set_title("truth")
  units = variable["units"].replace("1", "") and variable["units"]
  what = variable["long_name"] or variable["name"]
  maps.colorbar(row[:4], f"{what}{style.unit_label(units)}")
  row[0].set_ylabel(_TITLES[name], fontweight="bold")
  found, curves = _curves(evaluation, variable["name"])
  scales.panel(row[4], np.asarray(found), curves)
  row[4].set_title("MSE / bicubic's")
  row[4].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8.5)


def write() -> None:
  """Draws what has been scored here, and leaves the page as it is if none."""
  names = [n for n in _TITLES if (runs.ROOT / f"{n}.npz").is_file()]
  if not names:
    return
  with style.context():
    figure = style.figure(15.0, 2.9 * len(names))
    grid = figure.subplots(len(names), 5, squeeze=False)
    for row, name in zip(grid, names, strict=True):
      evaluation = show.read(name)
      with np.load(runs.ROOT / f"{name}.npz") as kept:
        _draw(row, name, evaluation, kept)
    style.save(figure, PICTURE)


if __name__ == "__main__":
  write()
