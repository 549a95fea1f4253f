"""HAT with and without what AST changes, from scratch at equal steps and time.

    python -m experiments.hat_ast.run --time           # on a quiet machine
    python -m experiments.hat_ast.run                  # all, goes on by itself
    python -m experiments.hat_ast.run --only=hat,sparse --scales=2 --seeds=1
    python -m experiments.hat_ast.run --smoke          # a minute, nothing kept
    python -m experiments.hat_ast.run --print

The survey's network with sparse attention (`hat_ast`) came out worse than HAT
at x4. It changes three things at once; here each is changed alone. BSDS500's
train images are in ../shared/data/natural, or wherever --images says; every
tenth is held out. Every variant takes as many steps; then as many as fit into
the time that HAT takes for them ("time"), by the seconds a step that --time
took, alone. A run that is stopped goes on; one that is in results.json is not
done again. On two cores the fastest is a scale on each (taskset -c 0 ...
--scales=2, taskset -c 1 ... --scales=4).
"""

import argparse
import json
import pathlib
import shutil

import jax

from configs import sciences
from experiments import equal_time
from experiments.hat_ast import page
from hinote_jax import infer
from hinote_jax.core import naming
from hinote_jax.evaluate import image_sets, images
from hinote_jax.train import checkpoint
from hinote_jax.train import loop as train

ROOT = pathlib.Path("runs/hat_ast")
_STEPS = 1200
_PROTOCOL = "benchmark_luma_matlab"
# Beside what `page.VARIANTS` change: some three minutes on one core.
_NETWORK = dict(
  embed_dim=32,
  depths=(2, 2),
  num_heads=(2, 2),
  window_size=8,
  num_feat=32,
  compress_ratio=3,
  squeeze_factor=8,
)
_SIDES = {2: 24, 4: 16}  # of a window, by scale
_SMOKE = dict(embed_dim=8, depths=(1,), num_heads=(1,), num_feat=8)


def divided(source: pathlib.Path, root: pathlib.Path, limit: int | None = None):
  """Copies images into two folders, to train on and held out; every tenth.

  Raises:
    FileNotFoundError: there are none.
  """
  found = sorted(p for p in source.iterdir() if p.suffix == ".jpg")[:limit]
  if not found:
    raise FileNotFoundError(f"{source} has no .jpg: give BSDS500 by --images")
  for i, path in enumerate(found):
    folder = root / ("held_out" if i % 10 == 9 else "train")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / path.name).exists():
      shutil.copyfile(path, folder / path.name)


def config(run: page.Run, steps: int, root: pathlib.Path, smoke: bool = False):
  """Returns the config of a run: that of photographs, smaller."""
  made = sciences.get_config("images,small,model=hat")
  side = 8 if smoke else _SIDES[run.scale]
  model = {**_NETWORK, **(_SMOKE if smoke else {})}
  model |= {**page.VARIANTS[run.variant], "scale": run.scale}
  made.update_from_flattened_dict(
    {
      "data.path": str(root / "train"),
      "windows.window": (side, side),
      "windows.queries": (side * run.scale,) * 2,
      "windows.symmetries": ("flip_y", "flip_x", "transpose"),
      "optim.learning_rate": 3e-3,
      "seed": run.seed,
      "steps": steps,
      "batch_size": 4,
      "log_every": max(1, steps // 40),
      "validate_every": max(1, steps // 8),
      **{f"model.{name}": value for name, value in model.items()},
    }
  )
  return made


def timed(scales, names, root: pathlib.Path) -> None:
  """Times a step of each variant, those of a scale in turns, once."""
  for scale in scales:
    runs = [page.Run("steps", scale, 0, name) for name in names]
    configs = {run.timing: config(run, 1, root) for run in runs}
    equal_time.keep_seconds(page.RESULTS, configs, root / "probe")


def steps_of(run: page.Run) -> int:
  """Returns how many steps a run has.

  Raises:
    SystemExit: it has those of the time of HAT, and a step was not timed.
  """
  if run.budget == "steps":
    return _STEPS
  own, plain = (
    page.RESULTS.seconds_a_step(each.timing)
    for each in (run, run._replace(variant=page.PLAIN))
  )
  return round(_STEPS * plain / own)


def _scores(folder: pathlib.Path, run: page.Run, root: pathlib.Path, sets):
  predictor = infer.load(folder)
  found = {}
  for name, path in sets(root).items():
    evaluation = images.evaluate(
      {"hat": predictor, "bicubic": infer.load("bicubic")},
      image_sets.load("folder", path=path),
      protocol=_PROTOCOL,
      scales=(run.scale,),
      progress=False,
    )
    found[name] = {m["model"]: m["psnr"] for m in evaluation.means}
  return found


def do(run: page.Run, steps: int, root: pathlib.Path, sets, **options) -> dict:
  """Trains a run, or goes on with it, and returns what came of it."""
  folder = root / run.name
  train.train(config(run, steps, root, **options), folder)
  variables, _ = checkpoint.load_variables(folder)
  return run._asdict() | {
    "steps": steps,
    "parameters": sum(int(x.size) for x in jax.tree.leaves(variables)),
    "psnr": _scores(folder, run, root, sets),
  }


def go_on(runs, source: pathlib.Path, set5: pathlib.Path) -> None:
  """Does the runs that are not in results.json, one after the other."""
  divided(source, ROOT)

  def sets(root):
    return {"Set5": set5, "BSDS": root / "held_out"}

  for run in runs:
    page.RESULTS.once(
      "runs", run.name, lambda run=run: do(run, steps_of(run), ROOT, sets)
    )
    page.write()


def smoke(source: pathlib.Path, root: pathlib.Path) -> list[dict]:
  """Trains two variants for a few steps and returns their scores."""
  divided(source, root, limit=10)
  runs = [page.Run("steps", 2, 0, name) for name in (page.PLAIN, "ast")]

  def sets(root):
    return {"BSDS": root / "held_out"}

  return [do(run, 4, root, sets, smoke=True) for run in runs]


def main() -> None:
  """Does what is asked for, and writes the page."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
  shared = pathlib.Path("../shared/data/natural")
  parser.add_argument("--only", default=",".join(page.VARIANTS))
  parser.add_argument("--scales", default="2,4")
  parser.add_argument("--seeds", type=int, default=3)
  parser.add_argument(
    "--images", type=pathlib.Path, default=shared / "BSDS500_train200"
  )
  parser.add_argument("--set5", type=pathlib.Path, default=shared / "Set5")
  parser.add_argument("--time", action="store_true", help="steps, alone")
  parser.add_argument("--smoke", action="store_true")
  parser.add_argument("--print", action="store_true", dest="only_print")
  asked = parser.parse_args()
  if asked.smoke:
    print(json.dumps(smoke(asked.images, ROOT / "smoke"), indent=1))
    return
  names = asked.only.split(",")
  for name in names:
    naming.look_up("variant", name, page.VARIANTS)
  scales = [int(scale) for scale in asked.scales.split(",")]
  if asked.time:
    divided(asked.images, ROOT)
    timed(scales, names, ROOT)
  elif not asked.only_print:
    go_on(
      [
        page.Run(budget, scale, seed, name)
        for budget in page.BUDGETS
        for seed in range(asked.seeds)
        for scale in scales
        for name in names
        if (budget, name) != ("time", page.PLAIN)  # that is its steps
      ],
      asked.images,
      asked.set5,
    )
  print(page.text())


if __name__ == "__main__":
  main()
