"""What comes with the package and loads by name: networks and tables.

A network is a folder here, a run cut down to what inference reads of it, with a
card that says what it was trained on and what it is worth; a table is a file of
`hinote_jax/tables`.
"""

import os
import pathlib

FOLDER = pathlib.Path(__file__).parent
TABLES = FOLDER.with_name("tables")
CARD = "CARD.md"
# What makes fields finer where nobody said what, and none of the networks fits.
FALLBACK = "bicubic"


def networks() -> tuple[str, ...]:
  """Returns the names of the networks, in order.

  Examples:
    >>> all(name.startswith("hinote-") for name in networks())
    True
  """
  return tuple(sorted(p.parent.name for p in FOLDER.glob("*/config.json")))


def tables() -> tuple[str, ...]:
  """Returns the names of the tables, in order.

  Examples:
    >>> "im-lut-photo" in tables()
    True
  """
  return tuple(sorted(path.stem for path in TABLES.glob("*.npz")))


def names() -> tuple[str, ...]:
  """Returns all names.

  Examples:
    >>> set(names()) == {*networks(), *tables()}
    True
  """
  return (*networks(), *tables())


def resolved(name: str | pathlib.Path) -> str | pathlib.Path:
  """Returns where what is called so lies; what has no such name stays.

  A path that is there wins over a name.

  Args:
    name: one of `names`, or a path.

  Examples:
    >>> resolved("im-lut-photo").name, resolved("bicubic")
    ('im-lut-photo.npz', 'bicubic')
  """
  if os.path.exists(name):
    return name
  if str(name) in networks():
    return FOLDER / str(name)
  if str(name) in tables():
    return TABLES / f"{name}.npz"
  return name
