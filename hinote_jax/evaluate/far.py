"""How far a trained model is to be trusted beyond the scales of its training.

Where nothing is known of the fine field, the mean is the right answer, and no
interpolation needs to win. At each octave beyond the largest scale of training
the fields of the validation part are coarsened, and of all means of the model
and the interpolations, with weights of its own for each variable, that of the
least squared error is kept; at the largest scale itself the model stands alone.
"""

from collections.abc import Mapping, Sequence
import hashlib
import json
import pathlib
from typing import Any

from absl import logging
import numpy as np
from scipy import optimize

from hinote_jax.evaluate import fields, scores
from hinote_jax.train import workdir as workdirs

FILE = "blend.json"
METHODS = {"bilinear": "linear", "bicubic": "cubic", "lanczos": "lanczos"}
_LEAST = 8  # coarse cells along a side, with which something can be measured
_OCTAVES = 3
_POINTS = 1 << 22  # of all fields at a scale


def scales(largest: float, shape: Sequence[int]) -> list[float]:
  """Returns the octaves beyond a scale at which fields [H W] say something."""
  octaves = (largest * 2.0**k for k in range(1, _OCTAVES + 1))
  return [s for s in octaves if min(shape) / s >= _LEAST]


def fit(
  predictors: scores.Predictors,
  dataset: Any,
  indices: Sequence[int],
  *,
  degradation: Any,
  largest: float,
) -> dict[str, Any]:
  """Returns the blend of a model and interpolations, of `blended.Blended`.

  Args:
    predictors: the model first, then interpolations of `METHODS`.
    dataset: see `fields.evaluate`.
    indices: of the validation part.
    degradation: see `fields.evaluate`.
    largest: scale of training.
  """
  shape, indices = np.shape(dataset.values)[1:3], list(indices)
  count = max(1, _POINTS // int(np.prod(shape)))
  indices = indices[:: max(1, -(-len(indices) // count))]
  far_scales, names = scales(largest, shape), list(predictors)
  channels = len(dataset.variables)
  squares = {
    s: np.zeros((channels, len(names), len(names))) for s in far_scales
  }
  examples = scores.predicted(
    predictors,
    fields.inputs(dataset, indices, degradation, far_scales),
    total=len(far_scales) * len(indices),
    unit="field",
    label="time ",
    progress=False,
  )
  for example in examples:
    known = 1.0 if example.known is None else example.known
    errors = np.stack(
      [
        (example.predictions[name] - example.highres).astype(np.float64) * known
        for name in names
      ]
    )
    squares[example.scale] += np.einsum("ihwc,jhwc->cij", errors, errors)
  weights = [[best(square)[1:] for square in squares[s]] for s in far_scales]
  alone = np.zeros((1, channels, len(names) - 1))
  every = np.concatenate([alone, np.reshape(weights, (-1, *alone.shape[1:]))])
  is_used = every.max((0, 1)) > 0
  return {
    "methods": [METHODS[n] for n in np.asarray(names[1:])[is_used].tolist()],
    "scales": [float(largest), *far_scales],
    "weights": every[..., is_used].tolist(),
  }


def best(squares: np.ndarray) -> np.ndarray:
  """Returns the weights [n] of the mean whose squared error is least.

  They are at least 0 and their sum is 1.

  Args:
    squares: sums of the products of the errors, [n n].
  """
  size = np.trace(squares)
  if not size > 0:
    return np.eye(len(squares))[0]
  root = np.linalg.cholesky(squares / size + 1e-9 * np.eye(len(squares)))
  # Up to a factor: where the least of |R' w|^2 / 2 - sum w is, all w that are
  # not 0 have the same gradient of the error.
  weights, _ = optimize.nnls(root.T, np.linalg.solve(root, np.ones(len(root))))
  return weights / weights.sum()


def save(workdir: pathlib.Path, step: int, blend: Mapping[str, Any]) -> None:
  """Writes a blend of the checkpoint of a step."""
  content = {"step": step, **blend}
  workdirs.write_json(workdir / FILE, content | {"sha256": _digest(content)})


def load(workdir: pathlib.Path, step: int) -> dict[str, Any] | None:
  """Returns the blend of the checkpoint of a step; None where it has none.

  One that is damaged is left out, and said.
  """
  path = workdir / FILE
  try:
    content = dict(json.loads(path.read_text()))
    if content.pop("sha256", "") != _digest(content):
      raise ValueError("it does not match its digest")
  except FileNotFoundError:
    return None
  except (OSError, ValueError, TypeError, RecursionError) as error:
    logging.warning(
      "%s is damaged (%s): far scales are the network's alone; train again in "
      "this workdir to make it anew",
      path,
      error,
    )
    return None
  return content if content.pop("step", None) == step else None


def _digest(content: Mapping[str, Any]) -> str:
  text = json.dumps(content, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()
