"""Which learning rate the peers get: the better after a few steps.

    python -m experiments.four_sciences.rates [--print]

On weather, by the error on the validation part over bicubic's.
"""

import argparse
import json

from configs import sciences
from experiments import equal_time
from experiments.four_sciences import runs
from hinote_jax.evaluate import markdown
from hinote_jax.train import workdir

RESULTS = runs.RESULTS / "rates.json"
_STEPS = 300
_RATES = (1e-3, 3e-3)


def _error(model: str, rate: float) -> float:
  """Returns the error of a model trained with a rate, here or before."""
  config = sciences.get_config(f"weather,small,model={model}")
  config.steps = config.validate_every = _STEPS
  config.optim.learning_rate = rate
  folder = runs.ROOT / "rates" / f"{model}_{rate:g}"
  return equal_time.validation_error(config, folder)


def table(found: dict) -> str:
  """Returns the errors as Markdown."""
  lines = [["learning rate", *(f"{rate:g}" for rate in _RATES)]]
  for model, errors in found["errors"].items():
    lines.append([model, *(f"{error:.3f}" for error in errors)])
  return (
    f"Validation error over bicubic's after {found['steps']} steps on "
    f"{found['science']}:\n\n{markdown.table(lines)}"
  )


def main() -> None:
  """Trains, keeps the errors and prints them."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--print", action="store_true", dest="only_print")
  if not parser.parse_args().only_print:
    errors = {
      model: [_error(model, rate) for rate in _RATES]
      for model in ("srno", "liif")
    }
    found = {"science": "weather", "steps": _STEPS, "errors": errors}
    workdir.write_json(RESULTS, found)
  print(table(json.loads(RESULTS.read_text())))


if __name__ == "__main__":
  main()
