"""What the published layouts say, each in a `LAYOUT` beside its model.

A layout says how a file of it is recognised, which model its shapes and the
caller's options mean, and by which rules the two are the same.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import importlib
import re
from typing import Any

import numpy as np

from hinote_jax import models
from hinote_jax.interop import rules


def _none(**_: Any) -> dict[str, Any]:
  return {}


@dataclasses.dataclass(frozen=True)
class Layout:
  """One published network, as its checkpoints hold it.

  Attributes:
    model: name of the model in `models.build`.
    matches: whether tensors of these shapes (name -> shape) are of it.
    arguments: (shapes, **options) -> keyword arguments of `models.build`.
    rules: (**attributes of the model) -> the table.
    constants: (**attributes of the model) -> tensors that are no parameters,
      see `rules`.
    options: what shapes cannot tell, with the default of the release.
    told: (**attributes of the model) -> the options that are not called like
      the attribute they give.
  """

  model: str
  matches: Callable[[rules.Shapes], bool]
  arguments: Callable[..., dict[str, Any]]
  rules: Callable[..., Sequence[rules.Rule]]
  constants: Callable[..., Mapping[str, np.ndarray | None]] = _none
  options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  told: Callable[..., Mapping[str, Any]] = _none

  def options_of(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options by which a file of a network is read as that one."""
    alike = {n: attributes[n] for n in self.options if n in attributes}
    return {**self.options, **alike, **self.told(**attributes)}


def layouts() -> dict[str, Layout]:
  """Returns the published layouts of all models of the zoo, by name."""
  modules = {
    name: module
    for spec in models.every_spec().values()
    for name, module in spec.layouts.items()
  }
  return {
    name: importlib.import_module(module).LAYOUT
    for name, module in modules.items()
  }


def count(shapes: rules.Shapes, template: str) -> int:
  """Returns how many of template.format(0), (1), ... the tensors have.

  A layer of which another tensor is there counts: what it lacks is said later.
  """
  before, _, after = template.partition("{}")
  layer = after.rpartition(".")[0] or after
  pattern = re.compile(rf"{re.escape(before)}(\d+){re.escape(layer)}\b")
  numbers = [int(m[1]) for m in map(pattern.match, shapes) if m]
  return min(max(numbers, default=-1) + 1, len(shapes))
