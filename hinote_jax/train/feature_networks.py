"""The networks that terms of a loss compare by, read from where they are."""

from collections.abc import Mapping
import pathlib
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from hinote_jax import interop, losses, models
from hinote_jax.losses import terms

SHIPPED = pathlib.Path(__file__).parents[1] / "networks"
# How those answer; what no file says is else as CDDFuse has it.
_AS_OURS = dict(residual=False, is_bounded=False)


def loss(fields: Mapping[str, Any]) -> nn.Module:
  """Returns the loss of a config, its terms and their networks with it.

  Args:
    fields: of `config.loss`, those that are set.

  Raises:
    FileNotFoundError: a term's network is not there; says where it is to be
      had.
    ValueError: it is of another kind, or cannot be read.
  """
  fields = dict(fields)
  text = fields.pop("terms", None)
  pixel = losses.build(**fields)
  if not text:
    return pixel
  parsed = terms.parse(text)
  return terms.build(pixel, parsed, tuple(map(load, parsed)))


def load(term: terms.Term) -> terms.Network:
  """Returns the network of a term: a file, a workdir or a shipped one.

  Raises:
    FileNotFoundError: it is none of these; says where it is to be had.
    ValueError: it is of another kind, or cannot be read.
  """
  kind, whence = term.wanted
  shipped = SHIPPED / f"{term.network}.npz"
  is_shipped = term.network and shipped.parent == SHIPPED and shipped.is_file()
  path = shipped if is_shipped else pathlib.Path(term.network or ".")
  if not term.network or not path.exists():
    problem = (
      f"network={term.network!r} is not there"
      if term.network
      else ("its option network says of none")
    )
    raise FileNotFoundError(
      f"config.loss.terms: {term.name} compares fields by a network of the "
      f"kind {kind}, and {problem}: {whence}"
    )
  name, module, variables = _read(path)
  if name != kind:
    raise ValueError(
      f"config.loss.terms: {term.name} compares by a network of the kind "
      f"{kind}, and {term.network} holds {name}: {whence}"
    )
  return terms.Network(module, jax.tree.map(jnp.asarray, dict(variables)))


def _read(path: pathlib.Path) -> tuple[str, Any, Any]:
  if path.is_file():
    options = _AS_OURS if path.parent == SHIPPED else {}
    imported = interop.load_checkpoint(path, **options)
    module = models.build(imported.name, **imported.kwargs)
    return imported.name, module, imported.variables
  from hinote_jax.train import checkpoint

  variables, meta = checkpoint.load_variables(path, "best")
  module = models.build(**meta["model"])
  return meta["model"]["name"], module, variables
