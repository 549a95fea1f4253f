"""Units as files spell them, converted by pint.

The spellings are those of CF and UDUNITS, of ECMWF and of people: "m s-1",
"m s**-1", "m/s"; "degC", "degrees_C", "celsius"; "hPa", "mb"; "1", "%".
"""

import functools
import re
from typing import Any

from hinote_jax.io import inputs

# Texts that pint reads otherwise, or not at all, in lower case.
_SPELLINGS = {
  "degC": "c celsius centigrade deg_c deg_celsius degree_c degree_celsius"
  " degrees_c degrees_celsius",
  "degF": "f fahrenheit deg_f degree_f degree_fahrenheit degrees_f"
  " degrees_fahrenheit",
  "K": "kelvin kelvins deg_k degk degree_k degree_kelvin degrees_k"
  " degrees_kelvin",
  "mbar": "mb millibars",
  "m": "gpm",
  "1e-3": "psu",
  "1e-9": "ppb",
  "1": "- fraction ratio unitless none (0_-_1) 0-1",
}
_KNOWN = {
  text: name for name, texts in _SPELLINGS.items() for text in texts.split()
}
_FACTOR = re.compile(
  r"(?:10(?:\*\*|\^)?([+-]\d{1,2})|(\d[\d.]*(?:e[+-]?\d{1,2})?))\b"
)
_POWER = re.compile(r"(?:\*\*|\^|(?<=[^\W\d_]))(?=[+-]?\d)")
# A power of a power may be a number without end.
_PLAIN = re.compile(
  r"(?:[^\W\d]+|[%°\s/()]|\*(?!\*)|\*\*[+-]?\d{1,2}(?!\d|\s*\*\*))*"
)


@functools.cache
def _registry() -> Any:
  return inputs.require("pint", "io").UnitRegistry()


def _parsed(text: str) -> tuple[float, Any]:
  """Returns a factor and the unit that it is of; else raises ValueError."""
  text = text.strip()
  text = _KNOWN.get(re.sub(r"\s+", "_", text.lower()), text)
  factor = 1.0
  if number := _FACTOR.match(text):
    power, plain = number.groups()
    factor = 10.0 ** int(power) if power else float(plain)
    text = text[number.end() :]
  text = _POWER.sub("**", text.replace("·", " ").replace(".", " "))
  if len(text) > 80 or not _PLAIN.fullmatch(text) or not factor:
    raise ValueError(text)
  try:
    return factor, _registry().parse_units(text)
  except Exception as error:  # its parser raises many kinds for other texts
    raise ValueError(text) from error


@functools.cache
def conversion(given: str, wanted: str) -> tuple[float, float] | None:
  """Returns how numbers of one unit become those of another.

  Args:
    given: unit of the numbers, as a file spells it.
    wanted: unit to bring them to.

  Returns:
    (scale, offset), a number times scale plus offset; None where a unit is
    unknown or they are of different quantities.

  Raises:
    ModuleNotFoundError: the units differ and pint is missing.
  """
  if given.strip() == wanted.strip():
    return 1.0, 0.0
  pint = inputs.require("pint", "io")
  try:
    (size, unit), (other_size, other) = _parsed(given), _parsed(wanted)
    zero, one = (_registry().Quantity([0.0, size], unit)).to(other).magnitude
  except (pint.PintError, ValueError):
    return None
  return float(one - zero) / other_size, float(zero) / other_size
