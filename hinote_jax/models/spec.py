"""What a family's folder says of each of its models; nothing else names them.

A folder of models holds a module `spec` with `SPECS`, a tuple of these. They
are plain values: to list the zoo imports no network.
"""

from collections.abc import Callable, Mapping
import dataclasses
import importlib
from typing import Any

from flax import linen as nn


@dataclasses.dataclass(frozen=True)
class Spec:
  """One model of the zoo.

  Attributes:
    name: what `models.build` calls it.
    builder: "module:function" that takes the model's keyword arguments.
    tiny: keyword arguments of the smallest network that is still itself, of
      one channel; for tests.
    extras: what the model takes besides field, points and cell, by name.
    optional: what it takes where it is given, and else has a default for.
    rngs: random streams that it draws from in training, ("dropout",).
    layouts: published layouts of it, name -> module that holds `LAYOUT`.
    is_centred_in_colour: published files of three channels take and give
      values in [-1, 1] instead of [0, 1].
    scales: those of its published files, which then answer at their own
      alone; () where they are interpolated at others.
    is_interpolation: nothing is learned.
    is_of_one_variable: takes fields of one channel only.
    is_tabulated: it may be tables, and takes each channel alone.
    is_imported: its published files are run; nothing here trains it.
    is_features: a loss compares fields by it; it makes none finer.

  Example:
    SPECS = (Spec("blur", "my_models.blur:Blur", tiny=dict(width=4)),)

  Examples:
    >>> spec = Spec("toy", "hinote_jax.models:build", tiny=dict(channels=1))
    >>> spec.function.__name__
    'build'
  """

  name: str
  builder: str
  tiny: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  extras: tuple[str, ...] = ()
  optional: tuple[str, ...] = ()
  rngs: tuple[str, ...] = ()
  layouts: Mapping[str, str] = dataclasses.field(default_factory=dict)
  is_centred_in_colour: bool = False
  scales: tuple[int, ...] = ()
  is_interpolation: bool = False
  is_of_one_variable: bool = False
  is_tabulated: bool = False
  is_imported: bool = False
  is_features: bool = False

  @property
  def function(self) -> Callable[..., nn.Module]:
    """What makes the model of keyword arguments."""
    module, function = self.builder.split(":")
    return getattr(importlib.import_module(module), function)

  def build(self, **kwargs: Any) -> nn.Module:
    """Returns the model, made from keyword arguments."""
    return self.function(**kwargs)
