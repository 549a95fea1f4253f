"""Units as files spell them."""

import numpy as np
import pytest

from hinote_jax.io import units

pytest.importorskip("pint")


@pytest.mark.parametrize(
  ("given", "wanted", "scale", "offset"),
  [
    ("degC", "K", 1.0, 273.15),
    ("degrees_C", "kelvin", 1.0, 273.15),
    ("celsius", "K", 1.0, 273.15),
    ("deg C", "K", 1.0, 273.15),
    ("C", "K", 1.0, 273.15),
    ("K", "°C", 1.0, -273.15),
    ("degF", "degC", 5 / 9, -160 / 9),
    ("degC m-1", "K/m", 1.0, 0.0),
    ("m s**-1", "m s-1", 1.0, 0.0),
    ("km/h", "m s-1", 1 / 3.6, 0.0),
    ("knots", "m/s", 1852 / 3600, 0.0),
    ("hPa", "Pa", 100.0, 0.0),
    ("mb", "hPa", 1.0, 0.0),
    ("kg m-2", "g/m^2", 1000.0, 0.0),
    ("kg.m-2", "kg m**-2", 1.0, 0.0),
    ("m2 s-2", "J kg**-1", 1.0, 0.0),
    ("mm/day", "m s-1", 1e-3 / 86400, 0.0),
    ("%", "1", 0.01, 0.0),
    ("(0 - 1)", "%", 100.0, 0.0),
    ("g kg-1", "1e-3", 1.0, 0.0),
    ("10^-6 m", "um", 1.0, 0.0),
    ("dBZ ", "dBZ", 1.0, 0.0),
  ],
)
def test_numbers_of_one_unit_become_those_of_another(
  given, wanted, scale, offset
):
  found = units.conversion(given, wanted)
  np.testing.assert_allclose(found, (scale, offset), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
  "text",
  [
    "m",
    "kg m-2",
    "1",
    "dBZ",
    "",
    "no unit",
    "((",
    "0 K",
    "9**9**9**9",
    "m" * 99,
  ]
  + ["m**9 **9 **9 **9", "days since 1900-01-01", "\0", "__import__('os')"],
)
def test_other_quantities_and_texts_do_not_convert(text):
  assert units.conversion(text, "K") is None
