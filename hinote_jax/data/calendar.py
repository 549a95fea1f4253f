"""What a date tells: where the sun stands, the season, the hour, the month."""

from collections.abc import Iterable, Sequence

import numpy as np

from hinote_jax.data import reprojection, spans
from hinote_jax.fields import axes

_SECOND = "datetime64[s]"
_DAY = 86_400.0  # seconds
_YEAR = 365.2422  # days
_J2000 = np.datetime64("2000-01-01T12:00:00")


def dates(times: Sequence[str], wanted: str) -> np.ndarray:
  """Returns the labels of fields as dates, [t] datetime64.

  Args:
    times: ISO dates.
    wanted: what asks for them, for the message.

  Raises:
    ValueError: one is no date, or of a calendar of its own, as 30 February.

  Examples:
    >>> dates(["2020-03-01T06"], "sun").tolist()
    [datetime.datetime(2020, 3, 1, 6, 0)]
  """
  undated = [time for time in times if not spans.is_date(time)]
  if undated or not times:
    raise ValueError(
      f"{wanted!r} takes the dates of fields, and theirs are "
      f"{undated[0] if undated else 'none'!r}: leave it out of "
      "config.data.static"
    )
  try:
    return np.asarray(times, _SECOND)
  except ValueError as error:
    raise ValueError(
      f"{wanted!r} takes the dates of fields, and theirs are of a calendar "
      f"with days that the year has not ({error}): leave it out of "
      "config.data.static"
    ) from error


def zenith_cosine(
  when: np.datetime64, latitude: np.ndarray, longitude: np.ndarray
) -> np.ndarray:
  """Returns the cosine of the sun's zenith angle; below 0 it is night.

  By the formulas of low precision of the Astronomical Almanac, right to some
  hundredths of a degree for a century about 2000:

    cos z = sin(lat) sin(dec) + cos(lat) cos(dec) cos(hour angle).

  Args:
    when: universal time.
    latitude: degrees north, of any shape.
    longitude: degrees east, of a shape that goes with it.

  Returns:
    within [-1, 1], float64.

  Examples:
    >>> noon = np.datetime64("2020-03-20T12:00")
    >>> bool(zenith_cosine(noon, np.zeros(1), np.zeros(1))[0] > 0.999)
    True
  """
  days = (when.astype(_SECOND) - _J2000).astype(np.float64) / _DAY
  mean = np.deg2rad(280.460 + 0.9856474 * days)
  anomaly = np.deg2rad(357.528 + 0.9856003 * days)
  centre = 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly)
  ecliptic = mean + np.deg2rad(centre)
  tilt = np.deg2rad(23.439 - 4e-7 * days)
  ascension = np.arctan2(np.cos(tilt) * np.sin(ecliptic), np.cos(ecliptic))
  declination = np.arcsin(np.sin(tilt) * np.sin(ecliptic))
  # Of Greenwich: a turn of the earth against the stars.
  sidereal = 2 * np.pi * (0.7790572733 + 1.0027379094 * days)
  hour_angle = sidereal + np.deg2rad(longitude) - ascension
  latitude = np.deg2rad(latitude)
  return np.sin(latitude) * np.sin(declination) + (
    np.cos(latitude) * np.cos(declination) * np.cos(hour_angle)
  )


def sun(when: np.datetime64, y: axes.Axis, x: axes.Axis) -> np.ndarray:
  """Returns `zenith_cosine` at the centres of cells, [H W 1] float32.

  Raises:
    ValueError: the axes tell no latitude and longitude.
  """
  places = (one[..., None] for one in reprojection.degrees("sun", y, x))
  return zenith_cosine(when, *places).astype(np.float32)


def season(when: np.datetime64, y: axes.Axis, x: axes.Axis) -> np.ndarray:
  """Returns sine and cosine of the time of the year, [H W 2] float32."""
  year = when.astype("datetime64[Y]")
  seconds = (when.astype(_SECOND) - year.astype(_SECOND)).astype(np.float64)
  angle = 2 * np.pi * seconds / (_DAY * _YEAR)
  values = np.asarray([np.sin(angle), np.cos(angle)], np.float32)
  return np.broadcast_to(values, (len(y), len(x), 2))


def hour(when: np.datetime64) -> int:
  """Returns the hour of the day, universal time, 0 to 23."""
  day = when.astype("datetime64[D]")
  return int((when - day) // np.timedelta64(1, "h"))


def apart(ours: Iterable[int], theirs: Iterable[int]) -> list[int]:
  """Returns which of our months are more than one from all of theirs.

  Examples:
    >>> apart((2, 4, 7, 12), (3,))
    [7, 12]
    >>> apart((1, 11), (12,))
    []
  """
  near = {(m + step - 1) % 12 + 1 for m in theirs for step in (-1, 0, 1)}
  return sorted(set(ours) - near)


def month(when: np.datetime64) -> int:
  """Returns the month, 1 to 12."""
  return int(when.astype("datetime64[M]").astype(int) % 12 + 1)
