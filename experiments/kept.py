"""Results that are made once and kept in a file; what was stopped goes on."""

from collections.abc import Callable
import json
import pathlib
from typing import Any

from hinote_jax.train import workdir


class Kept:
  """What an experiment has found, by kind and name.

  What other processes added to the file since it was read stays in it.

  Example:
    >>> import tempfile
    >>> kept = Kept(pathlib.Path(tempfile.mkdtemp()) / "results.json")
    >>> kept.once("runs", "liif", lambda: 1.5)
    1.5
    >>> kept.once("runs", "liif", lambda: 2.5)
    1.5
  """

  def __init__(self, path: pathlib.Path):
    """Takes where the results are, or will be."""
    self.path = path

  def read(self) -> dict[str, Any]:
    """Returns kind -> name -> result; "seconds_a_step" and "runs" are kinds."""
    known = json.loads(self.path.read_text()) if self.path.is_file() else {}
    return {"seconds_a_step": {}, "runs": {}} | known

  def once(self, kind: str, name: str, make: Callable[[], Any]) -> Any:
    """Returns a result, which is made and kept where it is not there yet."""
    known = self.read().get(kind, {})
    if name in known:
      return known[name]
    made = make()
    everything = self.read()
    everything.setdefault(kind, {})[name] = made
    everything["versions"] = workdir.versions()
    self.path.parent.mkdir(parents=True, exist_ok=True)
    workdir.write_json(self.path, everything)
    return made

  def seconds_a_step(self, name: str) -> float:
    """Returns what was timed.

    Raises:
      SystemExit: nothing of this name was.
    """
    seconds = self.read()["seconds_a_step"].get(name)
    if seconds is None:
      raise SystemExit(f"{name}: time its step first, by --time")
    return seconds
