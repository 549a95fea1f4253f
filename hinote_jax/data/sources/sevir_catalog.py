"""The catalogue of SEVIR: which event lies where, and when it was.

CATALOG.csv has a row for each event and image type: `id`, `file_name` (below
the folder of the data), `file_index` (of the event in the file), `img_type`,
`time_utc` (of the middle frame), `minute_offsets` (of the frames from it,
between colons) and `pct_missing` (of all values of the event), beside others
that are not needed here. Facts of the tutorial in the dataset's repository,
MIT-AI-Accelerator/eie-sevir.
"""

from collections.abc import Sequence
import csv
import dataclasses
import pathlib

import numpy as np

from hinote_jax.io import inputs

NAME = "CATALOG.csv"
_NEEDED = ("id", "file_name", "file_index", "img_type", "time_utc")
_STEP = 5  # minutes from frame to frame


@dataclasses.dataclass(frozen=True)
class Event:
  """A storm, seen by one sensor or several.

  Attributes:
    id: as published, "S827433" where the weather service logged it.
    places: image type -> name of the file and index in it.
    time: of the middle frame, UTC; None where nothing tells.
    offsets: minutes from `time` to each frame; empty where nothing tells.
    is_complete: whether no value is missing; None where nothing tells.
  """

  id: str
  places: dict[str, tuple[str, int]]
  time: np.datetime64 | None = None
  offsets: tuple[int, ...] = ()
  is_complete: bool | None = None

  def label(self, frame: int, frames: int) -> str:
    """Returns the time of a frame, or its number where there is none."""
    if self.time is None:
      return f"{self.id} frame {frame}"
    offsets = self.offsets
    if len(offsets) != frames:
      offsets = [_STEP * (f - frames // 2) for f in range(frames)]
    time = self.time + np.timedelta64(offsets[frame], "m")
    return str(np.datetime_as_string(time, unit="m"))


def read(path: pathlib.Path, types: Sequence[str]) -> list[Event]:
  """Returns the events that have all image types asked for, in order of time.

  Events that have a type twice are left out, as the published loader does: it
  calls them a mistake of the catalogue.

  Raises:
    ValueError: a column is missing or a row cannot be read.
  """
  rows = {}  # event -> image type -> its rows
  try:
    with open(path, newline="", encoding="utf-8") as file:
      table = csv.DictReader(file)
      absent = [
        name for name in _NEEDED if name not in (table.fieldnames or ())
      ]
      if absent:
        raise ValueError(
          f"{path} has no column {absent[0]!r}: it is no catalogue of SEVIR"
        )
      for row in table:
        if row["img_type"] in types:
          of_event = rows.setdefault(row["id"], {})
          of_event.setdefault(row["img_type"], []).append(row)
  except (UnicodeDecodeError, csv.Error) as error:
    raise ValueError(f"cannot read {path} ({inputs.line(error)})") from error
  events = [
    _event(path, id_, {kind: of_event[kind][0] for kind in types})
    for id_, of_event in rows.items()
    if [len(of_event.get(kind, ())) for kind in types] == [1] * len(types)
  ]
  if not events:
    raise ValueError(f"{path} lists no event with {' and '.join(types)}")
  return sorted(events, key=lambda event: (event.time, event.id))


def _event(path, id_, rows) -> Event:
  first = next(iter(rows.values()))
  try:
    offsets = first.get("minute_offsets") or ""
    missing = [row.get("pct_missing") for row in rows.values()]
    return Event(
      id=id_,
      places={
        kind: (pathlib.PurePosixPath(row["file_name"]).name, _int(row))
        for kind, row in rows.items()
      },
      time=np.datetime64(first["time_utc"].strip().replace(" ", "T"), "m"),
      offsets=tuple(int(float(n)) for n in offsets.split(":") if n),
      is_complete=(
        None if None in missing else all(float(m or 0) == 0 for m in missing)
      ),
    )
  except (TypeError, ValueError) as error:
    raise ValueError(
      f"{path}: the row of event {id_} cannot be read ({inputs.line(error)})"
    ) from error


def _int(row) -> int:
  return int(float(row["file_index"]))
