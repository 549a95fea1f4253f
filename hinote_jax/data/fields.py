"""What a series of fields on one grid is: variables, coordinates, values.

A `Source` reads one field at a time from wherever it lies; a `Dataset` is the
same series in a memory map. Axis order is time, y, x, channel.
"""

from collections.abc import Callable
import dataclasses

import numpy as np

from hinote_jax.fields import axes


@dataclasses.dataclass(frozen=True)
class Variable:
  """A physical quantity: short name, units, and a name for people."""

  name: str
  units: str = ""
  long_name: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Coordinate:
  """One axis of the grid: its name, units and cell centres [n]."""

  name: str
  units: str
  values: np.ndarray

  def __len__(self) -> int:
    return len(self.values)

  def differs_at(self, other: "Coordinate") -> int | None:
    """Returns the first index of axes as long where they differ, or None.

    Numbers may differ by 1 % of a step, which float32 in one file does.
    """
    here, there = self.values, other.values
    if here.dtype.kind in "iuf" and there.dtype.kind in "iuf":
      here, there = here.astype(np.float64), there.astype(np.float64)
      step = np.abs(np.diff(here)).min(initial=np.inf)
      tolerance = 0.01 * step if np.isfinite(step) else 1e-6 * np.abs(here)
      is_same = np.abs(here - there) <= tolerance
    else:
      is_same = here == there
    return None if np.all(is_same) else int(np.argmin(is_same))


is_cyclic = axes.is_cyclic


DOMAINS = ("", "turbulence", "weather", "radar", "mri", "image")


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
  """A series of fields on one grid, read one at a time.

  Attributes:
    name: short name, used for the folder of the cache.
    variables: the channels, in order.
    times: one label a field, ISO dates or plain indices.
    y: row coordinate.
    x: column coordinate.
    periodic: which axes (y, x) close on themselves.
    citation: whom to thank and under which licence.
    fingerprint: digest of the files and the variables chosen.
    reader: gives field i as [H W c].
    groups: what each field belongs to, a label a field: a trajectory, an
      event, a subject. Fields of one group are never divided among training
      and test. Empty where they are one series in time.
    domain: the science, a name of `DOMAINS`; tells metrics and figures.
    lowres: the same fields on a coarser grid, where they are given and not
      made by a degradation; see `pairs`.
  """

  name: str
  variables: tuple[Variable, ...]
  times: tuple[str, ...]
  y: Coordinate
  x: Coordinate
  periodic: tuple[bool, bool]
  citation: str
  fingerprint: str
  reader: Callable[[int], np.ndarray]
  groups: tuple[str, ...] = ()
  domain: str = ""
  lowres: "Source | None" = None

  @property
  def field_shape(self) -> tuple[int, int, int]:
    """(H, W, c) of every field."""
    return len(self.y), len(self.x), len(self.variables)

  def read(self, i: int) -> np.ndarray:
    """Returns field i, [H W c] float32.

    Raises:
      ValueError: the field cannot be read, has another shape, or has values
        that are not finite.
    """
    try:
      values = np.asarray(self.reader(i), np.float32)
    except (OSError, RuntimeError) as error:
      raise ValueError(
        f"{self.name}: the field at time index {i} ({self.times[i]}) cannot be "
        f"read ({error})"
      ) from error
    if values.shape != self.field_shape:
      raise ValueError(
        f"{self.name}: the field at time index {i} has shape {values.shape} "
        f"and the first one {self.field_shape}; all must lie on one grid"
      )
    bad = np.count_nonzero(~np.isfinite(values), axis=(0, 1))
    if bad.any():
      c = int(np.argmax(bad > 0))
      raise ValueError(
        f"{self.name}: variable {self.variables[c].name!r} has {bad[c]} NaN "
        f"or infinite values at time index {i} ({self.times[i]}); training "
        "does not support masks, so fill or drop them first"
      )
    return values


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
  """A series of fields in memory or a memory map; attributes as in `Source`.

  Attributes:
    values: [t H W c] float32, in the units of `variables`.
  """

  name: str
  values: np.ndarray
  variables: tuple[Variable, ...]
  times: tuple[str, ...]
  y: Coordinate
  x: Coordinate
  periodic: tuple[bool, bool]
  citation: str
  fingerprint: str
  groups: tuple[str, ...] = ()
  domain: str = ""
  lowres: "Dataset | None" = None

  @property
  def shape(self) -> tuple[int, int]:
    """(H, W) of the grid."""
    return int(self.values.shape[1]), int(self.values.shape[2])

  @property
  def channels(self) -> int:
    """Number of variables."""
    return len(self.variables)

  @property
  def names(self) -> tuple[str, ...]:
    """Names of the variables, in the order of the channels."""
    return tuple(variable.name for variable in self.variables)

  def __len__(self) -> int:
    return len(self.values)
