"""A field with all that says where it lies and what it is.

A `Header` is everything but the values: it is read without them, refined
without them, and is what a file is created from. A `Reader` gives the values
one field at a time; a `Field` holds them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
import math
from typing import Any

import numpy as np

from hinote_jax.fields import axes


@dataclasses.dataclass(frozen=True, eq=False)
class Variable:
  """A physical quantity and how a file stores it.

  Attributes:
    name: short name; of a channel.
    units: of the values.
    attributes: of the variable in its file (long_name, standard_name ..),
      without what says how it is packed.
    dtype: of the values in the file, "float32", "int16", "uint8" ..
    scale: the file holds (value - offset) / scale, rounded where `dtype` is
      an integer.
    offset: see `scale`.
    fill: what the file holds where a value is missing; None for NaN.
    missing: further numbers of the file that stand for a missing value.
    valid: lowest and highest number of the file that stands for none; None
      for no bound.

  Examples:
    >>> packed = Variable("t2m", "K", dtype="int16", scale=0.01, offset=280.0)
    >>> packed.is_plain, packed.unpacked().is_plain
    (False, True)
  """

  name: str
  units: str = ""
  attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  dtype: str = "float32"
  scale: float | int = 1.0
  offset: float | int = 0.0
  fill: float | int | None = None
  missing: tuple[float | int, ...] = ()
  valid: tuple[float | int | None, float | int | None] = (None, None)

  @property
  def is_plain(self) -> bool:
    """Whether the file holds the values themselves, NaN where missing."""
    is_scaled = self.scale != 1 or self.offset != 0
    has_more = bool(self.missing) or self.valid != (None, None)
    return not (is_scaled or has_more or self.fill is not None)

  def unpacked(self, dtype: str = "float32") -> "Variable":
    """Returns the same quantity as plain floats; what is valid stays so."""
    low, high = (
      None if v is None else v * self.scale + self.offset for v in self.valid
    )
    valid = (low, high) if self.scale > 0 else (high, low)
    plain = dict(scale=1.0, offset=0.0, fill=None, missing=(), valid=valid)
    return dataclasses.replace(self, dtype=dtype, **plain)

  @property
  def long_name(self) -> str:
    """A name for people, "" where the file gives none."""
    return str(self.attributes.get("long_name", ""))

  @property
  def white(self) -> float | None:
    """The value of white where samples are colours.

    The largest of 8 or 16 bits, which stand for themselves or for [0, 1]; None
    where the type of the samples says nothing of it.
    """
    dtype = np.dtype(self.dtype)
    if dtype.kind not in "iu" or dtype.itemsize > 2 or self.offset != 0:
      return None
    white = float(np.iinfo(dtype).max * self.scale)
    is_colour = bool(np.isclose(white, 1.0))
    return 1.0 if is_colour else white if self.scale == 1 else None


@dataclasses.dataclass(frozen=True, eq=False)
class Dimension:
  """A dimension that is passed through: time, level, member.

  Attributes:
    name: of the dimension.
    size: how many.
    coordinates: name -> what the file says of it, passed through untouched.

  Examples:
    >>> Dimension("time", 2, {"time": [0, 6]}).size
    2
  """

  name: str
  size: int
  coordinates: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class Header:
  """What a file says of its fields.

  Attributes:
    variables: the channels, in order.
    y: rows.
    x: columns.
    leads: dimensions before (y, x), slowest first; their product counts the
      fields.
    attributes: of the file.
    kind: format that it was read from, a module of the table of `formats`.
    extra: what this format needs to write its like again (an affine, a CRS, a
      NIfTI header); other formats pass it by.

  Examples:
    >>> from hinote_jax.fields import Axis
    >>> y = Axis.of("lat", [1.0, 0.0], "degrees_north")
    >>> x = Axis.of("lon", [0.0, 120.0, 240.0], "degrees_east")
    >>> header = Header((Variable("t2m", "K"),), y, x, (Dimension("time", 5),))
    >>> header.shape, header.count, header.periodic
    ((2, 3), 5, (False, True))
  """

  variables: tuple[Variable, ...]
  y: axes.Axis
  x: axes.Axis
  leads: tuple[Dimension, ...] = ()
  attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  kind: str = ""
  extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  @property
  def shape(self) -> tuple[int, int]:
    """(h, w) of every field."""
    return len(self.y), len(self.x)

  @property
  def names(self) -> tuple[str, ...]:
    """Names of the channels."""
    return tuple(variable.name for variable in self.variables)

  @property
  def lead_shape(self) -> tuple[int, ...]:
    """Sizes of `leads`."""
    return tuple(lead.size for lead in self.leads)

  @property
  def count(self) -> int:
    """How many fields there are."""
    return math.prod(self.lead_shape)

  @property
  def periodic(self) -> tuple[bool, bool]:
    """Which of (y, x) close on themselves."""
    return self.y.is_periodic, self.x.is_periodic

  @property
  def nodes(self) -> tuple[bool, bool]:
    """Which of (y, x) have nodes at both ends."""
    return self.y.registration == "nodes", self.x.registration == "nodes"

  def wrapped(self, periodic: tuple[bool, bool]) -> "Header":
    """Returns the same header, its axes (y, x) closed on themselves or not."""
    y, x = (
      axis.registered(
        "cells" if is_periodic else axis.registration, is_periodic
      )
      for axis, is_periodic in zip((self.y, self.x), periodic, strict=True)
    )
    return self.on(y, x)

  def on(self, y: axes.Axis, x: axes.Axis) -> "Header":
    """Returns the header of the same fields on other axes."""
    return dataclasses.replace(self, y=y, x=x)


@dataclasses.dataclass(frozen=True, eq=False)
class Reader:
  """The fields of a file, one at a time.

  Attributes:
    header: what the file says of them.
    read: field i, row-major over the leads, as [h w c] float32 in the units of
      the variables, unpacked, NaN where a value is missing.
    path: of the file, for messages.
    times: when each field is, [count] dates or numbers; None where the file
      does not say, or was not asked (`io.series`).

  Examples:
    >>> from hinote_jax.fields import Axis
    >>> y, x = Axis.of("y", [0, 1]), Axis.of("x", [0, 1, 2])
    >>> header = Header((Variable("a"),), y, x, (Dimension("time", 5),))
    >>> reader = Reader(header, lambda i: np.full((2, 3, 1), i, np.float32))
    >>> len(reader), float(reader.read(4).max())
    (5, 4.0)
  """

  header: Header
  read: Callable[[int], np.ndarray]
  path: str = ""
  times: np.ndarray | None = None

  def __len__(self) -> int:
    return self.header.count

  def __iter__(self) -> Iterator[np.ndarray]:
    return (self.read(i) for i in range(len(self)))

  def at(self, name: str, index: int) -> "Reader":
    """Returns the fields at one index along a dimension, which goes."""
    header = self.header
    d = [dimension.name for dimension in header.leads].index(name)
    size, after = header.lead_shape[d], math.prod(header.lead_shape[d + 1 :])
    leads = header.leads[:d] + header.leads[d + 1 :]

    def read(i: int) -> np.ndarray:
      before, rest = divmod(i, after)
      return self.read((before * size + index) * after + rest)

    header = dataclasses.replace(header, leads=leads)
    return dataclasses.replace(self, header=header, read=read)


@dataclasses.dataclass(frozen=True, eq=False)
class Field:
  """A header and its values.

  Attributes:
    header: what they are.
    values: [*lead h w c] float32, NaN where missing.

  Examples:
    >>> from hinote_jax.fields import Axis
    >>> y, x = Axis.of("y", [0, 1]), Axis.of("x", [0, 1, 2])
    >>> header = Header((Variable("a", "m"),), y, x)
    >>> Field(header, np.zeros((2, 3, 1), np.float32)).header.names
    ('a',)
  """

  header: Header
  values: np.ndarray

  @classmethod
  def of(cls, reader: Reader) -> "Field":
    """Returns all the fields of a reader, in memory."""
    header = reader.header
    values = np.stack([reader.read(i) for i in range(len(reader))])
    return cls(header, values.reshape(*header.lead_shape, *values.shape[1:]))


def stack(readers: Sequence[Reader]) -> Reader:
  """Returns the variables of several readers of the same fields as one.

  Raises:
    ValueError: they have different grids or numbers of fields.

  Examples:
    >>> from hinote_jax.fields import Axis
    >>> y, x = Axis.of("y", [0, 1]), Axis.of("x", [0, 1, 2])
    >>> def constant(name, value):
    ...   header = Header((Variable(name),), y, x)
    ...   return Reader(header, lambda i: np.full((2, 3, 1), value))
    >>> both = stack([constant("u", 1.0), constant("v", 2.0)])
    >>> both.header.names, both.read(0)[0, 0].tolist()
    (('u', 'v'), [1.0, 2.0])
  """
  first = readers[0]
  shapes = {
    reader.header.variables[0].name: (len(reader), *reader.header.shape)
    for reader in readers
  }
  if len(set(shapes.values())) > 1:
    listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    raise ValueError(
      f"{first.path}: variables must have one shape (t, H, W), got {listed}"
    )
  variables = tuple(v for reader in readers for v in reader.header.variables)
  return dataclasses.replace(
    first,
    header=dataclasses.replace(first.header, variables=variables),
    read=lambda i: np.concatenate([r.read(i) for r in readers], axis=-1),
  )


def select(header: Header, names: Sequence[str]) -> Header:
  """Returns the header of some of the variables, in the order of the names.

  Examples:
    >>> from hinote_jax.fields import Axis
    >>> y, x = Axis.of("y", [0, 1]), Axis.of("x", [0, 1, 2])
    >>> header = Header((Variable("u"), Variable("v")), y, x)
    >>> select(header, ["v"]).names
    ('v',)
  """
  known = {variable.name: variable for variable in header.variables}
  chosen = tuple(known[name] for name in names)
  return dataclasses.replace(header, variables=chosen)
