"""Training windows seen in a mirror or turned, with the signs of physics.

    config.windows.symmetries = ("flip_y", "flip_x", "transpose")

Every training window is then one of the group that these span, drawn by the
window's own random numbers: with all three the eight symmetries of a square.
They are of use where no direction is another's like: turbulence, scans,
photographs; where geography matters, none is true.

A mirrored flow is not the mirrored numbers of it. With M a flip or the
transposition, each of which is a reflection of the plane:

    scalar      s'(x) = s(M x)
    vorticity   w'(x) = -w(M x)
    velocity    u'(x) = M u(M x):  flip_x gives (-u, v), transpose (v, u)

Which variables are of which kind is told by their names, as in `metrics.flow`.
"""

from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

import numpy as np

from hinote_jax import fields
from hinote_jax.core import grids, naming
from hinote_jax.core.symmetries import Transform
from hinote_jax.data import normalise
from hinote_jax.degradations import pipeline
from hinote_jax.metrics import context as contexts
from hinote_jax.metrics import flow

NAMES = ("flip_y", "flip_x", "transpose")
_SCALES = (2.0, 2.5)  # at which a degradation is tried
_CELLS = 12


@dataclasses.dataclass(frozen=True)
class Turned:
  """One symmetry of normalised windows.

      z' = gain z[.., order] + offset, then `transform`

  Attributes:
    transform: of the grid.
    order: which channel each is made of, [c].
    gain: [c].
    offset: [c], for normalised zeros are not the fields' own.
  """

  transform: Transform
  order: np.ndarray
  gain: np.ndarray
  offset: np.ndarray

  def values(self, window: np.ndarray) -> np.ndarray:
    """Returns a normalised window [h w c] under the symmetry."""
    turned = window[..., self.order] * self.gain + self.offset
    return np.asarray(self.transform.apply(turned))

  def mask(self, known: np.ndarray) -> np.ndarray:
    """Returns which values of a window [h w c] are known, likewise."""
    return np.asarray(self.transform.apply(known[..., self.order]))

  def coords(self, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns where the queries [H], [W] lie in the window under it."""
    y = -y[::-1] if self.transform.flips_y else y
    x = -x[::-1] if self.transform.flips_x else x
    return (x, y) if self.transform.transposes else (y, x)


class Symmetries:
  """The group that some of `NAMES` span, for the variables of a data set."""

  def __init__(
    self,
    names: Sequence[str],
    header: fields.Header,
    normaliser: normalise.Normaliser,
  ):
    """Takes the kinds of the variables from the header of the fields.

    Raises:
      ValueError: a name is unknown.
    """
    for name in names:
      label = "symmetry in config.windows.symmetries"
      naming.look_up(label, name, dict.fromkeys(NAMES))
    self.names = tuple(name for name in NAMES if name in names)
    self._header, self._normaliser = header, normaliser

  def draw(self, rng: np.random.Generator) -> Turned:
    """Returns one of the group, all alike."""
    return self.turned(*(bool(rng.integers(2)) for _ in self.names))

  @functools.cache  # noqa: B019 - one object a run
  def turned(self, *chosen: bool) -> Turned:
    """Returns the symmetry that some of the names make together."""
    picked = {n for n, is_on in zip(self.names, chosen, strict=True) if is_on}
    transform = Transform(*(name in picked for name in NAMES))
    order, sign = self._signs(transform)
    mean = np.asarray(self._normaliser.mean, np.float64)
    std = np.asarray(self._normaliser.std, np.float64)
    gain = sign * std[order] / std
    offset = (sign * mean[order] - mean) / std
    return Turned(
      transform, order, gain.astype(np.float32), offset.astype(np.float32)
    )

  def _signs(self, transform: Transform) -> tuple[np.ndarray, np.ndarray]:
    """Returns which channel each comes from, and with which sign, [c] each."""
    variables = self._header.variables
    order, sign = np.arange(len(variables)), np.ones(len(variables))
    mirrors = (transform.flips_y, transform.flips_x, transform.transposes)
    for i, variable in enumerate(variables):
      words = variable.name, variable.long_name, variable.units
      if flow.is_vorticity(*words):
        sign[i] = (-1.0) ** sum(mirrors)
    context = contexts.Context(
      names=tuple(v.name for v in variables),
      units=tuple(v.units for v in variables),
      long_names=tuple(v.long_name for v in variables),
      periodic=self._header.periodic,
      data_range=np.ones(len(variables)),
    )
    for u, v in flow.velocities(context):
      sign[u] = -1.0 if transform.flips_x else 1.0
      sign[v] = -1.0 if transform.flips_y else 1.0
      if transform.transposes:
        # Components are along the coordinates, which may fall with the index.
        agree = _direction(self._header.y) * _direction(self._header.x)
        order[[u, v]] = v, u
        sign[[u, v]] = agree * sign[[v, u]]
    return order, sign

  def check(
    self,
    window: Sequence[int],
    queries: Sequence[int],
    degradation: pipeline.Degradation | None,
  ) -> None:
    """Refuses what has not these symmetries.

    The degradation is tried, not trusted: that of a turned field must be the
    turned one of the field.

    Args:
      window: (h, w), coarse cells.
      queries: (H, W).
      degradation: of the windows; None where fields are paired.

    Raises:
      ValueError: windows to transpose are not square, or the degradation has
        not a symmetry.
    """
    if "transpose" in self.names:
      for name, (h, w) in (("window", window), ("queries", queries)):
        if h != w:
          raise ValueError(
            f"config.windows.symmetries: transposing needs a square {name}, "
            f"got {h} x {w}: leave transpose out"
          )
    if degradation is None:
      return
    quiet, rng = degradation.without_noise(), np.random.default_rng(0)
    known = self._normaliser
    low, high = (
      np.asarray(known.normalise(np.asarray(values, np.float32)))
      for values in (known.minimum, known.maximum)
    )
    for scale in _SCALES:
      side = int(_CELLS * scale)
      field = rng.uniform(low, high, (side, side, len(low)))
      field = field.astype(np.float32)
      coarse = functools.partial(
        quiet.field, shape=(_CELLS, _CELLS), periodic=(False, False)
      )
      for i, name in enumerate(self.names):
        turned = self.turned(*(i == j for j in range(len(self.names))))
        want, got = turned.values(coarse(field)), coarse(turned.values(field))
        worst = np.abs(got - want).max()
        if worst > 1e-3:
          raise ValueError(
            f"config.windows.symmetries: {degradation} of a field under {name} "
            f"is not that of the field (at x{scale:g} they differ by "
            f"{worst:.2g} deviations): leave {name} out"
          )


def _direction(axis: Any) -> int:
  """Returns -1 where the coordinates of an axis, if it has any, fall."""
  values = np.asarray(axis.values)
  is_counted = axis.units in contexts.COUNTED
  return -1 if not is_counted and values[-1] < values[0] else 1


def turn(batch: dict[str, Any], turned: Sequence[Turned]) -> dict[str, Any]:
  """Returns a batch whose examples are seen under a symmetry each."""

  def each(name, function):
    return np.stack(
      [function(t)(one) for t, one in zip(turned, batch[name], strict=True)]
    )

  places = [
    t.coords(y, x) for t, y, x in zip(turned, *batch["coords"], strict=True)
  ]
  y, x = (np.stack(axis) for axis in zip(*places, strict=True))
  result = {
    "lowres": each("lowres", lambda t: t.values),
    "highres": each("highres", lambda t: t.values),
    "coords": grids.Axes(y, x),
  }
  if "known" in batch:
    result["known"] = each("known", lambda t: t.mask)
  return batch | result
