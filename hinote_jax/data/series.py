"""A data set: fields on one grid, with times.

A `Source` reads one field at a time from wherever it lies; a `Dataset` is the
same series in a memory map. Axis order is time, y, x, channel.
"""

from collections.abc import Callable, Iterable, Sequence
import dataclasses
import hashlib

import numpy as np

from hinote_jax import fields

DOMAINS = ("", "turbulence", "weather", "radar", "mri", "image")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Series:
  """What is known of fields on one grid.

  Attributes:
    name: short name, used for the folder of the cache.
    header: of each field: the variables, y and x.
    times: one label a field, ISO dates or plain indices.
    citation: whom to thank and under which licence.
    fingerprint: digest of the files and the variables chosen.
    groups: what each field belongs to, a label a field: a trajectory, an
      event, a subject. Fields of one group are never divided among training
      and test. Empty where they are one series in time.
    domain: the science, a name of `DOMAINS`; tells metrics and figures.
  """

  name: str
  header: fields.Header
  times: tuple[str, ...]
  citation: str = ""
  fingerprint: str
  groups: tuple[str, ...] = ()
  domain: str = ""

  def __len__(self) -> int:
    return len(self.times)

  @property
  def variables(self) -> tuple[fields.Variable, ...]:
    """The channels, in order."""
    return self.header.variables

  @property
  def names(self) -> tuple[str, ...]:
    """Names of the variables, in the order of the channels."""
    return self.header.names

  @property
  def channels(self) -> int:
    """Number of variables."""
    return len(self.variables)

  @property
  def y(self) -> fields.Axis:
    """Where the rows lie."""
    return self.header.y

  @property
  def x(self) -> fields.Axis:
    """Where the columns lie."""
    return self.header.x

  @property
  def shape(self) -> tuple[int, int]:
    """(H, W) of the grid."""
    return self.header.shape

  @property
  def periodic(self) -> tuple[bool, bool]:
    """Which axes (y, x) close on themselves."""
    return self.header.periodic


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Source(Series):
  """A series of fields, read one at a time; attributes as of `Series`.

  Attributes:
    reader: gives field i as [H W c].
    lowres: the same fields on a coarser grid, where they are given and not
      made by a degradation; see `pairs`.
  """

  reader: Callable[[int], np.ndarray]
  lowres: "Source | None" = None

  def wrapped(self, periodic: Sequence[bool]) -> "Source":
    """Returns the same fields, whose axes (y, x) close or not."""
    y, x = periodic
    header = self.header.wrapped((bool(y), bool(x)))
    return dataclasses.replace(self, header=header)

  def converted(self, conversions: Sequence[tuple[float, float]]) -> "Source":
    """Returns the same fields in other units, times scale plus offset.

    Args:
      conversions: (scale, offset) of each variable.
    """
    if all(conversion == (1.0, 0.0) for conversion in conversions):
      return self
    scale, offset = np.asarray(conversions, np.float64).T
    text = f"{self.fingerprint} {conversions}"
    return dataclasses.replace(
      self,
      reader=lambda i: self.reader(i) * scale + offset,
      fingerprint=hashlib.sha256(text.encode()).hexdigest(),
    )

  @property
  def field_shape(self) -> tuple[int, int, int]:
    """(H, W, c) of every field."""
    return *self.shape, self.channels

  def read(self, i: int) -> np.ndarray:
    """Returns field i, [H W c] float32, NaN where a value is missing.

    Raises:
      ValueError: the field cannot be read, has another shape, or has infinite
        values.
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
    bad = np.count_nonzero(np.isinf(values), axis=(0, 1))
    if bad.any():
      c = int(np.argmax(bad > 0))
      raise ValueError(
        f"{self.name}: variable {self.variables[c].name!r} has {bad[c]} "
        f"infinite values at time index {i} ({self.times[i]}): mark what is "
        "missing as NaN or by the fill value"
      )
    return values


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Dataset(Series):
  """A series in memory or a memory map; attributes as of `Series`.

  Attributes:
    values: [t H W c] float32, in the units of the variables.
    lowres: as of `Source`.
    measured: the values before their holes were filled, NaN where missing;
      None where there are none. See `holes`.
  """

  values: np.ndarray
  lowres: "Dataset | None" = None
  measured: np.ndarray | None = None

  @property
  def as_read(self) -> np.ndarray:
    """The values, [t H W c], NaN where they are missing."""
    return self.values if self.measured is None else self.measured

  def present(self, indices: Iterable[int]) -> list[int]:
    """Returns those times at which no variable is missing everywhere.

    Neither here nor in the low resolution that is given beside.
    """
    indices, measured = list(map(int, indices)), self.measured
    if self.lowres is not None:
      indices = self.lowres.present(indices)
    if measured is None:
      return indices
    return [i for i in indices if not np.isnan(measured[i]).all((0, 1)).any()]

  def known(self, index: int) -> np.ndarray | None:
    """Returns which values of a field were not filled, [H W c]; None: all."""
    return None if self.measured is None else ~np.isnan(self.measured[index])

  def unlearnt(self, train: Iterable[int], others: Iterable[int]) -> np.ndarray:
    """Returns which values no field of `train` has and one of `others` has.

    Those of places that are held out, [H W c].
    """
    learnt, held = np.zeros((2, *np.shape(self.values)[1:]), bool)
    if self.measured is not None:
      for known, indices in ((learnt, train), (held, others)):
        for index in indices:
          known |= self.known(index)
    return held & ~learnt

  @classmethod
  def of(
    cls,
    source: Source,
    values: np.ndarray,
    lowres: "Dataset | None" = None,
  ) -> "Dataset":
    """Returns the data set of the values of a source."""
    known = {
      field.name: getattr(source, field.name)
      for field in dataclasses.fields(Series)
    }
    return cls(values=values, lowres=lowres, **known)
