"""One call from a coarse field to a fine one, in physical units."""

from collections.abc import Callable, Iterator, Mapping, Sequence
import copy
import functools
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax import fields
from hinote_jax.core import compiling, grids
from hinote_jax.core.typing import Array, Periodic
from hinote_jax.fields import axes
from hinote_jax.infer import masks, plans, units, upscaling
from hinote_jax.io import room
from hinote_jax.models.spec import Spec
from hinote_jax.train import contract


class Predictor:
  """A network with its parameters and units, called on arrays and fields.

  predictor(field, scale=3.7) or predictor(field, shape=(721, 1440)) normalises,
  evaluates the network at the cell centres of the finer grid over the same
  extent, and de-normalises. Each pair of shapes is compiled once. With
  memory="2GB" it does so tile by tile, with the same result.
  """

  def __init__(
    self,
    module: nn.Module,
    variables: Mapping[str, Any],
    *,
    normaliser: Any = None,
    periodic: Periodic = (False, False),
    names: Sequence[str] = (),
    spec: Spec = contract.PLAIN,
    extras_of: Callable[..., Callable[[int], dict[str, Any]]] | None = None,
    learnt: Sequence[units.Quantity] = (),
    roughness: Sequence[float] = (),
    scales: Sequence[int] = (),
    is_of_any_range: bool = False,
  ):
    """Puts a predictor together from its parts.

    Args:
      module: a model of `hinote_jax.models`.
      variables: what its `init` or a checkpoint gave; {} for interpolations.
      normaliser: has `normalise(x)` and `denormalise(x)` on [.. c]; None
        passes the values through.
      periodic: whether the (y, x) axis of the fields closes on itself.
      names: names of the channels, for messages.
      spec: of the model: what it takes beside the field.
      extras_of: function of (header, goal) that makes a function of the index
        of a field of a file, which makes its extras; see `upscaling.Target`.
      learnt: what each channel is of; none where it may be anything.
      roughness: of the fields of training, `spectral.roughness` of each
        channel; none where it is not known.
      scales: those there are files of, where the network is a published one
        that answers at its own alone; see `require_scale`.
      is_of_any_range: fields are brought to [0, 1] by `units.OwnRanges`.
    """
    self.module = module.clone(periodic=tuple(periodic))
    self.variables = variables
    self.normaliser = normaliser
    self.periodic = tuple(periodic)
    self.names = tuple(names)
    self._spec = spec
    self.extras_of = extras_of
    self._apply = compiling.jit(
      functools.partial(contract.apply, self.module, spec=spec)
    )
    self._plans: dict[Any, plans.Plan] = {}
    self.learnt, self.roughness = tuple(learnt), tuple(roughness)
    self.clips: tuple[bool, ...] = ()
    self._limits: tuple[units.Limits, ...] = ()
    self._copies, self.scales = 1, tuple(scales)
    self._is_of_any_range, self._own = is_of_any_range, None

  @property
  def channels(self) -> int | None:
    """How many channels a field must have; None where any number will do."""
    if self.names:
      return len(self.names)
    return getattr(self.module, "channels", None)

  @property
  def takes(self) -> tuple[str, ...]:
    """What the model takes beside the field, by name."""
    return (*self._spec.extras, *self._spec.optional)

  def require_scale(self, lines: tuple[grids.Line, grids.Line]) -> None:
    """Refuses points that a network of one scale does not answer at."""
    if self.scales:
      own: float = getattr(self.module, "scale", 1)
      plans.require_scale(lines, own, self.scales)

  def copies(self, channels: int) -> int:
    """Returns how often a field is repeated: grey for networks of colours."""
    is_colour = bool(self.learnt) and all(q.is_colour for q in self.learnt)
    return len(self.learnt) if is_colour and channels == 1 else 1

  def of(
    self,
    variables: Sequence[fields.Variable],
    span: tuple[float, float] | None = None,
  ) -> "Predictor":
    """Returns the same network for values in the units of a file.

    Args:
      variables: of the file, in the order of the channels; or a single one for
        a network of colours, which sees it in each.
      span: values that are black and white, or at the ends of tables.

    Raises:
      ValueError: it is of another quantity.
    """
    other = copy.copy(self)
    if self._is_of_any_range:
      other._own = own = units.OwnRanges(tuple(variables), span)
      other.clips = tuple(white not in (None, 1.0) for white in own.whites)
      return other
    if not self.learnt:
      if span is not None:
        raise ValueError(
          "--range is for networks of colours or without a unit: leave it out"
        )
      return self
    other._copies = self.copies(len(variables))
    pairs = list(zip([*variables] * other._copies, self.learnt, strict=True))
    conversions = [units.conversion(*pair, span) for pair in pairs]
    if any(conversion != (1.0, 0.0) for conversion in conversions):
      other.normaliser = units.Affine.of(self.normaliser, conversions)
    other._limits = tuple(
      units.limits(*pair, conversion)
      for pair, conversion in zip(pairs, conversions, strict=True)
    )
    # The ends of a type are black and white where colours are scaled by it.
    other.clips = tuple(
      bool(variable.white) and learnt.is_colour and conversion[0] != 1.0
      for (variable, learnt), conversion in zip(pairs, conversions, strict=True)
    )
    return other

  def __call__(
    self,
    field: Array | fields.Field,
    *,
    scale: float | int | tuple[float | int, float | int] | None = None,
    shape: tuple[int, int] | None = None,
    like: fields.Field | fields.Header | None = None,
    memory: str | float | int | None = None,
    devices: Sequence[Any] | None = None,
    extras: Mapping[str, Any] | None = None,
    **options: Any,
  ) -> np.ndarray | fields.Field:
    """Returns the field on a finer grid over the same extent.

    Args:
      field: values in physical units, [h w c] or [b h w c]; [h w] where the
        model has one channel. Or a field of `hinote_jax.io`, with coordinates
        and missing values, of which a field is returned.
      scale: how many times finer, at least 1; sides are rounded to a cell. A
        pair is for y and x.
      shape: (H, W) of the result, at least (h, w).
      like: a field of a file whose grid to take; of a `Field` only. Give one
        of the three.
      memory: what the process may take, "2GB": tile by tile; None: at once.
      devices: to divide the field among.
      extras: what else the model's spec declares, by name, with an axis b
        where `field` is an array that has one; what this model does not take
        is left out.
      **options: of `upscaling.Options`.

    Returns:
      float32 of the same rank as `field`, in the same units; or a field.

    Raises:
      ValueError: not exactly one of `scale`, `shape` and `like`, a result
        coarser than the field, a wrong number of channels, values that are not
        finite, or extras that the model takes and that are not given.

    Examples:
      >>> import numpy as np
      >>> from hinote_jax import infer
      >>> lowres = np.array([[0.0, 1.0], [2.0, 3.0]])
      >>> infer.load("nearest")(lowres, shape=(2, 4))
      array([[0., 0., 1., 1.],
             [2., 2., 3., 3.]], dtype=float32)
    """
    is_whole = memory is None and devices is None and not options
    is_whole = is_whole and not hasattr(self.module, "crops")
    if isinstance(field, fields.Field):
      return self._of_field(
        field,
        dict(scale=scale, shape=shape, like=like),
        devices,
        extras,
        memory=memory,
        **options,
      )
    extras = self._taken(extras or {})
    values = np.asarray(field, np.float32)
    lowres = self._as_batch(values)
    masks.require_none(values)
    dtype = str(np.asarray(field).dtype)
    header = _plain_header(lowres, self.names, self.periodic, dtype)
    goal = upscaling.target(header, scale=scale, shape=shape, like=like)
    shape = len(goal.y), len(goal.x)
    self.require_scale(goal.lines)
    whole = (len(lowres), *shape, lowres.shape[-1])
    room.require_memory("the result", "a field", whole)
    if values.ndim < 4:
      extras = jax.tree.map(lambda leaf: np.asarray(leaf)[None], extras)
    if is_whole:
      # One that is of the variables of a file keeps their units.
      predictor = self if self._limits else self.of(header.variables)
      highres = predictor._at_once(lowres, shape, extras)
    else:
      chosen = upscaling.Options(memory=memory, **options)
      make = upscaling.Upscaler(self, header, goal, chosen, devices=devices)
      highres = np.stack(
        [
          make.field(one, jax.tree.map(lambda leaf: leaf[i], extras))  # noqa: B023
          for i, one in enumerate(lowres)
        ]
      )
    lead = values.shape[:-3] if values.ndim > 2 else ()
    tail = values.shape[-1:] if values.ndim > 2 else ()
    return highres.astype(np.float32).reshape(*lead, *shape, *tail)

  def _at_once(self, lowres, shape, extras):
    """Returns all fields of a batch by one call of the network."""
    if self._own is not None:
      one = [self._in_range(x)._at_once(x[None], shape, extras) for x in lowres]
      return np.concatenate(one)
    lowres = self._given(lowres)
    cell = np.tile(grids.cell_size(shape), (len(lowres), 1))
    batch = {
      **extras,
      "lowres": jnp.asarray(lowres),
      "coords": grids.axes(shape),
      "cell": cell,
    }
    return self._answer(np.asarray(self._apply(self.variables, batch)))

  def _in_range(self, values: np.ndarray) -> "Predictor":
    """Returns the same network for one field, [h w c]."""
    if self._own is None:
      return self
    other = copy.copy(self)
    other.normaliser, other._own = self._own.of(values), None
    return other

  def _given(self, lowres: np.ndarray) -> np.ndarray:
    """Returns values [.. c] as the network takes them."""
    for c, limits in enumerate(self._limits[: lowres.shape[-1]]):
      limits.require(lowres[..., c])
    if self._copies > 1:
      lowres = np.repeat(lowres, self._copies, axis=-1)
    if self.normaliser is not None:
      lowres = np.asarray(self.normaliser.normalise(lowres))
    return lowres

  def _answer(self, highres: np.ndarray) -> np.ndarray:
    """Returns what the network gives [.. c] in the units of the values."""
    if self.normaliser is not None:
      highres = np.asarray(self.normaliser.denormalise(highres), np.float32)
    if self._copies > 1:
      highres = highres.mean(-1, keepdims=True)
    if not (is_finite := np.isfinite(highres)).all():
      bad = np.count_nonzero(~is_finite)
      raise ValueError(
        f"{bad} of {highres.size} values that the network gives are not finite "
        "where its input is: its numbers overflow, so take other weights, or "
        "mend what is extreme in the input"
      )
    return highres

  def _taken(self, extras: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the extras that the model takes, all of which must be given."""
    if missing := [name for name in self._spec.extras if name not in extras]:
      raise ValueError(
        f"{self._spec.name} takes {', '.join(missing)} beside the field: give "
        f"extras={{{missing[0]!r}: ...}}"
      )
    return {name: extras[name] for name in self.takes if name in extras}

  def _of_field(self, field, wanted, devices, extras, **options):
    """Returns a field of a file on a finer grid."""
    goal = upscaling.target(field.header, **wanted)
    whole = (field.header.count, len(goal.y), len(goal.x))
    room.require_memory("the result", "all fields", whole)
    chosen = upscaling.Options(**options)
    make = upscaling.Upscaler(self, field.header, goal, chosen, devices=devices)
    lead, one = field.header.lead_shape, field.values.shape[-3:]
    fine = [
      make.field(values, extras, i)
      for i, values in enumerate(field.values.reshape(-1, *one))
    ]
    values = np.stack(fine).reshape(*lead, *fine[0].shape)
    return fields.Field(make.header, values)

  def plan(
    self,
    shape: tuple[int, int],
    lines: tuple[grids.Line, grids.Line],
    *,
    periodic: Periodic | None = None,
    **options: Any,
  ) -> plans.Plan:
    """Returns the network ready for fields of a shape; see `plans.Plan`.

    The same as before where the same is asked for: nothing is compiled twice.

    Args:
      shape: (h, w) of the fields.
      lines: query points along y and x.
      periodic: of the fields; None: as this predictor's.
      **options: of `plans.Plan`.
    """
    periodic = grids.pair(self.periodic if periodic is None else periodic)
    known = {k: v for k, v in options.items() if k != "report"}
    devices = known.pop("devices", None)
    key = (shape, lines, periodic, *sorted(known.items()), str(devices))
    if key not in self._plans:
      self._plans[key] = plans.Plan(
        self.module,
        self.variables,
        shape,
        lines,
        periodic=periodic,
        **options,
      )
    return self._plans[key]

  def tiles(
    self,
    plan: plans.Plan,
    values: np.ndarray,
    is_wanted: Callable[[plans.Tile], bool] | None = None,
    extras: Mapping[str, Any] | None = None,
  ) -> Iterator[tuple[plans.Tile, np.ndarray]]:
    """Yields where the tiles of a finer field are, and their values [r s c].

    Args:
      plan: of this predictor.
      values: in physical units, finite, [h w c].
      is_wanted: of `plans.Plan`.
      extras: what else the model takes, without an axis b.
    """
    extras = self._taken(extras or {})
    own = self._in_range(values)
    for tile, highres in plan(own._given(values), is_wanted, extras):
      yield tile, own._answer(np.asarray(highres))

  def blank(self, channels: int) -> np.ndarray:
    """Returns values in physical units that are plain to the network, [c]."""
    zeros = np.zeros((1, self.channels or channels), np.float32)
    if self.normaliser is not None:
      zeros = np.asarray(self.normaliser.denormalise(zeros), np.float32)
    return np.resize(zeros[0], channels)

  def _as_batch(self, values: np.ndarray) -> np.ndarray:
    """Returns the field as [b h w c], its channels checked."""
    if values.ndim not in (2, 3, 4):
      raise ValueError(
        f"a field has the shape [h w], [h w c] or [b h w c], got {values.shape}"
      )
    if values.ndim == 2:
      lowres = values[None, :, :, None]
    else:
      lowres = values.reshape(-1, *values.shape[-3:])
    channels = lowres.shape[-1]
    if self.channels not in (None, channels) and self.copies(channels) == 1:
      names = f" ({', '.join(self.names)})" if self.names else ""
      raise ValueError(
        f"the model takes {self.channels} channels{names}, the field of "
        f"shape {values.shape} has {channels}"
      )
    return lowres


def _plain_header(lowres, names, periodic, dtype) -> fields.Header:
  """Returns the header of values without one, [b h w c]."""
  _, h, w, c = lowres.shape
  if len(names) != c:
    names = [f"channel{i}" for i in range(c)]
  y, x = (
    axes.counted(name, n).registered("cells", is_closed)
    for name, n, is_closed in zip("yx", (h, w), periodic, strict=True)
  )
  variables = tuple(fields.Variable(name, dtype=dtype) for name in names)
  return fields.Header(variables, y, x)
