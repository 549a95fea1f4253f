"""Tables between the published layouts and ours, each read in both directions.

A rule pairs the name of a PyTorch tensor with the path of a parameter:

    Rule("body.{i}.body.0.weight", "block_{i}/first/kernel", conv)

`{i}` stands for a whole number. A transform turns the tensor into the
parameter and back without changing a bit. Both directions are strict: what
one side has and the other does not is an error that lists it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import re
from typing import Any, NamedTuple

from flax import traverse_util
import jax.numpy as jnp
import ml_dtypes
import numpy as np

Tensors = Mapping[str, np.ndarray]
Shapes = Mapping[str, tuple[int, ...]]


class Transform(NamedTuple):
  """How a tensor becomes a parameter, or several, and back."""

  load: Callable[[np.ndarray], Any]
  save: Callable[..., np.ndarray]


class Rule(NamedTuple):
  """One line of a table.

  Attributes:
    source: name of the tensor in the file; `{name}` matches a number.
    target: path of the parameter, or the paths of several that the tensor
      holds; in the same numbers.
    transform: `load` gives one array a target, `save` takes one a target.
  """

  source: str
  target: str | tuple[str, ...]
  transform: Transform

  @property
  def targets(self) -> tuple[str, ...]:
    """The paths, as a tuple."""
    return self.target if isinstance(self.target, tuple) else (self.target,)


as_is = Transform(lambda t: t, lambda p: p)
# (out, in, y, x) -> (y, x, in, out)
conv = Transform(
  lambda t: t.transpose(2, 3, 1, 0), lambda p: p.transpose(3, 2, 0, 1)
)
# (out, in) -> (in, out)
dense = Transform(lambda t: t.T, lambda p: p.T)
# (out, in, 1, 1) -> (in, out)
pointwise = Transform(
  lambda t: t[:, :, 0, 0].T, lambda p: p.T[:, :, None, None]
)
# (channels, 1, y, x) -> (y, x, channels)
depthwise = Transform(
  lambda t: t[:, 0].transpose(1, 2, 0), lambda p: p.transpose(2, 0, 1)[:, None]
)


def reshaped(
  loaded_shape: Sequence[int], shape: Sequence[int], inner: Transform = as_is
) -> Transform:
  """Returns `inner` with another shape of the parameter.

  Args:
    loaded_shape: shape of what `inner` loads.
    shape: shape of the parameter.
    inner: what is done before, on loading.
  """
  return Transform(
    lambda t: inner.load(t).reshape(shape),
    lambda p: inner.save(p.reshape(loaded_shape)),
  )


def regrouped(size: int, inner: Transform) -> Transform:
  """Reorders output channels from groups of `size` to `size` groups.

  Channel (i, j) of (.., size) becomes (j, i); the first axis of the tensor.
  """

  def swap(tensor, shape):
    tail = tensor.shape[1:]
    swapped = tensor.reshape(*shape, *tail).swapaxes(0, 1)
    return swapped.reshape(-1, *tail)

  return Transform(
    lambda t: inner.load(swap(t, (-1, size))),
    lambda p: swap(inner.save(p), (size, -1)),
  )


def shuffled(factor: int, inner: Transform) -> Transform:
  """Reorders output channels before a pixel shuffle, (c f f) -> (f f c).

  PyTorch's shuffle takes the channels of one cell as c groups of f*f, ours as
  f*f groups of c.
  """
  return regrouped(factor**2, inner)


def parts(sizes: Sequence[int], inner: Sequence[Transform]) -> Transform:
  """Cuts a tensor along its inputs (axis 1) into several parameters."""
  ends = np.cumsum(sizes)[:-1].tolist()

  def load(tensor):
    if tensor.shape[1] != sum(sizes):
      raise ValueError(f"has {tensor.shape[1]} inputs, expected {sum(sizes)}")
    cut = np.split(tensor, ends, axis=1)
    return tuple(f.load(t) for f, t in zip(inner, cut, strict=True))

  def save(*parameters):
    cut = [f.save(p) for f, p in zip(inner, parameters, strict=True)]
    return np.concatenate(cut, axis=1)

  return Transform(load, save)


def interleaved(heads: int, count: int, inner: Transform) -> Transform:
  """Cuts outputs that lie head by head, [q k v] within each, into `count`."""

  def load(tensor):
    tail = tensor.shape[1:]
    split = tensor.reshape(heads, count, -1, *tail)
    return tuple(
      inner.load(split[:, i].reshape(-1, *tail)) for i in range(count)
    )

  def save(*parameters):
    split = [inner.save(p) for p in parameters]
    tail = split[0].shape[1:]
    split = [t.reshape(heads, -1, *tail) for t in split]
    return np.stack(split, axis=1).reshape(-1, *tail)

  return Transform(load, save)


def layer(
  source: str, target: str, kernel: Transform, *, bias: Transform | None = as_is
) -> list[Rule]:
  """Returns the rules of one layer's weight and, unless None, its bias."""
  rules = [Rule(f"{source}.weight", f"{target}/kernel", kernel)]
  if bias is not None:
    rules.append(Rule(f"{source}.bias", f"{target}/bias", bias))
  return rules


def norm(source: str, target: str) -> list[Rule]:
  """Returns the rules of a layer norm."""
  return [
    Rule(f"{source}.weight", f"{target}/scale", as_is),
    Rule(f"{source}.bias", f"{target}/bias", as_is),
  ]


def _pattern(template: str) -> re.Pattern:
  pieces = re.split(r"\{(\w+)\}", template)
  for i, piece in enumerate(pieces):
    pieces[i] = f"(?P<{piece}>\\d+)" if i % 2 else re.escape(piece)
  return re.compile("".join(pieces))


def _matching(name, table) -> tuple[Rule | None, dict[str, str]]:
  """Returns the first rule for a name, and the numbers in the name."""
  for pattern, rule in table:
    if match := pattern.fullmatch(name):
      return rule, match.groupdict()
  return None, {}


def load(
  tensors: Tensors,
  rules: Sequence[Rule],
  expected: Shapes,
  *,
  constants: Mapping[str, np.ndarray | None] | None = None,
) -> dict[str, Any]:
  """Returns the tree of parameters that a file's tensors are.

  Args:
    tensors: name -> array, as in the file.
    rules: the table of the layout.
    expected: path -> shape of every parameter of the model.
    constants: names of tensors that are no parameters, with the value they
      must have; None for any.

  Raises:
    ValueError: a tensor that no rule knows, a parameter that no tensor gives,
      another shape, numbers that are not real or not finite, or a constant of
      another value; all of them are listed.
  """
  constants = dict(constants or {})
  table = [(_pattern(rule.source), rule) for rule in rules]
  params, wrong = {}, []
  for name, tensor in tensors.items():
    if name in constants:
      wrong += _unlike(name, tensor, constants[name])
      continue
    rule, numbers = _matching(name, table)
    if rule is None:
      wrong.append(f"{name} {tensor.shape}: the model has no place for it")
      continue
    paths = [target.format(**numbers) for target in rule.targets]
    try:
      values = rule.transform.load(tensor)
    except (ValueError, IndexError) as error:
      wrong.append(f"{name} {tensor.shape}: {error}")
      continue
    values = values if isinstance(rule.target, tuple) else (values,)
    own = dict(zip(paths, map(_as_float32, values), strict=True))
    reasons = _misfits(tensor.shape, rule, own, expected)
    wrong += [f"{name} {tensor.shape}: {reason}" for reason in reasons]
    params |= own
  for path in expected:
    if path not in params:
      source = _source(path, rules)
      wrong.append(f"{path} {tuple(expected[path])}: not given{source}")
  if wrong:
    raise ValueError("\n  ".join(["tensors and model differ:", *wrong]))
  return traverse_util.unflatten_dict(params, sep="/")


def _as_float32(value: np.ndarray) -> np.ndarray:
  """Returns real numbers in float32 and others as they are, to be refused."""
  if not jnp.issubdtype(value.dtype, jnp.floating):
    return value
  with np.errstate(over="ignore"):  # infinities are refused
    return np.ascontiguousarray(value, np.float32)


def _misfits(
  shape: tuple[int, ...],
  rule: Rule,
  values: Mapping[str, np.ndarray],
  expected: Shapes,
) -> Iterable[str]:
  """Yields why what a tensor of a shape gives is not what the model has."""
  reasons = [_misfit(*item, expected) for item in values.items()]
  if any(reasons):
    yield from filter(None, reasons)
    return
  # What a transform leaves out of a tensor does not come back.
  whole = rule.transform.save(*values.values()).shape
  if whole != shape:
    yield f"the model has {whole}"


def _misfit(path: str, value: np.ndarray, expected: Shapes) -> str:
  if path not in expected:
    return f"the model has no {path}"
  if value.shape != tuple(expected[path]):
    return (
      f"gives {path} the shape {value.shape}, the model has "
      f"{tuple(expected[path])}"
    )
  if value.dtype != np.float32:
    return f"gives {path} numbers of {value.dtype}, the model has real ones"
  if bad := value.size - np.count_nonzero(np.isfinite(value)):
    return f"{bad} of {value.size} weights in {path} are not finite in float32"
  return ""


def _source(path: str, rules: Sequence[Rule]) -> str:
  """Returns in words which tensor a parameter would come from."""
  for rule in rules:
    for target in rule.targets:
      if match := _pattern(target).fullmatch(path):
        return f", the file has no {rule.source.format(**match.groupdict())}"
  return ""


def _unlike(name, tensor, value) -> Iterable[str]:
  if value is None:
    return
  # Files of half precision have their constants rounded too.
  kinds = (value.dtype, np.float16, ml_dtypes.bfloat16)
  values = [value.astype(kind).astype(value.dtype) for kind in kinds]
  if tensor.shape != value.shape or not any(
    np.allclose(tensor, rounded, atol=1e-6) for rounded in values
  ):
    yield f"{name} {tensor.shape}: not the constant of the published code"


def save(
  params: Mapping[str, Any],
  rules: Sequence[Rule],
  *,
  constants: Mapping[str, np.ndarray | None] | None = None,
) -> dict[str, np.ndarray]:
  """Returns the tensors of a published layout that parameters are.

  Args:
    params: the tree of parameters.
    rules: the table of the layout.
    constants: as in `load`; those with a value are written.

  Raises:
    ValueError: parameters that no rule knows, all listed.
  """
  flat = traverse_util.flatten_dict(dict(params), sep="/")
  table = [(_pattern(rule.targets[0]), rule) for rule in rules]
  tensors, used = {}, set()
  for path in flat:
    rule, numbers = _matching(path, table)
    if rule is None:
      continue
    paths = [target.format(**numbers) for target in rule.targets]
    values = [np.asarray(flat[p]) for p in paths if p in flat]
    if len(values) == len(paths):
      used.update(paths)
      tensor = rule.transform.save(*values)
      tensors[rule.source.format(**numbers)] = np.ascontiguousarray(tensor)
  unknown = [path for path in flat if path not in used]
  if unknown:
    raise ValueError(
      "\n  ".join(["the published layout has no place for:", *unknown])
    )
  given = {n: v for n, v in (constants or {}).items() if v is not None}
  return given | tensors
