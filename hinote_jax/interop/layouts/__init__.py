"""The published layouts: one module each, with a `LAYOUT`, in `NAMES`.

A layout says how a file of it is recognised, which model its shapes and the
caller's options mean, and by which rules the two are the same.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import importlib
from typing import Any

import numpy as np

from hinote_jax.interop import rules

# In the order in which they are asked.
NAMES = (
  "liif",
  "metasr",
  "lte",
  "lte_fast",
  "srno",
  "hinote_official",
  "dfno",
  "swinir",
  "rdn",
  "edsr",
  "wdsr",
  "espcn",
  "srcnn",
)


def _none(**_: Any) -> dict[str, np.ndarray | None]:
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
  """

  model: str
  matches: Callable[[rules.Shapes], bool]
  arguments: Callable[..., dict[str, Any]]
  rules: Callable[..., Sequence[rules.Rule]]
  constants: Callable[..., Mapping[str, np.ndarray | None]] = _none
  options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def get(name: str) -> Layout:
  """Returns the layout of one of `NAMES`."""
  return importlib.import_module(f"{__name__}.{name}").LAYOUT


def count(shapes: rules.Shapes, template: str) -> int:
  """Returns how many of template.format(0), (1), ... the tensors have."""
  n = 0
  while template.format(n) in shapes:
    n += 1
  return n
