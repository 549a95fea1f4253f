"""One call from a coarse field to a fine one, in physical units."""

from collections.abc import Mapping, Sequence
import pathlib
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax import grids, models
from hinote_jax.typing import Array, Periodic


class Predictor:
  """A network with its parameters and units, called on plain arrays.

  predictor(field, scale=3.7) or predictor(field, shape=(721, 1440)) normalises,
  evaluates the network at the cell centres of the finer grid over the same
  extent, and de-normalises. Each pair of shapes is compiled once.
  """

  def __init__(
    self,
    module: nn.Module,
    variables: Mapping[str, Any],
    *,
    normaliser: Any = None,
    periodic: Periodic = (False, False),
    names: Sequence[str] = (),
  ):
    """Puts a predictor together from its parts.

    Args:
      module: a model of `hinote_jax.models`.
      variables: what its `init` or a checkpoint gave; {} for interpolations.
      normaliser: has `normalise(x)` and `denormalise(x)` on [.. c]; None
        passes the values through.
      periodic: whether the (y, x) axis of the fields closes on itself.
      names: names of the channels, for messages.
    """
    self.module = module.clone(periodic=tuple(periodic))
    self.variables = variables
    self.normaliser = normaliser
    self.periodic = tuple(periodic)
    self.names = tuple(names)
    self._apply = jax.jit(self.module.apply)

  @property
  def channels(self) -> int | None:
    """How many channels a field must have; None where any number will do."""
    if self.names:
      return len(self.names)
    return getattr(self.module, "channels", None)

  def __call__(
    self,
    field: Array,
    *,
    scale: float | int | None = None,
    shape: tuple[int, int] | None = None,
  ) -> np.ndarray:
    """Returns the field on a finer grid over the same extent.

    Args:
      field: values in physical units, [h w c] or [b h w c]; [h w] where the
        model has one channel.
      scale: how many times finer, at least 1; sides are rounded to a cell.
      shape: (H, W) of the result, at least (h, w). Give one of the two.

    Returns:
      float32 of the same rank as `field`, in the same units.

    Raises:
      ValueError: not exactly one of `scale` and `shape`, a result coarser than
        the field, a wrong number of channels, or values that are not finite.
    """
    values = np.asarray(field, np.float32)
    lowres = self._as_batch(values)
    shape = _fine_shape(lowres.shape[1:3], scale, shape)
    _require_finite(values)
    if self.normaliser is not None:
      lowres = self.normaliser.normalise(lowres)
    cell = np.tile(grids.cell_size(shape), (len(lowres), 1))
    highres = self._apply(
      self.variables, jnp.asarray(lowres), grids.axes(shape), cell
    )
    highres = np.asarray(highres)
    if self.normaliser is not None:
      highres = np.asarray(self.normaliser.denormalise(highres))
    lead = values.shape[:-3] if values.ndim > 2 else ()
    tail = values.shape[-1:] if values.ndim > 2 else ()
    return highres.astype(np.float32).reshape(*lead, *shape, *tail)

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
    found = lowres.shape[-1]
    if self.channels not in (None, found):
      names = f" ({', '.join(self.names)})" if self.names else ""
      raise ValueError(
        f"the model takes {self.channels} channels{names}, the field of "
        f"shape {values.shape} has {found}"
      )
    return lowres


def load(
  workdir: str | pathlib.Path,
  which: str = "best",
  *,
  normalisation: str | None = None,
  **options: Any,
) -> Predictor:
  """Returns the predictor of a training run, a published file or a name.

  Args:
    workdir: folder of a run, file of a published network, or one of
      `models.INTERPOLATIONS`.
    which: the checkpoint of a run, "best" on validation or "latest".
    normalisation: what goes around a published network, one of
      `images.units.NORMALISERS`; None for its own convention.
    **options: of `interop.load_checkpoint`, for a published network.

  Raises:
    FileNotFoundError: `workdir` is none of these, or has no checkpoint yet.
    ValueError: its checkpoint is damaged, or the file is of no known network.
  """
  if str(workdir) in models.INTERPOLATIONS:
    return Predictor(models.build(str(workdir)), {})
  if pathlib.Path(workdir).is_file():
    return _published(workdir, normalisation, options)
  if not (pathlib.Path(workdir) / "config.json").is_file():
    raise FileNotFoundError(
      f"{str(workdir)!r} is not a workdir (it holds no config.json), nor a "
      "file of a network, nor an interpolation "
      f"({', '.join(models.INTERPOLATIONS)})"
    )
  from hinote_jax import checkpoint
  from hinote_jax.data import normalise

  variables, meta = checkpoint.load_variables(workdir, which)
  normaliser = meta.get("normaliser")
  if normaliser is not None:
    normaliser = normalise.Normaliser.from_dict(normaliser)
  return Predictor(
    models.build(**meta["model"]),
    variables,
    normaliser=normaliser,
    periodic=tuple(meta["periodic"]),
    names=tuple(meta["variables"]),
  )


def _published(path, normalisation, options) -> Predictor:
  """Returns the predictor of a published network, in units of [0, 1]."""
  from hinote_jax import interop
  from hinote_jax.images import units

  imported = interop.load_checkpoint(path, **options)
  module = models.build(imported.name, **imported.kwargs)
  channels = getattr(module, "channels", None)
  around = units.normaliser(imported.name, channels, normalisation)
  return Predictor(
    module, imported.variables, normaliser=around, periodic=module.periodic
  )


def _fine_shape(
  coarse: tuple[int, int],
  scale: float | int | None,
  shape: tuple[int, int] | None,
) -> tuple[int, int]:
  if (scale is None) == (shape is None):
    raise ValueError(
      f"give exactly one of scale and shape, got scale={scale}, shape={shape}"
    )
  if shape is None:
    return grids.scaled_shape(coarse, float(scale))
  height, width = (int(n) for n in shape)
  if height < coarse[0] or width < coarse[1]:
    raise ValueError(
      f"shape {(height, width)} is coarser than the field's {tuple(coarse)}: "
      "the scale is below 1"
    )
  return height, width


def _require_finite(values: np.ndarray) -> None:
  is_bad = ~np.isfinite(values)
  if is_bad.any():
    first = tuple(int(i) for i in np.argwhere(is_bad)[0])
    raise ValueError(
      f"{is_bad.sum()} of {values.size} values of the field are not finite, "
      f"the first at index {first}: fill them before"
    )
