"""Files that appear whole or not at all."""

from collections.abc import Iterator
import contextlib
import os
import pathlib


@contextlib.contextmanager
def whole(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yields a path beside `path` to write to; it takes its place at the end.

  After an error `path` is as it was, and nothing is left beside it. The folder
  must exist.
  """
  path = pathlib.Path(path)
  partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
  try:
    yield partial
    os.replace(partial, path)
  finally:
    partial.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
  """Writes a text in UTF-8, whole or not at all."""
  with whole(path) as partial:
    partial.write_text(text, encoding="utf-8")
