"""Where the sun stands, by what every almanac says of it."""

import numpy as np
import pytest

from hinote_jax.data import calendar
from hinote_jax.fields import axes


def _cosine(when, latitude, longitude=0.0):
  return calendar.zenith_cosine(
    np.datetime64(when), np.asarray(latitude), np.asarray(longitude)
  )


@pytest.mark.parametrize(
  "when, declination",
  [
    ("2020-03-20T03:50", 0.0),  # equinoxes and solstices, to the minute
    ("2020-06-20T21:44", 23.436),
    ("2024-09-22T12:44", 0.0),
    ("2024-12-21T09:20", -23.438),
  ],
)
def test_at_the_pole_it_stands_as_high_as_its_declination(when, declination):
  height = np.rad2deg(np.arcsin(_cosine(when, 90.0)))
  np.testing.assert_allclose(height, declination, atol=0.02)


@pytest.mark.parametrize(
  "when, minutes",
  [("2021-02-11T12:00", -14.2), ("2021-11-03T12:00", 16.5)],
)
def test_noon_is_off_by_the_equation_of_time(when, minutes):
  longitude = np.arange(-10.0, 10.0, 0.01)
  noon = longitude[np.argmax(_cosine(when, 0.0, longitude))]
  # Four minutes a degree; fast means that the sun is to the west already.
  np.testing.assert_allclose(-4 * noon, minutes, atol=0.2)


def test_half_of_the_globe_has_night_and_days_are_a_turn():
  sine = (np.arange(40) + 0.5) / 20 - 1  # cells of equal area
  latitude = np.rad2deg(np.arcsin(sine))[:, None]
  longitude = np.arange(0.0, 360.0, 9.0)
  cosine = _cosine("2022-08-05T17:30", latitude, longitude)
  np.testing.assert_allclose(cosine.mean(), 0.0, atol=2e-3)
  assert abs((cosine > 0).mean() - 0.5) < 0.02
  later = _cosine("2022-08-05T21:30", latitude, longitude - 60.0)
  np.testing.assert_allclose(cosine, later, atol=2e-3)


def test_seasons_hours_and_months():
  y, x = axes.counted("y", 2), axes.counted("x", 3)
  first = calendar.season(np.datetime64("2021-01-01"), y, x)
  np.testing.assert_allclose(first, np.broadcast_to([0, 1], (2, 3, 2)))
  july = calendar.season(np.datetime64("2021-07-02T14"), y, x)
  np.testing.assert_allclose(july[0, 0], [0, -1], atol=0.01)
  when = np.datetime64("2021-12-31T23:59:59")
  assert (calendar.hour(when), calendar.month(when)) == (23, 12)
  when = np.datetime64("1969-02-28T06")
  assert (calendar.hour(when), calendar.month(when)) == (6, 2)


def test_fields_without_dates_or_degrees_are_refused():
  with pytest.raises(ValueError, match="'sun' takes the dates .* '7'"):
    calendar.dates(["2020-01-01", "7"], "sun")
  with pytest.raises(ValueError, match="tell no latitude and longitude"):
    counted = axes.counted("y", 2), axes.counted("x", 2)
    calendar.sun(np.datetime64("2020-01-01"), *counted)
