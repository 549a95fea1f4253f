"""Files of published networks as models of ours, and back."""

import ast
from collections.abc import Mapping
import functools
import os
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hinote_jax import models
from hinote_jax.core import grids, naming
from hinote_jax.interop import attributes, rules
from hinote_jax.interop import layout as layouts

# What training puts before the names of a network, one within the other.
_WRAPPER = re.compile(
  r"module\.|_orig_mod\.|(\w+_)?(network|net|model|generator)(_\w+|G\w*)?\."
)
# Options that are a file of their own, whose tensors are put beside.
_PARTS = frozenset({"autoencoder"})
# What it keeps beside a network.
_BESIDE = re.compile(
  r"n_averaged$|[^.]*(loss|criteri|metric|lpips|vgg|discriminator|critic)",
  re.IGNORECASE,
)


class Imported(NamedTuple):
  """A published network: `models.build(name, **kwargs)` and its variables.

  Attributes:
    name: of the model.
    kwargs: keyword arguments of `models.build`.
    variables: {"params": tree of float32 arrays}.

  Examples:
    >>> Imported("srcnn", {"channels": 1}, {"params": {}}).name
    'srcnn'
  """

  name: str
  kwargs: dict[str, Any]
  variables: dict[str, Any]


def load_checkpoint(
  path: str | os.PathLike, *, widen: bool = True, **options: Any
) -> Imported:
  """Returns the network in a .pth, .pt, .safetensors, .npz or .npy file.

  The network and its sizes are recognised from names and shapes; nothing in
  the file is run and PyTorch is not needed.

  Args:
    path: the file.
    widen: take half-precision tensors, exactly, as float32; or refuse them.
    **options: what names and shapes do not tell, named as in the released
      configuration of that network; where absent, what the file says beside
      its tensors, then the released default. `autoencoder` is the path of the
      other half of a network of two files.

  Raises:
    FileNotFoundError: no such file.
    ValueError: it cannot be read, is of no known network, or its tensors are
      not all of that network's; names the file and the reason.

  Examples:
    >>> np.savez("other.npz", a=np.ones(3))
    >>> load_checkpoint("other.npz")
    Traceback (most recent call last):
    ValueError: other.npz: its 1 tensors (a (3,), ...) are of no network ...
  """
  from hinote_jax.interop import reader

  contents = reader.read(path, widen=widen)
  for part in _PARTS & options.keys():
    beside = reader.read(options.pop(part), widen=widen).tensors
    contents.tensors.update({f"{part}.{n}": t for n, t in beside.items()})
  try:
    return from_contents(contents, **options)
  except ValueError as error:
    raise ValueError(f"{os.fspath(path)}: {error}") from error


def from_contents(contents: Any, **options: Any) -> Imported:
  """Returns the network that a `reader.Contents` holds; see `from_tensors`."""
  if contents.kind == "table":
    from hinote_jax.interop import tables

    return tables.imported(contents, **options)
  beside = contents.spec.get("args")
  if not isinstance(beside, Mapping):  # a command line, or none
    beside = contents.spec
  return from_tensors(contents.tensors, beside=beside, **options)


def from_tensors(
  tensors: rules.Tensors,
  *,
  beside: Mapping[str, Any] | None = None,
  **options: Any,
) -> Imported:
  """Returns the network that tensors are, name -> array.

  Args:
    tensors: as in a published state dict.
    beside: further options, less strong than `options`; unknown ones are passed
      over.
    **options: see `load_checkpoint`.

  Raises:
    ValueError: as `load_checkpoint`.

  Examples:
    >>> from_tensors({"a": np.ones(3)})
    Traceback (most recent call last):
    ValueError: its 1 tensors (a (3,), ...) are of no network known here: ...
  """
  tensors = _unwrapped(tensors)
  shapes = {name: np.shape(tensor) for name, tensor in tensors.items()}
  layout = recognise(shapes)
  for name in options:
    naming.look_up(f"option of {layout.model}", name, layout.options)
  beside = {k: v for k, v in (beside or {}).items() if k in layout.options}
  try:
    kwargs = layout.arguments(shapes, **{**layout.options, **beside, **options})
  except KeyError as error:
    raise ValueError(
      f"it lacks {error.args[0]}, by which the size of {layout.model} is told: "
      "take a file that is whole"
    ) from error
  except (IndexError, ZeroDivisionError) as error:
    raise ValueError(
      f"it has the names of {layout.model} and shapes that no such network "
      "has: take a file that is whole"
    ) from error
  whole = attributes.of(layout.model, kwargs)
  params = rules.load(
    tensors,
    layout.rules(**whole),
    parameter_shapes(layout.model, kwargs),
    constants=layout.constants(**whole),
  )
  return Imported(layout.model, kwargs, {"params": params})


def _unwrapped(tensors: rules.Tensors, depth: int = 4) -> rules.Tensors:
  """Returns the tensors of a network under its own names.

  Of an average and what it is of, the average is taken. What is of no network
  known here stays as it is.

  Raises:
    ValueError: there are several networks.
  """
  own_tensors = {n: t for n, t in tensors.items() if not _BESIDE.match(n)}
  if _is_known(own_tensors):
    return own_tensors
  matches = [_WRAPPER.match(name) for name in own_tensors]
  wrappers = {match[0] for match in matches if match}
  if not all(matches) or not depth:
    return tensors
  inner = {}
  for prefix in sorted(wrappers):
    size = len(prefix)
    own = {n[size:]: t for n, t in own_tensors.items() if n.startswith(prefix)}
    own = _unwrapped(own, depth - 1)
    if _is_known(own):
      inner[prefix] = own
  averages = [prefix for prefix in inner if "ema" in prefix.lower()]
  chosen = averages or list(inner)
  if len(chosen) > 1:
    raise ValueError(
      f"it holds {len(chosen)} networks, under {', '.join(chosen)}: save the "
      "one you want alone"
    )
  return inner[chosen[0]] if chosen else tensors


def parse_option(text: str) -> tuple[str, Any]:
  """Returns name and value of an option of `load_checkpoint` in words.

  Args:
    text: "name=value", the value as Python writes it; other words are a string.

  Raises:
    ValueError: there is no "=".

  Examples:
    >>> parse_option("scale=4"), parse_option("name=hat")
    (('scale', 4), ('name', 'hat'))
  """
  name, equals, value = text.partition("=")
  if not equals:
    raise ValueError(f"an option is name=value, got {text!r}")
  try:
    return name, ast.literal_eval(value)
  except (ValueError, SyntaxError):
    return name, value


def recognise(shapes: rules.Shapes) -> layouts.Layout:
  """Returns the one layout that these names and shapes are of.

  Raises:
    ValueError: none is; lists the first names.
  """
  known = layouts.layouts()
  for layout in known.values():
    if layout.matches(shapes):
      return layout
  first = ", ".join(f"{n} {s}" for n, s in list(shapes.items())[:5])
  raise ValueError(
    f"its {len(shapes)} tensors ({first}, ...) are of no network known here: "
    f"{', '.join(known)}"
  )


def _is_known(tensors: rules.Tensors) -> bool:
  shapes = {name: np.shape(tensor) for name, tensor in tensors.items()}
  return any(layout.matches(shapes) for layout in layouts.layouts().values())


def parameter_shapes(name: str, kwargs: Mapping[str, Any]) -> rules.Shapes:
  """Returns path -> shape of the parameters of a model; computes nothing."""
  module = models.build(name, **kwargs)
  channels = getattr(module, "channels", None) or 1
  lowres = jnp.zeros((1, 16, 16, channels))
  cell = jnp.full((1, 2), 2.0 / 32)
  variables = jax.eval_shape(
    module.init, jax.random.key(0), lowres, grids.axes((32, 32)), cell
  )
  leaves = jax.tree.leaves_with_path(variables["params"])
  joined = functools.partial(jax.tree_util.keystr, simple=True, separator="/")
  return {joined(path): leaf.shape for path, leaf in leaves}


def to_tensors(
  name: str,
  kwargs: Mapping[str, Any],
  variables: Mapping[str, Any],
  *,
  layout: str | None = None,
) -> dict[str, np.ndarray]:
  """Returns the tensors of the published layout of a model of ours.

  Args:
    name: of the model in `models.build`.
    kwargs: its keyword arguments.
    variables: {"params": ...}.
    layout: one of `layouts.layouts`, where a model has several; None is the one
      that is called like the model.

  Raises:
    ValueError: the model has no published layout, has parameters that its
      layout does not, or is one that no option of the layout tells from the
      published one.

  Examples:
    >>> to_tensors("bicubic", {}, {})
    Traceback (most recent call last):
    ValueError: the model 'bicubic' has no published layout
  """
  every = layouts.layouts().items()
  known = {n: layout for n, layout in every if layout.model == name}
  if not known:
    raise ValueError(f"the model {name!r} has no published layout")
  chosen = naming.look_up(f"layout of {name}", layout or name, known)
  whole = attributes.of(name, kwargs)
  tensors = rules.save(
    variables["params"],
    chosen.rules(**whole),
    constants=chosen.constants(**whole),
  )
  _require_told(chosen, whole, tensors)
  return tensors


def _require_told(
  layout: layouts.Layout, whole: Mapping[str, Any], tensors: rules.Tensors
) -> None:
  """Refuses tensors that would be read as another network than they are of."""
  shapes = {name: np.shape(tensor) for name, tensor in tensors.items()}
  kwargs = layout.arguments(shapes, **layout.options_of(whole))
  read = attributes.of(layout.model, kwargs)
  # Which axes close is the field's to say, but where a layout says it.
  apart = {"periodic"} - kwargs.keys()
  if differing := attributes.differing(whole, read, apart=apart):
    own, published = attributes.in_words(differing)
    raise ValueError(
      f"{layout.model} with {own} is not the published network, which has "
      f"{published}: a file of it would be read as another one; train it with "
      "those to write it"
    )


def save_torch(
  path: str | os.PathLike,
  name: str,
  kwargs: Mapping[str, Any],
  variables: Mapping[str, Any],
  *,
  layout: str | None = None,
) -> None:
  """Writes parameters as a state dict that the published PyTorch code loads.

  Args:
    path: the file, written whole or not at all.
    name: of the model in `models.build`.
    kwargs: its keyword arguments.
    variables: {"params": ...}.
    layout: see `to_tensors`.

  Raises:
    ValueError: as `to_tensors`.

  Examples:
    >>> from flax import traverse_util
    >>> known = models.spec("espcn").tiny
    >>> shapes = parameter_shapes("espcn", known)
    >>> flat = {n: np.ones(shape, np.float32) for n, shape in shapes.items()}
    >>> params = traverse_util.unflatten_dict(flat, sep="/")
    >>> save_torch("espcn.pth", "espcn", known, {"params": params})
    >>> load_checkpoint("espcn.pth").name
    'espcn'
  """
  from hinote_jax.interop import torch_writer

  tensors = to_tensors(name, kwargs, variables, layout=layout)
  torch_writer.write(path, tensors)
