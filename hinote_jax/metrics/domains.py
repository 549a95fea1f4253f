"""What is scored beyond `running.METRICS`, science by science.

The module of a science has `parts(pred, target, context)` of one field, and
`reduce(mean)` of the means of the parts over fields; its docstrings say what
is a ratio of sums over fields and what a mean of ratios. A score is one number
per variable, [c]; NaN says that it has no meaning there, and it is left out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxtyping import Float
import numpy as np

from hinote_jax.core import naming
from hinote_jax.core.typing import Array
from hinote_jax.fields import axes
from hinote_jax.metrics import context as contexts
from hinote_jax.metrics import flow, mri, radar, turbulence, weather

# Fields of the truth that quantiles are taken of.
_SAMPLED = 16

OWN = "own"  # scores that a user's function gives, by name: own@NAME

# In every domain; `running` scores them.
SHARED = {
  "effective_resolution": contexts.Metric(
    "effective resolution [cells]",
    -1,
    "the wavelength at which the coherence with the truth, averaged over "
    "fields, falls to 0.5; 2 if never. It sees phase and, unlike the parting "
    "wavelength, forgives a loss of amplitude",
    ".2f",
  ),
  "mean_error": contexts.Metric(
    "error of the mean / deviation",
    0,
    "conservation of the mean: RMS over fields of the error of a field's mean "
    "over its standard deviation",
    ".2e",
  ),
  # What a config names, see `evaluate.fields`.
  OWN: contexts.Metric("{}", 0, "of the function that the run names"),
}


class Domain(NamedTuple):
  """What a science asks for.

  Attributes:
    metrics: key -> what a report says of it; what follows "@" in the key of a
      score is a threshold or a size.
    parts: of one field.
    reduce: of the means of parts.
  """

  metrics: Mapping[str, contexts.Metric] = {}
  parts: Callable[..., contexts.Parts] = lambda pred, target, context: {}
  reduce: Callable[[contexts.Parts], dict[str, np.ndarray]] = lambda mean: {}


_DOMAINS = {
  "": Domain(flow.METRICS, flow.parts, flow.reduce),
  "turbulence": Domain(turbulence.METRICS, turbulence.parts, turbulence.reduce),
  "weather": Domain(weather.METRICS, weather.parts, weather.reduce),
  "radar": Domain(radar.METRICS, radar.parts, radar.reduce),
  "mri": Domain(mri.METRICS, mri.parts, mri.reduce),
  "image": Domain(),
}


def look_up(domain: str) -> Domain:
  """Returns what a science asks for.

  Raises:
    ValueError: there is no such domain.
  """
  return naming.look_up("domain", domain, _DOMAINS)


def parts(
  domain: str,
  pred: Float[Array, "H W c"],
  target: Float[Array, "H W c"],
  context: contexts.Context,
) -> contexts.Parts:
  """Returns what `reduce` needs to know of one field.

  Args:
    domain: a science.
    pred: [H W c], physical units.
    target: [H W c].
    context: what the dataset says.
  """
  pred, target = np.asarray(pred, np.float64), np.asarray(target, np.float64)
  return look_up(domain).parts(pred, target, context)


def mean(fields: Sequence[contexts.Parts]) -> dict[str, np.ndarray]:
  """Returns the means of `parts` over fields of one context."""
  return {
    name: np.mean([parts_[name] for parts_ in fields], axis=0)
    for name in fields[0]
  }


def reduce(domain: str, means: contexts.Parts) -> dict[str, np.ndarray]:
  """Returns the scores of many fields from the means of their parts, [c]."""
  return look_up(domain).reduce(means)


def metric(domain: str, key: str) -> contexts.Metric | None:
  """Returns what a report says of a score; None where it is not of these.

  The title has the threshold and the size of the key in their places, T and n
  where the key has none.
  """
  name, *places = key.split("@")
  shown = (SHARED | dict(look_up(domain).metrics)).get(name)
  if shown is None:
    return None
  return shown._replace(title=shown.title.format(*(places or ("T", "n"))))


def ordered(domain: str, keys: Iterable[str]) -> list[str]:
  """Returns the keys that are scores of a science, as its table has them.

  One metric's are in order of their thresholds, then of their sizes.
  """
  names = [*SHARED, *look_up(domain).metrics]

  def place(key):
    name, *places = key.split("@")
    if name == OWN:
      return names.index(name), places
    numbers = [float(text.removeprefix("q")) for text in places]
    return names.index(name), numbers

  known = [key for key in keys if key.partition("@")[0] in names]
  return sorted(known, key=place)


def context(
  dataset: Any,
  indices: Sequence[int],
  *,
  data_range: np.ndarray,
  climatology: np.ndarray | None = None,
) -> contexts.Context:
  """Returns what the metrics need to know of a dataset.

  Where a variable's thresholds are quantiles, they are those of at most 16 of
  the true fields, evenly chosen.

  Args:
    dataset: a `data.Dataset`, or what looks like one.
    indices: the fields that are scored.
    data_range: full scale of each variable, [c].
    climatology: the mean of the training part, [H W c].

  Raises:
    ValueError: the domain is unknown, or the climatology lies on another grid.
  """
  look_up(dataset.domain)
  shape = tuple(np.shape(dataset.values)[1:])
  if climatology is not None and np.shape(climatology) != shape:
    raise ValueError(
      f"the climatology has shape {np.shape(climatology)} and the fields "
      f"{shape}: give the mean of fields on this grid"
    )
  is_latitude = axes.is_latitude(dataset.y.name, dataset.y.units)
  is_longitude = axes.is_longitude(dataset.x.name, dataset.x.units)
  return contexts.Context(
    names=tuple(v.name for v in dataset.variables),
    units=tuple(v.units for v in dataset.variables),
    long_names=tuple(v.long_name for v in dataset.variables),
    periodic=(bool(dataset.periodic[0]), bool(dataset.periodic[1])),
    data_range=data_range,
    latitude=dataset.y.values if is_latitude else None,
    longitude=dataset.x.values if is_longitude else None,
    step=_steps(dataset),
    positions=_positions(dataset),
    climatology=climatology,
    thresholds=_thresholds(dataset, indices),
  )


def _steps(dataset) -> tuple[float, float]:
  """Returns signed steps along (y, x); (1, 1) where units say nothing."""
  y, x = dataset.y, dataset.x
  if not _has_lengths(y, x) or min(len(y.values), len(x.values)) < 2:
    return 1.0, 1.0
  ends = ((axis.values[0], axis.values[-1]) for axis in (y, x))
  lengths = [float(last) - float(first) for first, last in ends]
  return lengths[0] / (len(y.values) - 1), lengths[1] / (len(x.values) - 1)


def _positions(dataset) -> tuple[np.ndarray | None, np.ndarray | None]:
  """Returns where rows and columns lie whose steps are not even, else None."""
  y, x = dataset.y, dataset.x
  if not _has_lengths(y, x):
    return None, None
  uneven = [
    None if axis.is_even or axis.is_periodic else np.asarray(axis.values)
    for axis in (y, x)
  ]
  return uneven[0], uneven[1]


def _has_lengths(y, x) -> bool:
  return y.units == x.units and y.units not in contexts.COUNTED


def _thresholds(dataset, indices) -> tuple[dict[str, float], ...]:
  """Returns the thresholds of each variable, none but for radar."""
  if dataset.domain != "radar":
    return tuple({} for _ in dataset.variables)
  every = -(-len(indices) // _SAMPLED)
  values, thresholds = dataset.as_read, []
  for c, variable in enumerate(dataset.variables):
    truth = None
    if not radar.kind(variable.name, variable.units):
      truth = np.stack([values[i][..., c] for i in indices[::every]])
      truth = truth[np.isfinite(truth)]
    thresholds.append(radar.thresholds(variable.name, variable.units, truth))
  return tuple(thresholds)
