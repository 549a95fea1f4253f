"""Headers of NetCDF classic files: where the numbers of a variable end.

Of all three kinds: classic, with 64-bit offsets, with 64-bit data (CDF-5). The
grammar is in the appendix "File Formats" of the NetCDF User's Guide.
"""

from collections.abc import Iterator
import os
import pathlib
from typing import Any

# How a file begins -> bytes of a count, and of a place in the file.
_WIDTHS = {b"CDF\x01": (4, 4), b"CDF\x02": (4, 8), b"CDF\x05": (8, 8)}
# Bytes of the types 1 to 11.
_SIZES = (1, 1, 2, 4, 4, 8, 1, 2, 4, 8, 8)
_LISTS = (10, 11, 12)  # dimensions, variables, attributes


def require_whole(path: pathlib.Path) -> None:
  """Refuses a NetCDF classic file whose numbers do not all lie within it.

  The C library reads zeros behind the end of a file.

  Args:
    path: of a file; one of another format passes.

  Raises:
    OSError: it cannot be read.
    ValueError: it is cut short, or its header damaged.
  """
  size = path.stat().st_size
  with path.open("rb") as stream:
    if (widths := _WIDTHS.get(stream.read(4))) is None:
      return
    for name, end in _ends(_Header(path, stream, *widths)):
      if end > size:
        raise ValueError(
          f"cannot read {path} (it is cut short: {name!r} ends at byte {end} "
          f"of {size})"
        )


class _Header:
  """A header, read forwards."""

  def __init__(self, path: pathlib.Path, stream: Any, count: int, place: int):
    """Begins behind the first four bytes.

    Args:
      path: of the file.
      stream: the open file.
      count: bytes of a count.
      place: bytes of a place in the file.
    """
    self._path, self._stream = path, stream
    self.count, self.place = count, place

  def number(self, width: int = 0) -> int:
    """Returns the next number, of so many bytes; 0 for those of a count."""
    data = self._stream.read(width or self.count)
    if len(data) < (width or self.count):
      raise ValueError(f"cannot read {self._path} (its header is cut short)")
    return int.from_bytes(data, "big")

  def skip(self, count: int) -> None:
    """Goes on behind so many bytes and what fills up the last four."""
    self._stream.seek(count + -count % 4, os.SEEK_CUR)

  def name(self) -> str:
    """Returns the next name."""
    count = self.number()
    text = self._stream.read(min(count, 1 << 16))
    self._stream.seek(count - len(text) + -count % 4, os.SEEK_CUR)
    return text.decode(errors="replace")

  def size(self) -> int:
    """Returns the bytes of a number of the type that is next."""
    kind = self.number(4)
    if not 1 <= kind <= len(_SIZES):
      raise ValueError(
        f"cannot read {self._path} (its header is damaged: there is no type "
        f"{kind})"
      )
    return _SIZES[kind - 1]

  def items(self) -> range:
    """Returns the range of the list that is next."""
    kind, count = self.number(4), self.number()
    if kind not in _LISTS and (kind or count):
      raise ValueError(
        f"cannot read {self._path} (its header is damaged: there is no list "
        f"of the kind {kind})"
      )
    return range(count)

  def skip_attributes(self) -> None:
    """Goes on behind a list of attributes."""
    for _ in self.items():
      self.name()
      size = self.size()
      self.skip(size * self.number())


def _ends(header: _Header) -> Iterator[tuple[str, int]]:
  """Yields the name of each variable that has numbers, and where they end."""
  records, lengths, along = header.number(), [], []
  for _ in header.items():
    header.name()
    lengths.append(header.number())  # 0 for that of the records
  header.skip_attributes()
  for _ in header.items():
    name = header.name()
    dims = [lengths[header.number()] for _ in range(header.number())]
    header.skip_attributes()
    size = header.size()
    header.number()  # the size, which 32 bits may not hold
    start, is_record = header.number(header.place), dims[:1] == [0]
    for length in dims[is_record:]:
      size *= length
    if is_record:
      along.append((name, start, size))
    else:
      yield name, start + size
  # A record is that of each variable in turn, filled up where there are many.
  step = sum(size + -size % 4 for *_, size in along)
  step = along[0][-1] if len(along) == 1 else step
  is_known = records != (1 << 8 * header.count) - 1
  for name, start, size in along if records and is_known else ():
    yield name, start + (records - 1) * step + size
