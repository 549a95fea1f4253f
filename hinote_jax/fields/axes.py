"""Where the cells of one axis lie, and how the axis is refined.

An axis is even: its n positions are a step apart. Registered at "cells" they
are the centres of cells, and the extent ends half a step beyond the outer
ones; a finer grid divides that extent. Registered at "nodes" the outer ones
are the ends of the axis, and a finer grid runs from one to the other, as a
latitude axis does that holds both poles: nothing lies beyond a pole.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from jaxtyping import Float
import numpy as np

from hinote_jax.core import grids, naming
from hinote_jax.fields import positions

REGISTRATIONS = ("cells", "nodes")

_LATITUDES = {"latitude", "lat", "nav_lat"}
_LATITUDES |= {"degrees_north", "degree_north", "degrees_n", "degree_n"}
_LONGITUDES = {"longitude", "lon", "long", "nav_lon"}
_LONGITUDES |= {"degrees_east", "degree_east", "degrees_e", "degree_e"}


def is_latitude(name: str, units: str = "") -> bool:
  """Says whether positions are latitude by their units or their name."""
  return not _LATITUDES.isdisjoint((units.lower(), name.lower()))


def is_longitude(name: str, units: str = "") -> bool:
  """Says whether positions are longitude by their units or their name."""
  return not _LONGITUDES.isdisjoint((units.lower(), name.lower()))


def is_cyclic(axis: "Axis") -> bool:
  """Says whether an axis is longitude and goes once around the globe.

  True where the steps are even (1 %, a jump of 360 degrees counting as none)
  and n steps make 360 degrees to within half a step.
  """
  if not axis.is_longitude or len(axis.values) < 2:
    return False
  steps = positions.turned(np.diff(np.asarray(axis.values, np.float64)))
  step = abs(steps.mean())
  is_even = np.all(np.abs(np.abs(steps) - step) <= 0.01 * step)
  around = abs(len(axis.values) * step - positions.TURN) < 0.5 * step
  return bool(is_even and around)


@dataclasses.dataclass(frozen=True, eq=False)
class Axis:
  """One even axis of a grid; `Axis.of` checks what a file says.

  Attributes:
    name: of the dimension.
    values: positions, [n] float64, rising or falling in even steps.
    units: of the positions; "cell" where they only count.
    registration: "cells" or "nodes".
    is_periodic: whether it closes on itself, with period n steps.
    attributes: of the coordinate in its file.
    is_even: False where the steps are not even: fields on such an axis are
      learned from, but the axis cannot be refined.
    label: where in its cell the file gives a position, 0 for the first edge
      and 1 for the last; None: the positions are those of the file.
    turn: the longitude at which the file's positions jump; None: they do not.
    crs: the projection that the file names, of `io.projections`; "": none.

  Examples:
    >>> Axis.of("lat", [90.0, 0.0, -90.0], "degrees_north").registration
    'nodes'
  """

  name: str
  values: np.ndarray
  units: str = "cell"
  registration: str = "cells"
  is_periodic: bool = False
  attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  is_even: bool = True
  label: float | None = None
  turn: float | None = None
  crs: str = ""

  @classmethod
  def of(
    cls,
    name: str,
    values: np.ndarray | Sequence[float],
    units: str = "cell",
    *,
    registration: str | None = None,
    is_periodic: bool | None = None,
    attributes: Mapping[str, Any] | None = None,
    bounds: np.ndarray | None = None,
    may_be_uneven: bool = False,
    where: object = "the grid",
  ) -> "Axis":
    """Returns the axis of the positions that a file gives.

    Longitudes that jump by 360 degrees are unrolled, poles that rounding has
    moved are put in their place, and bounds of even cells count before them.

    Args:
      name: of the dimension.
      values: positions, [n] real.
      units: of the positions.
      registration: None finds out: a latitude axis that holds both poles has
        nodes there, all others have cells.
      is_periodic: None finds out: longitude once around closes on itself.
      attributes: of the coordinate in its file.
      bounds: of the cells, [n 2], or None.
      may_be_uneven: take positions that are unsorted or uneven as they are.
      where: the file, for messages.

    Raises:
      ValueError: the positions are unsorted or uneven (by 1 % of a step), not
        finite, or beyond a pole; or it is to be periodic and have nodes.
    """
    given = np.asarray(values)
    axis = cls(name, given.astype(np.float64), units)
    bounded, label = None, None
    if bounds is not None:
      bounded, label, values = positions.by_bounds(
        axis.values, np.asarray(bounds, np.float64), axis.is_longitude
      )
      axis = dataclasses.replace(axis, values=values, label=label)
    checked, is_even = positions.checked(
      axis.values,
      given.dtype,
      is_latitude=axis.is_latitude,
      is_longitude=axis.is_longitude,
      where=f"{where}: {name}",
    )
    turn = None
    if np.any(np.abs(checked - axis.values) > positions.TURN / 2):
      turn = 0.0 if given.min() >= 0 else -positions.TURN / 2
    axis = dataclasses.replace(axis, values=checked, is_even=is_even, turn=turn)
    if not may_be_uneven:
      axis.require_even(where)
    periodic = is_cyclic(axis) if is_periodic is None else is_periodic
    if registration is None:
      has_nodes = _holds_poles(axis) or (bounded == "nodes" and not periodic)
      registration = "nodes" if has_nodes else "cells"
    axis = dataclasses.replace(axis, attributes=dict(attributes or {}))
    return axis.registered(registration, periodic)

  def registered(self, registration: str, is_periodic: bool) -> "Axis":
    """Returns the same positions registered otherwise.

    Raises:
      ValueError: the registration is unknown, or it is to be periodic and have
        nodes: both ends would be one point.
    """
    if registration not in REGISTRATIONS:
      raise ValueError(
        f"unknown registration {registration!r} of {self.name}; "
        f"{naming.hint(registration, REGISTRATIONS)}"
      )
    if is_periodic and registration == "nodes":
      raise ValueError(
        f"{self.name} cannot be periodic and have nodes at both ends: register "
        "it at cells"
      )
    return dataclasses.replace(
      self, registration=registration, is_periodic=bool(is_periodic)
    )

  def require_even(self, where: object) -> None:
    """Refuses positions in uneven steps, which cannot be refined.

    Raises:
      ValueError: they are; says where.
    """
    fault = None if self.is_even else positions.fault(np.diff(self.values))
    if fault is None:
      return
    i, what = fault
    cure = "sort the file" if what == "unsorted" else "regrid to even steps"
    raise ValueError(
      f"{where}: {self.name} is {what}, {self.values[i]:.8g} at index {i} and "
      f"{self.values[i + 1]:.8g} at {i + 1} where steps are "
      f"{np.median(np.diff(self.values)):.6g}: {cure} first"
    )

  def differs_at(self, other: "Axis") -> int | None:
    """Returns the first index of axes as long where they differ, or None.

    Positions may differ by 1 % of a step, which float32 in one file does.
    """
    step = np.abs(np.diff(self.values)).min(initial=np.inf)
    tolerance = 0.01 * step if len(self) > 1 else 1e-6 * np.abs(self.values)
    is_alike = np.abs(self.values - other.values) <= tolerance
    return None if np.all(is_alike) else int(np.argmin(is_alike))

  def __len__(self) -> int:
    return len(self.values)

  @property
  def is_latitude(self) -> bool:
    """Whether it is latitude, by its units or its name."""
    return is_latitude(self.name, self.units)

  @property
  def is_longitude(self) -> bool:
    """Whether it is longitude, by its units or its name."""
    return is_longitude(self.name, self.units)

  @property
  def step(self) -> float:
    """From one position to the next, signed; 1 for a single position."""
    n = len(self.values)
    return float(self.values[-1] - self.values[0]) / (n - 1) if n > 1 else 1.0

  @property
  def is_counted(self) -> bool:
    """Whether the positions only count cells from 0."""
    is_count = np.array_equal(self.values, np.arange(len(self)))
    return self.units == "cell" and is_count

  @property
  def extent(self) -> tuple[float, float]:
    """The first and the last place that the axis covers, in its direction."""
    half = 0.0 if self.registration == "nodes" else 0.5 * self.step
    return float(self.values[0]) - half, float(self.values[-1]) + half

  def scaled(self, scale: float | int) -> int:
    """Returns how many positions the axis has `scale` times finer."""
    n = len(self)
    if self.registration == "nodes":
      return int(np.floor((n - 1) * scale + 0.5)) + 1
    return int(np.floor(n * scale + 0.5))

  def refined(self, count: int) -> tuple["Axis", grids.Line]:
    """Returns the axis with `count` positions, and where these are in cells.

    Raises:
      ValueError: a position would lie beyond a pole.
    """
    make = grids.node_line if self.registration == "nodes" else grids.cell_line
    line = make(len(self), count)
    return self.at(line), line

  def at(self, line: grids.Line) -> "Axis":
    """Returns the axis whose positions are the points of a line.

    It is periodic where this one is and the points go once around.

    Raises:
      ValueError: a position would lie beyond a pole.
    """
    n, index = len(self), line.index()
    whole = np.rint(index)
    # Points that fall on the ends are the ends to the last bit: the poles.
    index = np.where(np.abs(index - whole) < 1e-9 * n, whole, index)
    part = index / max(n - 1, 1)
    last = self.values[-1] if n > 1 else self.values[0] + self.step
    values = (1.0 - part) * self.values[0] + part * last
    beyond = np.abs(values) > positions.POLE + positions.ROUNDING * abs(
      self.step
    )
    if self.is_latitude and beyond.any():
      raise ValueError(
        f"{self.name} {values[np.argmax(beyond)]:g} would lie beyond the pole: "
        "outer cells reach across: give it nodes (--registration nodes,cells)"
      )
    is_periodic = self.is_periodic and line.is_whole(n)
    return dataclasses.replace(self, values=values, is_periodic=is_periodic)

  def onto(self, other: "Axis") -> tuple["Axis", grids.Line, bool]:
    """Returns where the positions of another axis lie on this one.

    Longitudes are compared modulo 360 degrees, and those of a periodic axis
    modulo its period: the line begins on this axis and may run on beyond its
    end, once around. Axes that only count cells cover the same extent.

    Args:
      other: positions of another file, as fine as these or finer.

    Returns:
      The other's positions under the name, units and attributes of this axis;
      where they lie in cells, in the direction of this axis; and whether they
      run the other way.

    Raises:
      ValueError: the units differ, or the positions are coarser than these or
        beyond their extent.
    """
    is_given = self.units and other.units  # no units agree with all
    if is_given and not is_alike(self, other):
      raise ValueError(
        f"{self.name} is in {self.units!r} and {other.name} of the target in "
        f"{other.units!r}: give both in the same units"
      )
    n, count = len(self), len(other)
    step = n / count if self.is_counted and other.is_counted else 0.0
    if count > 1 and not step:
      step = abs(other.step / self.step)
    if step > 1.0 + 1e-6:
      raise ValueError(
        f"{self.name} of the target is coarser than the input, a scale of "
        f"{1 / step:.3g}: the scale must not be below 1"
      )
    if self.is_counted and other.is_counted:
      return *self.refined(count), False
    ends = (other.values[[0, -1]] - self.values[0]) / self.step
    first = ends.min() - _turns(self, ends) * self._period
    line = grids.Line(float(first), step or 1.0, count)
    self._require_within(line, other)
    axis = dataclasses.replace(
      self,
      values=other.values,
      registration=other.registration,
      is_periodic=self.is_periodic and line.is_whole(n),
      label=other.label,
      turn=other.turn,
    )
    return axis, line, bool(ends[1] < ends[0])

  @property
  def _period(self) -> float:
    """After how many cells the same place comes again; 0 for never."""
    if self.is_periodic:
      return float(len(self))
    return positions.TURN / abs(self.step) if self.is_longitude else 0.0

  def _require_within(self, line: grids.Line, other: "Axis") -> None:
    low, high = (np.asarray(self.extent) - self.values[0]) / self.step
    last = line.first + line.step * (line.count - 1)
    is_within = (
      line.first > low - positions.ROUNDING and last < high + positions.ROUNDING
    )
    if not (is_within or self.is_periodic):
      extent, wanted = self.extent, (other.values[0], other.values[-1])
      raise ValueError(
        f"{self.name} of the target, {wanted[0]:g} to {wanted[1]:g}, reaches "
        f"beyond the input, {extent[0]:g} to {extent[1]:g}: crop the target"
      )

  def bounds(self) -> Float[np.ndarray, "n 2"]:
    """Returns the bounds of the cells, as CF has them; they tile the extent.

    Between positions they lie half way; the outer ones are the ends of the
    extent, at the outer nodes or half a step beyond the outer centres, and
    never beyond a pole. Where longitudes jump, they go with their positions.
    """
    edges = self._edges()
    places = self._places(edges)
    return edges + (self._wrapped(places) - places)[:, None]

  def labels(self) -> Float[np.ndarray, " n"]:
    """Returns the positions as the file has them, by `label` and `turn`."""
    return self._wrapped(self._places(self._edges()))

  def _edges(self) -> np.ndarray:
    flags = {"is_latitude": self.is_latitude}
    return positions.edges(self.values, self.extent, self.step, **flags)

  def _places(self, edges: np.ndarray) -> np.ndarray:
    if self.label is None:
      return self.values
    return edges[:, 0] + self.label * (edges[:, 1] - edges[:, 0])

  def _wrapped(self, places: np.ndarray) -> np.ndarray:
    turn, step = self.turn, self.step
    return places if turn is None else positions.wrapped(places, turn, step)


def counted(name: str, count: int) -> Axis:
  """Returns an axis of cells that are only counted, from 0."""
  return Axis(name, np.arange(count, dtype=np.float64))


def _holds_poles(axis: Axis) -> bool:
  """Says whether an axis is latitude from pole to pole."""
  poles = {-positions.POLE, positions.POLE}
  return axis.is_latitude and set(axis.values[[0, -1]].tolist()) == poles


def is_alike(a: Axis, b: Axis) -> bool:
  """Says whether positions of two axes are of one kind, by their units."""
  both = ((a.is_latitude, b.is_latitude), (a.is_longitude, b.is_longitude))
  return a.units == b.units or (True, True) in both


def _turns(axis: Axis, ends: np.ndarray) -> float:
  """Returns how many periods from an axis its other positions are given.

  Args:
    axis: the one that they are placed on.
    ends: index of the first and last of the others, in either order.
  """
  n, period = len(axis), axis._period
  if not period:
    return 0.0
  if axis.is_periodic:
    return float(np.floor((ends.min() + 0.5 + 1e-6) / period))
  return float(np.rint((ends.mean() - 0.5 * (n - 1)) / period))
