"""MGHF: fields compared by the features of an invertible network (Sami et al.).

The paper (arXiv 2411.13548) gives `MghfC` in words, and its authors released
neither the network nor more of the code than `MghfN(nodes="last")`. Whatever
both leave open is an attribute here, and its docstring says "ours".
"""

from typing import Any, ClassVar

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from hinote_jax.core import naming
from hinote_jax.core.typing import Array
from hinote_jax.losses import contrast, structure

Field = Float[Array, "b H W c"]
NODES = ("all", "last")


def in_channels(field: Field, channels: int) -> Float[Array, "n H W d"]:
  """Returns a field as a network of so many channels takes it.

  Those of another number pass one by one, as examples of their own, each as
  often as the network has channels.

  Examples:
    >>> in_channels(jnp.ones((2, 4, 4, 5)), 3).shape
    (10, 4, 4, 3)
  """
  b, h, w, c = field.shape
  if c == channels:
    return field
  field = jnp.moveaxis(field, -1, 1).reshape(b * c, h, w, 1)
  return jnp.broadcast_to(field, (b * c, h, w, channels))


class OfFeatures(nn.Module):
  """What terms share: a network that is not trained, and what it is shown.

  Attributes:
    network: a `terms.Network`.
    factor: of the normalised field, before the network sees it; ours.
    offset: added to it after; ours.

  Examples:
    >>> OfFeatures(factor=2.0).offset
    0.0
  """

  NETWORK: ClassVar[str] = "inn"
  WHENCE: ClassVar[str] = (
    "take inn-photo or inn-turbulence, which come along, train one of your own "
    "(--config=configs/perceptual.py:inn_turbulence), or give "
    "inn_pretrained.pt of its authors (the Drive folder that "
    "github.com/shoaib-sami/Multi-Granular-High-Frequency-Perceptual-Loss-MGHF-"
    " names; no licence stated)"
  )

  network: Any = None
  factor: float | int = 1.0
  offset: float | int = 0.0

  def seen(self, variables: Any, field: Field) -> Any:
    """Returns the features of a field."""
    module = self.network.module
    field = in_channels(field * self.factor + self.offset, module.channels)
    return module.apply(variables, field, method="features")

  def compare(self, ours: Any, theirs: Any) -> Float[Array, ""]:
    """Returns the mean over examples of how far features are apart."""
    raise NotImplementedError

  @nn.compact
  def __call__(self, pred: Field, highres: Field) -> Float[Array, ""]:
    own = self.variable("frozen", "network", lambda: self.network.variables)
    if self.is_initializing():
      return jnp.zeros(())
    theirs = jax.lax.stop_gradient(self.seen(own.value, highres))
    return self.compare(self.seen(own.value, pred), theirs)


def _nodes(nodes, features):
  naming.look_up("nodes", nodes, dict.fromkeys(NODES))
  return features.details if nodes == "all" else features.details[-1:]


class MghfN(OfFeatures):
  """Mean squared difference of the detail features.

  Attributes:
    nodes: "all": the mean of those after each invertible module, as the paper
      has it; "last", as the released code.

  Examples:
    >>> MghfN(nodes="last").nodes
    'last'
  """

  nodes: str = "all"

  def compare(self, ours: Any, theirs: Any) -> Float[Array, ""]:
    pairs = zip(
      _nodes(self.nodes, ours), _nodes(self.nodes, theirs), strict=True
    )
    each = [jnp.square(x - y).mean() for x, y in pairs]
    return jnp.stack(each).mean()


def channel_weights(
  features: Field, temperature: float | int = 0.1
) -> Float[Array, "b c"]:
  """Prunes channels whose entropy is above the mean, and weighs the others.

  The entropy is that of softmax(|feature|) over the points, over its largest
  value: 1 for an even channel, near 0 for one of a single peak.

  Args:
    features: of the target.
    temperature: of softmax(-entropy / temperature) over those kept; ours.

  Returns:
    weights whose sum is the number of channels kept.

  Examples:
    >>> even, peak = jnp.zeros((1, 2, 2)), jnp.zeros((1, 2, 2)).at[0, 0].set(9)
    >>> channel_weights(jnp.stack([even, peak], -1)).tolist()
    [[0.0, 1.0]]
  """
  b, h, w, c = features.shape
  log = jax.nn.log_softmax(jnp.abs(features).reshape(b, h * w, c), axis=1)
  entropy = -(jnp.exp(log) * log).sum(axis=1) / jnp.log(float(h * w))
  is_kept = entropy <= entropy.mean(axis=1, keepdims=True)
  scores = jnp.where(is_kept, -entropy / temperature, -jnp.inf)
  weights = nn.softmax(scores, axis=1) * is_kept.sum(axis=1, keepdims=True)
  return jax.lax.stop_gradient(weights)


def gram(features: Field) -> Float[Array, "b c c"]:
  """Returns products of channels, over their number and that of the points.

  Examples:
    >>> gram(2.0 * jnp.ones((1, 3, 3, 1))).tolist()
    [[[4.0]]]
  """
  b, h, w, c = features.shape
  flat = features.reshape(b, h * w, c)
  product = jnp.einsum("bni,bnj->bij", flat, flat, precision="highest")
  return product / (c * h * w)


class MghfC(OfFeatures):
  """Style, content, correlation and patch contrast of chosen features.

      style + content + eta1 correlation + eta2 contrast

  Attributes:
    nodes: which features, "last" or the mean over "all"; ours.
    style: weight of the squared difference of the Gram matrices; ours.
    content: weight of the squared difference; ours.
    eta1: weight of 1 - correlation of a channel; ours.
    eta2: weight of the contrast; ours.
    temperature: of the channels' weights, see `channel_weights`; ours.
    patches: how many points are contrasted, evenly spaced so that they are
      the same in every run; ours.
    tau: temperature of the contrast, as in MoNCE.
    negatives: factor of other points, as in MoNCE.
    epsilon: of the transport plan, as in MoNCE.
    cost: of the plan, "hard" or "easy", as in MoNCE.
    iterations: of the plan, as in MoNCE.

  Examples:
    >>> MghfC(eta2=0.5).tau
    0.07
  """

  nodes: str = "last"
  style: float | int = 1.0
  content: float | int = 1.0
  eta1: float | int = 0.1
  eta2: float | int = 0.01
  temperature: float | int = 0.1
  patches: int = 256
  tau: float | int = 0.07
  negatives: float | int = 1.0
  epsilon: float | int = 1.0
  cost: str = "hard"
  iterations: int = 50

  def compare(self, ours: Any, theirs: Any) -> Float[Array, ""]:
    pairs = zip(
      _nodes(self.nodes, ours), _nodes(self.nodes, theirs), strict=True
    )
    return jnp.stack([self._of_node(x, y) for x, y in pairs]).mean()

  def _of_node(self, x, y):
    weights = channel_weights(y, self.temperature)[:, None, None]
    total = self.content * (weights * jnp.square(x - y)).mean()
    if self.style:
      difference = gram(weights * x) - gram(weights * y)
      total += self.style * jnp.square(difference).mean()
    if self.eta1:
      total += self.eta1 * (1.0 - structure.correlation(x, y).mean())
    if self.eta2:
      query, key = (_unit(_lattice(f, self.patches)) for f in (x, y))
      each = contrast.monce(
        query,
        key,
        temperature=self.tau,
        negatives=self.negatives,
        epsilon=self.epsilon,
        cost=self.cost,
        iterations=self.iterations,
      )
      total += self.eta2 * each.mean()
    return total


def _lattice(x, count):
  """Returns about `count` evenly spaced points of a field, [b n c]."""
  b, h, w, c = x.shape
  rows = max(1, min(h, round((count * h / w) ** 0.5)))
  columns = max(1, min(w, count // rows))
  y, x_ = (
    ((2 * jnp.arange(k) + 1) * n) // (2 * k)
    for k, n in ((rows, h), (columns, w))
  )
  return x[:, y][:, :, x_].reshape(b, -1, c)


def _unit(x):
  square = jnp.square(x).sum(axis=-1, keepdims=True)
  return x * jax.lax.rsqrt(square + 1e-12)
