"""Vorticity and divergence of velocities, on planes and on the globe."""

import re

from jaxtyping import Float
import numpy as np
from scipy import ndimage

from hinote_jax.metrics import context as contexts

VORTICITIES = {"vorticity", "omega", "vor", "vo", "zeta"}
# Without spaces and signs of powers. The same names are of currents, and of
# vertical velocities in Pa/s.
_RATES = {"", "1", "s-1", "1/s", "rads-1", "rad/s"}
# Words in names of a velocity along x -> along y.
_ACROSS = {
  "u": "v",
  "uas": "vas",
  "ugrd": "vgrd",
  "uwnd": "vwnd",
  "ux": "uy",
  "vx": "vy",
  "x": "y",
  "zonal": "meridional",
  "eastward": "northward",
  "uo": "vo",
}
# These words say nothing of velocity by themselves.
_PLAIN = ("x", "zonal", "eastward")
_SPEEDS = {"wind", "velocity", "vel"}
# Nearer to a pole cells are slivers, and noise of any kind fills derivatives.
_POLAR = 85.0


def is_vorticity(name: str, long_name: str = "", units: str = "") -> bool:
  """Says whether a variable is vorticity by its names and its unit.

  Examples:
    >>> is_vorticity("vo", units="s**-1"), is_vorticity("vo", units="m s-1")
    (True, False)
  """
  is_named = name.lower() in VORTICITIES or "vorticity" in long_name.lower()
  return is_named and re.sub(r"[\s*^{}]", "", units.lower()) in _RATES


def velocities(context: contexts.Context) -> list[tuple[int, int]]:
  """Returns the pairs of channels that are velocity along x and along y.

  They are told by their names, as u and v, u10 and v10 or ux and uy, else by
  long names that speak of wind or velocity, and have one unit.
  """
  by_name = _pairs(context.names, context.units, is_prose=False)
  return by_name or _pairs(context.long_names, context.units, is_prose=True)


def _pairs(texts, units, *, is_prose: bool) -> list[tuple[int, int]]:
  words = [tuple(_words(text)) for text in texts]
  pairs = []
  for first, name in enumerate(words):
    is_speed = not _SPEEDS.isdisjoint(name)
    plain = () if is_speed else _ACROSS if is_prose else _PLAIN
    for i, word in enumerate(name):
      if word not in _ACROSS or word in plain:
        continue
      other = (*name[:i], _ACROSS[word], *name[i + 1 :])
      second = words.index(other) if other in words else first
      if second != first and units[first] == units[second]:
        pairs.append((first, second))
  return pairs


def _words(text: str) -> list[str]:
  """Returns the runs of letters and of digits in a name, in lower case."""
  return re.findall(r"[a-z]+|\d+", text.lower())


def curl_and_divergence(
  u: Float[np.ndarray, "H W"],
  v: Float[np.ndarray, "H W"],
  context: contexts.Context,
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the vorticity and the divergence of a velocity, [H W] each.

  Derivatives are those of `derivative`, centred differences where a part is
  missing: Fourier's sees coasts everywhere. Between latitudes and longitudes
  they are those of the unit sphere, per radian:

    vorticity  = (dv/dlon - d(u cos lat)/dlat) / cos lat
    divergence = (du/dlon + d(v cos lat)/dlat) / cos lat.

  Args:
    u: velocity along x, or eastward, [H W].
    v: velocity along y, towards larger y or northward, [H W]; where rows are
      only counted, towards later rows.
    context: steps, latitudes and longitudes.
  """
  y, x = context.periodic
  if not _is_globe(context):
    dy, dx = context.between
    cos = np.ones((len(u), 1))
  else:
    dy = np.deg2rad(np.asarray(context.latitude, np.float64))
    turned = np.unwrap(np.asarray(context.longitude, np.float64), period=360.0)
    dx = np.deg2rad(turned[1] - turned[0] if x else turned)
    cos = np.maximum(np.cos(dy), 1e-6)[:, None]
  is_local = context.known is not None
  along_x = derivative(v, 1, dx, is_periodic=x, is_local=is_local)
  along_y = derivative(u * cos, 0, dy, is_periodic=y, is_local=is_local)
  curl = (along_x - along_y) / cos
  along_x = derivative(u, 1, dx, is_periodic=x, is_local=is_local)
  along_y = derivative(v * cos, 0, dy, is_periodic=y, is_local=is_local)
  return curl, (along_x + along_y) / cos


def derivative(
  values: Float[np.ndarray, "H W"],
  axis: int,
  step: float | int | np.ndarray,
  *,
  is_periodic: bool,
  is_local: bool = False,
) -> np.ndarray:
  """Returns the derivative of a field along an axis, [H W].

  Args:
    values: [H W].
    axis: 0 for y, 1 for x.
    step: signed distance between cells; along walls their positions too, [n].
    is_periodic: the axis closes on itself: Fourier's derivative, without the
      Nyquist mode; else centred differences, at the ends one-sided ones.
    is_local: centred differences on an axis that closes too.

  Raises:
    ValueError: fewer than 3 cells along the axis.
  """
  n = values.shape[axis]
  if n < 3:
    raise ValueError(f"a derivative needs at least 3 cells, got {n}")
  if not is_periodic:
    return np.gradient(values, step, axis=axis, edge_order=2)
  if is_local:
    ahead, behind = (np.roll(values, turn, axis) for turn in (-1, 1))
    return (ahead - behind) / (2.0 * step)
  factor = 2j * np.pi * np.fft.rfftfreq(n, step)
  if n % 2 == 0:
    factor[-1] = 0.0
  shape = [1, 1]
  shape[axis] = -1
  modes = np.fft.rfft(values, axis=axis) * factor.reshape(shape)
  return np.fft.irfft(modes, n, axis=axis)


def parts(
  pred: Float[np.ndarray, "H W c"],
  target: Float[np.ndarray, "H W c"],
  context: contexts.Context,
) -> dict[str, np.ndarray]:
  """Returns mean squares of vorticity and divergence of one field, [c] each.

  They stand with the velocity along x, NaN elsewhere; nothing where there are
  no velocities, or a latitude without a longitude. Cells count that are known
  with their neighbours.

  Args:
    pred: [H W c].
    target: [H W c].
    context: of the dataset.
  """
  pairs = velocities(context)
  is_half = (context.latitude is None) != (context.longitude is None)
  if not pairs or is_half or min(pred.shape[:2]) < 3:
    return {}
  rows = row_weights(context, len(pred))
  known = np.ones(pred.shape, bool) if context.known is None else context.known
  parts_ = {}
  for label, values in (("", pred), ("truth_", target)):
    for name in ("curl", "divergence"):
      parts_[label + name] = np.full(pred.shape[-1], np.nan)
    for first, second in pairs:
      u, v = values[..., first], values[..., second]
      curl, divergence = curl_and_divergence(u, v, context)
      both = known[..., first] & known[..., second]
      weight = rows * _surrounded(both, context.periodic)
      weight = weight / max(np.sum(weight), 1e-12)
      parts_[label + "curl"][first] = np.sum(weight * curl**2)
      parts_[label + "divergence"][first] = np.sum(weight * divergence**2)
  return parts_


def _surrounded(known: np.ndarray, periodic) -> np.ndarray:
  """Returns where a cell and its four neighbours are known, [H W]."""
  along_y, along_x = (
    ndimage.minimum_filter1d(known, 3, axis, mode="wrap" if p else "nearest")
    for axis, p in enumerate(periodic)
  )
  return np.logical_and(along_y, along_x)


def reduce(mean: contexts.Parts) -> dict[str, np.ndarray]:
  """Returns the `METRICS` from the means of `parts` over fields."""
  if "curl" not in mean:
    return {}
  return {
    label + "divergence": np.sqrt(
      contexts.ratio(mean[label + "divergence"], mean[label + "curl"])
    )
    for label in ("", "truth_")
  }


METRICS = {
  "divergence": contexts.Metric(
    "divergence / vorticity",
    0,
    "RMS divergence of the predicted velocities over their RMS vorticity, "
    "listed with the one along x: 0 for a flow that conserves volume; to be "
    "read beside the truth's",
  ),
  "truth_divergence": contexts.Metric(
    "divergence / vorticity of the truth", 0, "the same of the truth"
  ),
}


def row_weights(context: contexts.Context, height: int) -> np.ndarray:
  """Returns the weights of rows in means of derivatives, of mean 1, [H 1].

  Alike on a plane; on the globe the cosine of latitude, 0 beyond 85 degrees.
  """
  if not _is_globe(context):
    return np.ones((height, 1))
  latitude = np.asarray(context.latitude, np.float64)
  weight = np.cos(np.deg2rad(latitude)) * (np.abs(latitude) <= _POLAR)
  return (weight / max(weight.mean(), 1e-12))[:, None]


def _is_globe(context: contexts.Context) -> bool:
  return context.latitude is not None and context.longitude is not None
