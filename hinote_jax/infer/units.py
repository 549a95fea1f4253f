"""The units and the range of what a network learnt, and of what it is given.

Published image networks take and give values in [0, 1] or [-1, 1]; images are
values in [0, 1] everywhere else.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any, NamedTuple

import numpy as np

from hinote_jax import fields, models
from hinote_jax.core import naming, spectral
from hinote_jax.core.typing import Array
from hinote_jax.io import units as spelled


class Quantity(NamedTuple):
  """What a network learnt of one channel.

  Attributes:
    units: of its values, "" where nothing says.
    white: `fields.Variable.white` of what it was trained on.
    low: the smallest value of training.
    high: the largest.
  """

  units: str = ""
  white: float | None = None
  low: float = -np.inf
  high: float = np.inf

  @property
  def is_colour(self) -> bool:
    """Whether it is a colour in [0, 1]."""
    return self.white == 1.0

  def __str__(self) -> str:
    if self.is_colour:
      return "colours in [0, 1]"
    units = f" in {self.units!r}" if self.units else ""
    return f"values{units} from {self.low:.6g} to {self.high:.6g}"


COLOUR = Quantity("1", 1.0, 0.0, 1.0)
SAMPLES = Quantity(white=1.0)
# How far beyond the range of training values may be, of that range.
_BEYOND = 0.5
# How many times as wide as what is allowed about training a field may be.
_FAR = 3.0
# Point samples of fields that were learnt as means have 1.3 to 1.6 times the
# roughness of these, and other means up to 1.15 times, on cells of this number.
_ROUGH, _CELLS = 1.25, 2000
_SIDE = 1024


def learnt(known: Any, normaliser: Any) -> tuple[Quantity, ...]:
  """Returns what the channels of a run are of.

  Args:
    known: units and white of each, as `train.run_data` keeps them; None where
      a run is from before it did.
    normaliser: of the run, with the range of training; None is of anything.
  """
  if normaliser is None:
    return ()
  ranges = list(zip(normaliser.minimum, normaliser.maximum, strict=True))
  quantities = (
    Quantity(**one, low=low, high=high)
    for one, (low, high) in zip(
      known or [{}] * len(ranges), ranges, strict=True
    )
  )
  return tuple(COLOUR if q.is_colour else q for q in quantities)


class Limits(NamedTuple):
  """What the values of a variable may be for a network.

  Attributes:
    variable: of a file.
    learnt: what the network learnt in its place.
    low: smallest value that some, or all, may have.
    high: largest.
  """

  variable: fields.Variable
  learnt: Quantity
  low: float
  high: float

  def require(self, values: np.ndarray) -> None:
    """Raises ValueError for values that are of another quantity."""
    low, high = float(values.min()), float(values.max())
    if self.learnt.is_colour:
      low, high = high, low
    is_far = high - low > _FAR * (self.high - self.low)
    if low > self.high or high < self.low or is_far:
      low, high = sorted((low, high))
      hint = ""
      if self.learnt.is_colour:
        hint = ", or say by --range LOW,HIGH what is black and white"
      elif not self.learnt.units:
        hint = ", or say by --range LOW,HIGH what are the ends of it"
      raise ValueError(
        f"{self.variable.name} has values from {low:.6g} to {high:.6g} and the "
        f"network learnt {self.learnt}: bring them to that range{hint}"
      )


def limits(
  variable: fields.Variable,
  learnt: Quantity,
  conversion: tuple[float, float],
) -> Limits:
  """Returns what the values of a variable may be.

  All values of a colour lie near [0, 1]. Of other quantities some values must
  lie near those of training, and none far beyond, where no unit says that they
  are alike.
  """
  scale, offset = conversion
  ends = np.subtract((learnt.low, learnt.high), offset) / scale
  is_known = bool(variable.units and learnt.units) and not learnt.is_colour
  if is_known or not np.isfinite(ends).all():
    return Limits(variable, learnt, -np.inf, np.inf)
  margin = _BEYOND * (ends[1] - ends[0])
  margin = margin if learnt.is_colour else 2 * margin
  return Limits(variable, learnt, ends[0] - margin, ends[1] + margin)


def conversion(
  variable: fields.Variable,
  learnt: Quantity,
  span: tuple[float, float] | None = None,
) -> tuple[float, float]:
  """Returns (scale, offset) from a file's values to those of a network.

  Colours are scaled by the type of their samples. Where a unit is not known
  values stay as they are.

  Args:
    variable: of the file.
    learnt: what the network learnt in its place.
    span: values of the file that are black and white, for colours.

  Raises:
    ModuleNotFoundError: the units differ and pint is missing.
    ValueError: the units do not convert, or a span is given for what is no
      colour.
  """
  if span is not None:
    low, high = span
    if learnt.units and not learnt.is_colour:
      raise ValueError(
        f"--range says what is black and white to a network of colours, or of "
        f"values without a unit, and this one learnt {learnt}: leave it out"
      )
    begin, end = learnt.low, learnt.high
    if not np.isfinite((begin, end)).all():
      begin, end = 0.0, 1.0
    scale = (end - begin) / (high - low)
    return scale, begin - low * scale
  given, white = variable.units, variable.white
  is_plain = given in ("", "1") and learnt.units in ("", "1")
  if is_plain and white and learnt.white and 1.0 in (white, learnt.white):
    return learnt.white / white, 0.0
  pair = (1.0, 0.0)
  if given and learnt.units:
    pair = spelled.conversion(given, learnt.units)
  if pair is None:
    raise ValueError(
      f"{variable.name} is in {given!r} and the network learnt {learnt}: "
      "convert it, or take a network of that quantity"
    )
  return pair


@dataclasses.dataclass(frozen=True)
class Affine:
  """Values less a mean over a deviation; numbers, or one a channel."""

  mean: float | tuple[float, ...] = 0.0
  std: float | tuple[float, ...] = 1.0

  @classmethod
  def of(
    cls, inner: Any, conversions: Sequence[tuple[float, float]]
  ) -> "Affine":
    """Returns a normaliser for values before they are converted.

    Nothing is rounded by a conversion: the statistics are converted.

    Args:
      inner: of values after it, with `mean` and `std`; None is the identity.
      conversions: (scale, offset) of every channel.
    """
    inner = inner or cls()
    scale, offset = np.asarray(conversions, np.float64).T
    mean = (np.asarray(inner.mean) - offset) / scale
    std = np.asarray(inner.std) / scale
    return cls(tuple(mean.tolist()), tuple(std.tolist()))

  def normalise(self, x: Array) -> Array:
    """Maps values [.. c] to those of the network."""
    return (x - np.asarray(self.mean, x.dtype)) / np.asarray(self.std, x.dtype)

  def denormalise(self, x: Array) -> Array:
    """Maps the network's values [.. c] back."""
    return x * np.asarray(self.std, x.dtype) + np.asarray(self.mean, x.dtype)


class OwnRanges(NamedTuple):
  """Brings any quantity to [0, 1], for networks that take each channel alone.

  Colours by the type of their samples; plain numbers that are in [0, 1] stay;
  others by the lowest and the highest value of each field.

  Attributes:
    variables: of each channel.
    span: lowest and highest value, of all; None goes by what they are of.
  """

  variables: tuple[fields.Variable, ...]
  span: tuple[float, float] | None = None

  @property
  def whites(self) -> list[float | None]:
    """The value of white of each, None where it is no colour."""
    return [v.white if v.units in ("", "1") else None for v in self.variables]

  def of(self, values: np.ndarray) -> Affine:
    """Returns what one field is brought to [0, 1] by, [h w c]."""
    ends = []
    for c, variable in enumerate(self.variables):
      low, high = float(values[..., c].min()), float(values[..., c].max())
      is_plain = variable.units in ("", "1") and 0.0 <= low and high <= 1.0
      if self.span is not None:
        low, high = self.span
      elif white := self.whites[c]:
        low, high = 0.0, white
      elif is_plain:
        low, high = 0.0, 1.0
      elif low == high:  # so near that a table's answer is rounded to it
        least = np.finfo(np.float32).tiny
        high = low + float(max(np.spacing(np.float32(abs(low))), least))
      ends.append((low, high))
    low, high = np.asarray(ends).T
    return Affine(tuple(low.tolist()), tuple((high - low).tolist()))


# Of LIIF and what came after it: [0, 1] becomes [-1, 1].
UNIT_CENTRED = Affine(0.5, 0.5)
# None passes values in [0, 1] through.
NORMALISERS = {"centred": UNIT_CENTRED, "unit": None}


def normaliser(
  model: str, channels: int | None, name: str | None = None
) -> Affine | None:
  """Returns what goes around a published network; None where nothing does.

  Args:
    model: its name in `models`.
    channels: of its images; None where any number will do.
    name: one of `NORMALISERS`, to take it whatever the network; None for the
      convention of the network.

  Raises:
    ValueError: the name is unknown.
  """
  if name is None:
    is_centred = models.spec(model).is_centred_in_colour and channels == 3
    name = "centred" if is_centred else "unit"
  return naming.look_up("normalisation", name, NORMALISERS)


def unlike(
  values: np.ndarray,
  variables: Sequence[fields.Variable],
  roughness: Sequence[float],
) -> str:
  """Returns in words how rough a field is beside those of training; "" if not.

  Args:
    values: of one field, [h w c], NaN where missing.
    variables: those of the channels that a network sees.
    roughness: that of training, of each.
  """
  h, w, _ = values.shape
  if h * w < _CELLS or len(variables) != len(roughness):
    return ""
  top, left = max(h - _SIDE, 0) // 2, max(w - _SIDE, 0) // 2
  values = values[top : top + _SIDE, left : left + _SIDE, : len(roughness)]
  rough = spectral.roughness(values[None])
  ratio = float(np.exp(np.mean(np.log(np.maximum(rough, 1e-9) / roughness))))
  if ratio < _ROUGH:
    return ""
  parts = ", ".join(
    f"{v.name} {a:.2f} for {b:.2f}"
    for v, a, b in zip(variables, rough, roughness, strict=True)
  )
  return (
    f"is {ratio:.2f} times as rough from cell to cell as what the network "
    f"learnt ({parts}), as values at points, or noise, are where means were "
    "learnt: compare the result with that of --checkpoint bicubic"
  )
