"""What tells a network from others, but for the values of its variables."""

from collections.abc import Mapping
import dataclasses
import hashlib
import json
from typing import Any

from flax import linen as nn

# What flax keeps of a module that is part of another one.
_PLACE = ("parent", "name")


def of(module: nn.Module) -> str:
  """Returns a digest of what a module was built from.

  It is the same in every process: functions and types go by their names.
  """
  text = json.dumps(module, default=_plain)
  return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
  """Returns a setting that JSON does not know in terms that it knows."""
  if isinstance(value, Mapping):
    return dict(value)
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    names = [f.name for f in dataclasses.fields(value) if f.name not in _PLACE]
    settings = {name: getattr(value, name) for name in names}
    return [_plain(type(value)), settings]
  if hasattr(value, "__qualname__"):
    return f"{value.__module__}.{value.__qualname__}"
  return repr(value)
