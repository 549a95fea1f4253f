"""How far the work is, on one line, with the time that is left."""

import sys
import time
from typing import Any

import tqdm


class Progress:
  """A bar over the tiles of all fields of a file.

  It is there where standard error is a terminal. What was made is said in any
  case but quiet, what must be known in any.
  """

  def __init__(self, *, is_quiet: bool = False):
    """Makes a bar that is not there yet; `is_quiet` has none at all."""
    self._is_quiet = is_quiet
    self._bar: Any = None
    self._name, self._began = "", time.monotonic()

  def start(self, name: str, done: int = 0, total: int | None = None) -> None:
    """Begins a file.

    Args:
      name: of the file.
      done: tiles that are there already.
      total: tiles of all fields; None as long as nobody knows.
    """
    self.close()
    self._name, self._began = name, time.monotonic()
    self._bar = tqdm.tqdm(
      desc=name,
      initial=done,
      total=total,
      unit=" tiles",
      disable=True if self._is_quiet else None,
      leave=False,
    )

  def set_total(self, total: int) -> None:
    """Says how many tiles there are."""
    if self._bar is not None:
      self._bar.total = total

  def step(self, count: int | bool) -> None:
    """Counts tiles that were made."""
    if self._bar is not None:
      self._bar.update(count)

  def describe(self, what: str) -> None:
    """Says what is being done."""
    if self._bar is not None:
      self._bar.set_description_str(what)

  def report(self, what: str, done: int, total: int) -> None:
    """Says how far a pass over a field is, as `plans.Plan` reports it."""
    is_last = what == "answer" or done == total
    passing = "" if is_last else f": {what} {done}/{total}"
    if self._bar is not None:
      self._bar.set_description_str(f"{self._name}{passing}", refresh=False)
      self._bar.update(0)
      if passing and not self._bar.disable:
        self._bar.refresh()

  def note(self, text: str) -> None:
    """Says what must be known, on a line of its own."""
    with tqdm.tqdm.external_write_mode(file=sys.stderr):
      print(f"hinote_jax: {text}", file=sys.stderr)

  def finish(self, what: str) -> None:
    """Ends the bar and says what was made in which time, unless quiet."""
    self.close()
    if not self._is_quiet:
      self.note(f"{what} in {duration(time.monotonic() - self._began)}")
    self._began = time.monotonic()

  def close(self) -> None:
    """Ends the bar."""
    if self._bar is not None:
      self._bar.close()
      self._bar = None


def duration(seconds: float) -> str:
  """Returns a time as a reader would say it."""
  if seconds < 100:
    return f"{max(1, round(seconds))} s"
  if seconds < 6000:
    return f"{round(seconds / 60)} min"
  return f"{seconds / 3600:.1f} h"
