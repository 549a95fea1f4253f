"""Terms that are added to a loss, each by a weight, as a line of text.

    0.1*mghf_c(network="runs/inn", eta2=0.5) + 0.05*dino_js(network="s14.pth")

A term compares two fields by what a network makes of them, which is not
trained: its variables are a collection beside the parameters, so a checkpoint
holds them and a run that resumes has the same. A term is a mean over examples:
it does not depend on how a batch is divided among devices.
"""

import ast
import dataclasses
from typing import Any, NamedTuple

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax.core import naming
from hinote_jax.core.typing import Array
from hinote_jax.losses import embedding, mghf

Field = Float[Array, "b H W c"]
_TERMS = {
  "mghf_n": mghf.MghfN,
  "mghf_c": mghf.MghfC,
  "dino_js": embedding.DinoJs,
}


class Term(NamedTuple):
  """One term as it was asked for.

  Attributes:
    weight: it is multiplied by.
    name: of the term.
    network: where its network is, "" where none was said.
    options: of the term.

  Examples:
    >>> parse("mghf_n")[0].weight
    1.0
  """

  weight: float
  name: str
  network: str
  options: dict[str, Any]

  @property
  def wanted(self) -> tuple[str, str]:
    """Which network the term needs, and where that is to be had."""
    kind = _TERMS[self.name]
    return kind.NETWORK, kind.WHENCE


@dataclasses.dataclass(frozen=True)
class Network:
  """A network of features that is not trained.

  Attributes:
    module: with a method `features`.
    variables: of it.

  Examples:
    >>> Network(None, {"params": {}}).variables
    {'params': {}}
  """

  module: Any
  variables: Any = dataclasses.field(compare=False)


def parse(text: str) -> tuple[Term, ...]:
  """Returns the terms of a line, weight*name(option=value) + ...

  Raises:
    ValueError: it is no such line, or a term or an option is unknown.

  Examples:
    >>> term, = parse("0.5*mghf_c(eta1=2)")
    >>> term.weight, term.name, term.options
    (0.5, 'mghf_c', {'eta1': 2})
  """
  try:
    node = ast.parse(text.strip(), mode="eval").body
  except SyntaxError as error:
    raise ValueError(_unlike(text)) from error
  parts = []
  while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
    parts.append(node.right)
    node = node.left
  return tuple(_term(part, text) for part in (node, *reversed(parts)))


def _unlike(text):
  return (
    f"terms are weight*name(option=value) + ..., of {', '.join(_TERMS)}, got "
    f"{text!r}"
  )


def _term(node, text) -> Term:
  weight: Any = 1.0
  if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
    weight, node = _value(node.left, text), node.right
  call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
  is_plain = isinstance(call.func, ast.Name) and not call.args
  if not is_plain or isinstance(weight, str | bool | tuple):
    raise ValueError(_unlike(text))
  name = call.func.id  # pyright: ignore[reportAttributeAccessIssue]
  kind = naming.look_up("term", name, _TERMS)
  fields = {field.name for field in dataclasses.fields(kind)}
  fields -= {"parent", "name", "network"}
  options = {}
  for keyword in call.keywords:
    known = dict.fromkeys((*sorted(fields), "network"))
    naming.look_up(f"option of {name}", str(keyword.arg), known)
    options[keyword.arg] = _value(keyword.value, text)
  network = str(options.pop("network", ""))
  return Term(float(weight), name, network, options)


def _value(node, text):
  if isinstance(node, ast.Name):
    return node.id
  try:
    return ast.literal_eval(node)
  except ValueError as error:
    raise ValueError(_unlike(text)) from error


class WithTerms(nn.Module):
  """A loss of every point, and terms of whole examples added to it.

  Attributes:
    loss: of every point.
    weights: of the terms.
    terms: modules of (pred, highres), each gives one number.

  Examples:
    >>> from hinote_jax.losses import pixel
    >>> one = jnp.ones((1, 2, 2, 1))
    >>> loss = WithTerms(pixel.L1(), (), ())
    >>> float(loss.apply({}, 3 * one, one, None, None).mean())
    2.0
  """

  loss: nn.Module
  weights: tuple[float, ...]
  terms: tuple[nn.Module, ...]

  def __call__(
    self,
    pred: Field,
    highres: Field,
    lowres,
    coords,
    unit: Any = 1.0,
  ) -> Field:
    """Returns the loss of every element, whose mean is that of all.

    Args:
      pred: prediction, over `unit`.
      highres: what it should be, over `unit`.
      lowres: the input, over `unit`.
      coords: query points.
      unit: by which terms multiply, so that they see normalised values.
    """
    total: Any = self.loss(pred, highres, lowres, coords)  # pyright: ignore
    for weight, term in zip(self.weights, self.terms, strict=True):
      total += weight * term(pred * unit, highres * unit)  # pyright: ignore
    return jnp.asarray(total)


def build(
  loss: nn.Module, terms: tuple[Term, ...], networks: tuple[Network, ...]
) -> WithTerms:
  """Returns a loss with terms added, each with its network.

  Examples:
    >>> from hinote_jax.losses import pixel
    >>> build(pixel.L1(), parse("2*mghf_n"), (Network(None, {}),)).weights
    (2.0,)
  """
  modules = tuple(
    _TERMS[term.name](network=network, **term.options)
    for term, network in zip(terms, networks, strict=True)
  )
  return WithTerms(loss, tuple(term.weight for term in terms), modules)
