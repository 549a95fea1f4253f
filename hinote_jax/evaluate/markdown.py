"""Tables and lists of the reports, in Markdown."""

from collections.abc import Mapping, Sequence
import re
from typing import Any


def table(lines: Sequence[Sequence[str]], *, left: int = 1) -> str:
  """Returns a table; the first line is its head.

  Args:
    lines: cells, as many in each line.
    left: how many columns are text, the others are numbers.
  """
  rule = [":--" if i < left else "--:" for i in range(len(lines[0]))]
  rows = [lines[0], rule, *lines[1:]]
  return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def facts(values: Mapping[str, Any], command: str | None) -> str:
  """Returns values by name, but for empty ones, as a list; the command."""
  lines = [f"* {key}: {plain(value)}" for key, value in values.items() if value]
  text = "\n".join(lines)
  return f"{text}\n\nTo reproduce:\n\n```\n{command}\n```" if command else text


def filled(text: str, blocks: Mapping[str, str]) -> str:
  """Returns the text with what stands between marks replaced.

  The marks of a block are <!-- NAME --> and <!-- end -->, each on a line.

  Raises:
    ValueError: a name is not marked, or more than once.
  """
  for name, block in blocks.items():
    mark, end = f"<!-- {name} -->\n", "\n<!-- end -->"
    pattern = f"{re.escape(mark)}.*?{end[1:]}"
    made = mark + block + end
    text, count = re.subn(pattern, lambda _, made=made: made, text, flags=re.S)
    if count != 1:
      raise ValueError(f"the text has {count} blocks for {name}, not one")
  return text


def plain(value: Any) -> str:
  """Returns JSON values as words between commas."""
  if isinstance(value, Mapping):
    return ", ".join(f"{k} {plain(v)}" for k, v in value.items())
  if isinstance(value, list | tuple):
    return ", ".join(plain(v) for v in value)
  return str(value)
