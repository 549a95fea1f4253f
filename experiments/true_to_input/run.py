"""Does a last layer that meets the input lower the error at equal time?

    python -m experiments.true_to_input.run --time   # on a quiet machine
    python -m experiments.true_to_input.run          # trains what is not there
    python -m experiments.true_to_input.run --only=turbulence
    python -m experiments.true_to_input.run --smoke  # minutes, in runs/

Every model trains with `config.model.consistent=True` and without it, for the
same time: --time times a step of each and keeps it in results.json. Runs go on
where they were stopped, and what is scored is kept there, too.
"""

import argparse
import json
import pathlib
from typing import Any

import jax

from configs import baselines, hinote
from experiments import equal_time, flows
from experiments.true_to_input import show
from hinote_jax.train import workdir

ROOT = pathlib.Path("runs/true_to_input")
MODELS = ("hinote", "srno", "liif")
SECONDS = 300.0
SCALES = (2.0, 2.5, 3.0, 4.0)
FIELDS = ("weather", "turbulence")
_SMOKE = {"windows.window": (8, 8), "windows.queries": (12, 12)}


def runs(only: str | None = None) -> list[tuple[str, str, bool]]:
  """Returns what is trained: fields, a model, and whether it is consistent."""
  return [
    (fields, model, is_consistent)
    for fields in FIELDS
    if only in (None, fields)
    for model in MODELS
    for is_consistent in (False, True)
  ]


def folder(
  root: pathlib.Path, fields: str, model: str, is_consistent: bool
) -> pathlib.Path:
  """Returns where a run is."""
  return root / f"{fields}-{model}{'-consistent' * is_consistent}"


def config(
  fields: str,
  model: str,
  is_consistent: bool,
  *,
  steps: int,
  is_smoke: bool = False,
):
  """Returns the config of a run of so many steps."""
  if model == "hinote":
    made = hinote.get_config("untold")
  else:
    made = baselines.get_config(f"model={model},untold")
  if fields == "turbulence":
    flows.put(made, is_small=is_smoke)
    made.degradation = "area"
    made.update_from_flattened_dict(_SMOKE if is_smoke else {})
  made.model.consistent = is_consistent
  made.steps, made.validate_every = steps, max(steps // 4, 1)
  made.evaluate.scales = SCALES[:1] if is_smoke else SCALES
  made.evaluate.against = ("bicubic",)
  # Others meet their input once more, after they were trained without that.
  made.evaluate.consistent = not is_consistent
  made.evaluate.figures = False
  return made


def _key(fields, model, is_consistent):
  return f"{fields} {model}{' consistent' * is_consistent}"


def _timed(root, known, only):
  for run in runs(only):
    if _key(*run) in known["seconds_a_step"]:
      continue
    made = config(*run, steps=1)
    known["seconds_a_step"][_key(*run)] = equal_time.seconds_a_step(
      made, root / "probe", 20
    )
    workdir.write_json(show.RESULTS, known)


def _scored(root, known, only, is_smoke):
  for run in runs(only):
    if _key(*run) in known["runs"]:
      continue
    step = known["seconds_a_step"].get(_key(*run))
    if step is None and not is_smoke:
      raise SystemExit(f"{_key(*run)}: time its step first, by --time")
    steps = 10 if is_smoke else int(SECONDS / step)
    made = config(*run, steps=steps, is_smoke=is_smoke)
    known["runs"][_key(*run)] = equal_time.trained(made, folder(root, *run))
    if not is_smoke:
      workdir.write_json(show.RESULTS, known)


def main(argv: list[str] | None = None) -> None:
  """Times or trains what is not there, and fills the page."""
  parser = argparse.ArgumentParser()
  parser.add_argument("--only", choices=FIELDS, default=None)
  parser.add_argument("--time", action="store_true")
  parser.add_argument("--smoke", action="store_true")
  arguments = parser.parse_args(argv)
  known: dict[str, Any] = {"seconds": SECONDS, "jax": jax.__version__}
  known |= {"seconds_a_step": {}, "runs": {}}
  if arguments.smoke:
    root = ROOT.with_name("true_to_input-smoke")
    _scored(root, known, arguments.only, is_smoke=True)
    print(show.table(known))
    return
  if show.RESULTS.exists():
    known = json.loads(show.RESULTS.read_text())
  if arguments.time:
    _timed(ROOT, known, arguments.only)
    return
  _scored(ROOT, known, arguments.only, is_smoke=False)
  show.main()


if __name__ == "__main__":
  main()
