"""What the tensors of a released HiNOTE network tell, and what they do not."""

import functools

import jax
import numpy as np
import pytest

from hinote_jax import interop
from hinote_jax.interop import checkpoints

_NETWORK = dict(
  feature_up_ratio=8,
  fourier_up="Corner",
  feature_combine="cat",
  non_act="GELU",
  liif_up_method="nearest",
  attention_width=12,
  attention_head=3,
  hierarchical_levels=2,
)
_TOLD_BY_NAMES = set(_NETWORK) - {"non_act", "liif_up_method"}


@functools.cache
def _tensors(**changes):
  """The tensors of a network with parameters that all differ."""
  kwargs = {**_NETWORK, **changes}
  shapes = checkpoints.parameter_shapes("hinote_official", kwargs)
  random, params = np.random.default_rng(0), {}
  for path, shape in shapes.items():
    *parents, leaf = path.split("/")
    tree = params
    for name in parents:
      tree = tree.setdefault(name, {})
    tree[leaf] = random.normal(size=shape).astype(np.float32)
  tensors = interop.to_tensors("hinote_official", kwargs, {"params": params})
  return tensors, params


def test_names_and_shapes_tell_the_network():
  tensors, params = _tensors()
  imported = interop.from_tensors(tensors)
  assert imported.name == "hinote_official"
  assert imported.kwargs == _NETWORK
  same = jax.tree.map(np.array_equal, imported.variables["params"], params)
  assert all(jax.tree.leaves(same))


def test_names_are_those_of_the_release():
  tensors, _ = _tensors()
  for name, shape in {
    "encoder.featUp2.Fup.pha_fuse.2.bias": (1,),
    "encoder.featUp0.fuse.weight": (1, 2, 1, 1),
    "lift.weight": (12, 14, 5, 5),
    "hierarchical_decoder.kernels.1.qkv_proj.weight": (36, 12, 1, 1),
    "hierarchical_decoder.kernels.0.kln.weight": (3, 1, 4),
    "hierarchical_decoder.downsample_layers.0.0.sinc_filter": (1, 1, 31, 31),
    "hierarchical_decoder.downsample_layers.0.1.weight": (12, 12, 3, 3),
    "hierarchical_decoder.upsample_layers.0.2.bias": (12,),
    "hierarchical_decoder.integrate_layers.0.weight": (12, 24, 3, 3),
    "hierarchical_decoder.project.weight": (1, 12, 3, 3),
  }.items():
    assert tensors[name].shape == shape


@pytest.mark.parametrize(
  ("name", "value"),
  [
    ("feature_up_ratio", 4),
    ("fourier_up", "Area"),
    ("feature_combine", "add"),
    ("attention_width", 256),
    ("attention_head", 16),
    ("hierarchical_levels", 1),
  ],
)
def test_a_contradiction_names_both(name, value):
  tensors, _ = _tensors()
  found = f"{name}={_NETWORK[name]!r}.*{name}={value!r}"
  with pytest.raises(ValueError, match=found):
    interop.from_tensors(tensors, **{name: value})


def test_what_is_said_twice_is_taken():
  tensors, _ = _tensors()
  options = {name: _NETWORK[name] for name in _TOLD_BY_NAMES}
  # The release rounds the ratio down to a power of two.
  options["feature_up_ratio"] = 15
  imported = interop.from_tensors(tensors, non_act="SELU", **options)
  assert imported.kwargs == {**_NETWORK, "non_act": "SELU"}


def test_area_and_periodic_have_the_same_tensors():
  tensors, _ = _tensors(fourier_up="Area")
  with pytest.raises(ValueError, match="'Area' or 'Periodic'.*say which"):
    interop.from_tensors(tensors)
  with pytest.raises(ValueError, match="fourier_up='Corner' was asked for"):
    interop.from_tensors(tensors, fourier_up="Corner")
  for name in ("Area", "Periodic"):
    kwargs = interop.from_tensors(tensors, fourier_up=name).kwargs
    assert kwargs["fourier_up"] == name


def test_another_filter_is_refused():
  tensors, _ = _tensors()
  name = "hierarchical_decoder.upsample_layers.0.0.sinc_filter"
  wrong = np.array(tensors[name])
  wrong[0, 0, 0, 0] += 1e-3
  with pytest.raises(ValueError, match="not the constant"):
    interop.from_tensors({**tensors, name: wrong})
