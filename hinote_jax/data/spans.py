"""Which times fields and groups of them cover, and where these overlap.

Times are labels. Dates written alike, year first, order as texts do; other
labels (steps of a run, numbers of slices) have no order that two groups share.
"""

import bisect
from collections.abc import Iterable, Mapping, Sequence
import re

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

# The first and the last time; texts without a date are "" and "".
Span = tuple[str, str]


def is_date(label: str) -> bool:
  """Says whether a label begins with a date, as in 2019-06-01T12:00."""
  return bool(_DATE.match(label))


def is_dated(times: Sequence[str]) -> bool:
  """Says whether all labels are dates, and there are some."""
  return bool(times) and all(map(is_date, times))


def of(
  indices: Iterable[int], groups: Sequence[str], times: Sequence[str]
) -> dict[str, Span]:
  """Returns group -> its first and last time, in order of first fields.

  Args:
    indices: of the fields that count.
    groups: what each field belongs to; without any all are of one group, "".
    times: of each field; without any, spans are ("", "").
  """
  spans = {}
  for i in indices:
    group, time = groups[i] if groups else "", times[i] if times else ""
    first, last = spans.get(group, (time, time))
    spans[group] = (min(first, time), max(last, time))
  return spans


def merged(spans: Iterable[Span]) -> list[Span]:
  """Returns the intervals that spans cover, in order and apart."""
  intervals = []
  for first, last in sorted(spans):
    if intervals and first <= intervals[-1][1]:
      intervals[-1] = (intervals[-1][0], max(last, intervals[-1][1]))
    else:
      intervals.append((first, last))
  return intervals


def meeting(intervals: Sequence[Span], span: Span) -> Span | None:
  """Returns the first of `merged` intervals that shares a time with a span."""
  i = bisect.bisect_left(intervals, span[0], key=lambda interval: interval[1])
  is_shared = i < len(intervals) and intervals[i][0] <= span[1]
  return intervals[i] if is_shared else None


def apart(
  groups: Iterable[str], others: Iterable[str], spans: Mapping[str, Span]
) -> list[str]:
  """Returns the groups that share no time with any of the others."""
  covered = merged(spans[group] for group in others)
  return [group for group in groups if not meeting(covered, spans[group])]
