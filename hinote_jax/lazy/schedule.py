"""One pass over a grid: which windows of which grids every window reads.

A pass computes the windows of one grid (or the parts of a total) from what is
stored. All grids between are computed within the window, each once, however
many read it: its window is the hull of what they ask for. Sizes are static and
the same for all windows of a pass, starts are numbers that come with each, so
that one compiled function serves them all.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from hinote_jax.lazy import grid
from hinote_jax.lazy.grid import LazyGrid, Patch, Total, Window

Root = LazyGrid | Total


class Edge(NamedTuple):
  """A reading within a pass.

  Attributes:
    source: index of the grid that is read, among `Schedule.members`.
    shape: of the window that is read.
    row: of its starts, among those of the pass.
  """

  source: int
  shape: tuple[int, int]
  row: int


class Member(NamedTuple):
  """A grid of a pass, as it is compiled: equal members share a program.

  Attributes:
    function: of the grid; None where its values are stored.
    domain: of the grid.
    shape: of its window.
    edges: its readings.
  """

  function: grid.Function | None
  domain: grid.Domain
  shape: tuple[int, int]
  edges: tuple[Edge, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Schedule:
  """A pass for windows of one size.

  Attributes:
    members: stored grids first, then the others so that each follows what it
      reads; the last is the root.
    stored: the grids whose values are stored, in the order of `members`.
    computed: the others, but for the root.
    root: what the pass is for.
    starts: along y and along x, [windows rows] each: where windows begin. Row
      i is of member i; those of the edges follow.
  """

  members: tuple[Member, ...]
  stored: tuple[LazyGrid, ...]
  computed: tuple[LazyGrid, ...]
  root: Root
  starts: tuple[np.ndarray, np.ndarray]

  @property
  def params(self) -> list[Any]:
    """Parameters of what is computed, the root's last."""
    return [node.params for node in (*self.computed, self.root)]

  def start(self, i: int, j: int) -> np.ndarray:
    """Returns where all windows of a pass's window begin, [rows 2] int32.

    Args:
      i: of its start along y.
      j: the same along x.
    """
    both = [self.starts[0][i], self.starts[1][j]]
    return np.stack(both, axis=-1).astype(np.int32)


def sources(root: Root) -> tuple[tuple[LazyGrid, ...], tuple[LazyGrid, ...]]:
  """Returns the stored grids that a pass reads, and those it computes.

  The latter in an order in which each follows what it reads.
  """
  stored: list[LazyGrid] = []
  computed: list[LazyGrid] = []
  seen: set[int] = set()
  # A stack, not recursion: networks are hundreds of layers deep.
  stack: list[tuple[LazyGrid, bool]] = [
    (reading.source, False) for reading in reversed(root.readings)
  ]
  while stack:
    node, is_ready = stack.pop()
    if is_ready:
      computed.append(node)
    elif id(node) not in seen:
      seen.add(id(node))
      if node.is_stored:
        stored.append(node)
        continue
      stack.append((node, True))
      stack += [(r.source, False) for r in reversed(node.readings)]
  return tuple(stored), tuple(computed)


def make(
  root: Root,
  size: tuple[int, int],
  starts: tuple[np.ndarray, np.ndarray],
) -> Schedule:
  """Returns the pass for windows of one size.

  Args:
    root: what is computed.
    size: of its windows.
    starts: first rows and first columns of the windows, [windows] each.
  """
  stored, computed = sources(root)
  nodes: tuple[Root, ...] = (*stored, *computed, root)
  index = {id(node): i for i, node in enumerate(nodes)}
  # Along each axis: hulls of what is asked of every grid, from the root back.
  edges: dict[tuple[int, int], list[tuple[np.ndarray, int]]] = {}
  hulls = [
    _hulls(nodes, index, axis, size[axis], np.asarray(starts[axis]), edges)
    for axis in (0, 1)
  ]
  members, rows = [], len(nodes)
  for i, node in enumerate(nodes):
    own = []
    if i >= len(stored):
      for k, reading in enumerate(node.readings):
        (_, height), (_, width) = edges[i, k]
        shape = height, width
        own.append(Edge(index[id(reading.source)], shape, rows))
        rows += 1
    shape = hulls[0][i][1], hulls[1][i][1]
    function = None if i < len(stored) else node.function
    members.append(Member(function, node.domain, shape, tuple(own)))
  along = []
  for axis in (0, 1):
    column = [hull[0] for hull in hulls[axis]]
    for i, member in enumerate(members):
      column += [edges[i, k][axis][0] for k in range(len(member.edges))]
    along.append(np.stack(column, axis=-1))
  return Schedule(tuple(members), stored, computed, root, (along[0], along[1]))


def _hulls(nodes, index, axis, size, starts, edges):
  """Returns start and length of the window of every grid along an axis.

  The windows of its edges are added to `edges`, (node, reading) -> start and
  length along y, then x.
  """
  windows: list[list[tuple[np.ndarray, int]]] = [[] for _ in nodes]
  hulls: list[Any] = [None] * len(nodes)
  windows[-1].append((starts, size))
  for i in reversed(range(len(nodes))):
    node = nodes[i]
    n, closed = node.domain.shape[axis], node.domain.periodic[axis]
    first = np.min([start for start, _ in windows[i]], axis=0)
    last = np.max([start + length for start, length in windows[i]], axis=0)
    length = int((last - first).max())
    if not closed and len(windows[i]) > 1:
      length = min(length, n)
      first = np.clip(first, 0, n - length)
    hulls[i] = first, length
    if isinstance(node, LazyGrid) and node.is_stored and i < len(nodes) - 1:
      continue
    for k, reading in enumerate(node.readings):
      line, reach = reading.lines[axis], reading.reach[axis]
      source = reading.source.domain
      size_and_wrap = source.shape[axis], source.periodic[axis]
      count = grid.read_length(line, reach, *size_and_wrap, length)
      start = grid.read_start(line, reach, *size_and_wrap, first, count)
      windows[index[id(reading.source)]].append((start, count))
      edges.setdefault((i, k), []).append((start, count))
  return hulls


def evaluate(
  members: Sequence[Member],
  starts: jax.Array,
  stored: Sequence[jax.Array],
  params: Sequence[Any],
  owned: jax.Array | None = None,
) -> Any:
  """Returns what the root is in one window; traced.

  Args:
    members: of the pass.
    starts: of the window and all that it reads, [rows 2].
    stored: values of the stored grids' windows, [b h w c] each.
    params: of `Schedule.params`, totals resolved.
    owned: of the root's `Window`.
  """
  values = list(stored)
  for i in range(len(stored), len(members)):
    function, domain, shape, edges = members[i]
    patches = []
    for source, read, row in edges:
      patch, start = values[source], starts[row]
      if patch.shape[1:3] != read:
        y, x = start - starts[source]
        b, _, _, c = patch.shape
        patch = jax.lax.dynamic_slice(patch, (0, y, x, 0), (b, *read, c))
      patches.append(Patch(patch, start, members[source].domain))
    is_root = i == len(members) - 1
    window = Window(starts[i], shape, domain, owned if is_root else None)
    assert function is not None
    values.append(function(params[i - len(stored)], window, *patches))
  return values[-1]


def reach(schedule: Schedule) -> int:
  """Returns how far the stored windows reach beyond the root's, in its cells.

  The larger of both axes; whole axes do not count.
  """
  size, farthest = schedule.members[-1].shape, 0.0
  root = schedule.members[-1].domain
  for member in schedule.members[: len(schedule.stored)]:
    for axis in (0, 1):
      n, m = root.shape[axis], member.domain.shape[axis]
      if member.shape[axis] < m:
        beyond = member.shape[axis] * n / m - size[axis]
        farthest = max(farthest, beyond / 2)
  return int(np.ceil(farthest))


def passes_before(root: Root) -> list[Root]:
  """Returns the stored grids and totals that a pass needs, to do before it.

  In an order in which each follows what it needs; inputs are left out.
  """
  ordered: list[Root] = []
  done: set[int] = set()
  stack: list[tuple[Root, bool]] = [(root, False)]
  while stack:
    node, is_ready = stack.pop()
    if is_ready:
      ordered.append(node)
      continue
    if id(node) in done:
      continue
    done.add(id(node))
    if isinstance(node, LazyGrid) and node.is_input:
      continue
    stack.append((node, True))
    stored, computed = sources(node)
    needed: list[Root] = list(stored)
    for one in (*computed, node):
      needed += grid.totals_of(one.params)
    stack += [(one, False) for one in reversed(needed)]
  return ordered[:-1]
