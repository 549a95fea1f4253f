"""Energy and enstrophy of two-dimensional flow, scale by scale.

Energy is half of the mean squared velocity, enstrophy half of the mean squared
vorticity, both per unit of mass and without the mean flow. Where the vorticity
is given, the energy of a mode is its enstrophy over the square of its
wavenumber; where velocities are given, vorticity is their curl. On axes with
walls the cosine modes of `spectra.radial_spectrum` stand for Fourier's.
"""

import functools

from jaxtyping import Float
import numpy as np

from hinote_jax.metrics import context as contexts
from hinote_jax.metrics import flow, spectra

QUANTITIES = ("energy", "enstrophy")

METRICS = {
  "energy_error": contexts.Metric(
    "energy, relative error",
    -1,
    "total kinetic energy over the truth's, less 1",
    "+.2e",
  ),
  "enstrophy_error": contexts.Metric(
    "enstrophy, relative error",
    -1,
    "total enstrophy over the truth's, less 1: what is lost of the small "
    "scales is negative",
    "+.2e",
  ),
  "energy_spectrum_error": contexts.Metric(
    "energy spectrum error [dB]",
    -1,
    "RMS over wavenumbers up to Nyquist's of 10 log10 of the ratio to the "
    "truth's E(k), each weighed by its share of the true energy",
  ),
  "enstrophy_spectrum_error": contexts.Metric(
    "enstrophy spectrum error [dB]",
    -1,
    "the same of Z(k), weighed by the share of the true enstrophy: of a "
    "cascade as k^-3 every octave weighs alike",
  ),
} | flow.METRICS


def energy_and_enstrophy(
  values: Float[np.ndarray, "H W c"], context: contexts.Context
) -> dict[str, np.ndarray]:
  """Returns the spectra E(k) and Z(k) of one field, [k c] each.

  A vorticity has its own; those of a pair of velocities stand with the one
  along x; other channels have NaN. The sums over rings are the energy and the
  enstrophy.

  Args:
    values: [H W c].
    context: names, steps and periodic axes.

  Returns:
    "energy" and "enstrophy"; nothing where no variable is a vorticity or a
    velocity, or the axes are uneven.

  Examples:
    >>> from hinote_jax.metrics import context
    >>> known = context.Context(
    ...   ("omega",), ("s-1",), ("",), (True, True), np.ones(1)
    ... )
    >>> wave = np.cos(2 * np.pi * np.arange(8) / 4) * np.ones((8, 1))
    >>> found = energy_and_enstrophy(wave[..., None], known)
    >>> round(float(found["enstrophy"].sum()), 6)  # half of the mean square
    0.25
  """
  spectra_ = {}
  radial = functools.partial(_spectrum, periodic=context.periodic)
  if any(positions is not None for positions in context.positions):
    return {}  # waves are of even steps
  names = zip(context.names, context.long_names, context.units, strict=True)
  for c, words in enumerate(names):
    if flow.is_vorticity(*words):
      weight = functools.partial(_inverse_square, step=context.step)
      vorticity = values[..., c]
      spectra_[c] = radial(vorticity, weight=weight), radial(vorticity)
  for first, second in flow.velocities(context):
    if min(values.shape[:2]) < 3:
      continue
    u, v = values[..., first], values[..., second]
    curl, _ = flow.curl_and_divergence(u, v, context)
    spectra_[first] = radial(u) + radial(v), radial(curl)
  if not spectra_:
    return {}
  rings = len(next(iter(spectra_.values()))[0])
  spectrum = np.full((2, rings, values.shape[-1]), np.nan)
  for c, both in spectra_.items():
    spectrum[..., c] = both
  return dict(zip(QUANTITIES, spectrum, strict=True))


def flows(mean: contexts.Parts, context: contexts.Context) -> tuple[str, ...]:
  """Returns the variables with which energy and enstrophy stand.

  Examples:
    >>> from hinote_jax.metrics import context
    >>> known = context.Context(
    ...   ("omega", "rho"), ("s-1", ""), ("", ""), (True, True), np.ones(2)
    ... )
    >>> flows({"energy": np.array([[1.0, np.nan]])}, known)
    ('omega',)
  """
  if "energy" not in mean:
    return ()
  energy = mean["energy"]
  return tuple(
    name
    for channel, name in enumerate(context.names)
    if np.isfinite(energy[..., channel]).all()
  )


def parts(
  pred: Float[np.ndarray, "H W c"],
  target: Float[np.ndarray, "H W c"],
  context: contexts.Context,
) -> dict[str, np.ndarray]:
  """Returns both spectra of a prediction and of the truth, and `flow.parts`.

  "energy", "enstrophy", "truth_energy" and "truth_enstrophy" are [k c],
  "wavenumber" is [k] in cycles per cell.

  Args:
    pred: [H W c].
    target: [H W c].
    context: of the dataset.

  Examples:
    >>> from hinote_jax.metrics import context
    >>> known = context.Context(
    ...   ("omega",), ("s-1",), ("",), (True, True), np.ones(1)
    ... )
    >>> noise = np.random.default_rng(0).normal(size=(8, 8, 1))
    >>> found = parts(2 * noise, noise, known)
    >>> ratio = found["energy"] / found["truth_energy"]
    >>> bool(np.allclose(ratio, 4.0))
    True
  """
  powers = flow.parts(pred, target, context)
  for label, values in (("", pred), ("truth_", target)):
    both = energy_and_enstrophy(values, context)
    powers |= {label + name: power for name, power in both.items()}
  if "energy" in powers:
    rings = np.arange(1, len(powers["energy"]) + 1)
    powers["wavenumber"] = rings * spectra.fundamental(
      pred.shape[:2], context.periodic
    )
  return powers


def reduce(mean: contexts.Parts) -> dict[str, np.ndarray]:
  """Returns the `METRICS` from the means of `parts` over fields.

  They compare the mean spectra: an error of one field may make good that of
  another.

  Examples:
    >>> one = np.ones((2, 1))
    >>> mean = dict(
    ...   energy=one, truth_energy=2 * one, enstrophy=one, truth_enstrophy=one
    ... )
    >>> reduce(mean | dict(wavenumber=np.array([0.25, 0.5])))["energy_error"]
    array([-0.5])
  """
  scores = flow.reduce(mean)
  if "energy" not in mean:
    return scores
  for name in QUANTITIES:
    power, truth = mean[name], mean[f"truth_{name}"]
    total = contexts.ratio(power.sum(axis=0), truth.sum(axis=0))
    scores[f"{name}_error"] = total - 1.0
    distance = spectra.log_distance(
      mean["wavenumber"], power[None], truth[None], weight=truth[None]
    )
    scores[f"{name}_spectrum_error"] = distance[0]
  return scores


def _spectrum(field: np.ndarray, *, periodic, weight=None) -> np.ndarray:
  """Returns half of the radial spectrum of a plane, [k]."""
  _, power = spectra.radial_spectrum(
    field[None, :, :, None], periodic=periodic, weight=weight
  )
  return 0.5 * power[0, :, 0]


def _inverse_square(ky: np.ndarray, kx: np.ndarray, *, step) -> np.ndarray:
  """Returns 1 / |k|^2 from cycles per cell, 0 for the mean."""
  squared = (ky / step[0]) ** 2 + (kx / step[1]) ** 2
  squared = squared * (2.0 * np.pi) ** 2
  return np.divide(1.0, squared, out=np.zeros_like(squared), where=squared > 0)
