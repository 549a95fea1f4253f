"""What the type of the products leaves of an answer, and of the program."""

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import models
from hinote_jax.core import grids
from hinote_jax.interop import checkpoints
from tests import trials

_NETWORKS = tuple(
  name
  for name, spec in models.specs().items()
  if not spec.is_interpolation and not spec.is_tabulated
)
_QUICK = ("edsr", "espcn", "ffdnet", "liif", "rdn", "srcnn", "swinir", "wdsr")


def _inputs():
  random = np.random.default_rng(0)
  lowres = np.float32(random.normal(size=(1, 8, 8, 1)))
  return lowres, grids.axes((16, 16)), grids.cell_size((16, 16))[None]


@pytest.mark.parametrize(
  "name", trials.apart_from(_QUICK.__contains__, _NETWORKS)
)
def test_answer_has_more_bits_than_the_products(name):
  kwargs = dict(models.spec(name).tiny, channels=1)
  random = np.random.default_rng(1)
  shapes = checkpoints.parameter_shapes(name, kwargs)
  drawn = {p: random.normal(size=s) * 0.2 for p, s in shapes.items()}
  params = traverse_util.unflatten_dict(
    {path: np.float32(leaf) for path, leaf in drawn.items()}, sep="/"
  )
  module = models.build(name, **kwargs, dtype="bfloat16")
  answer = jax.jit(module.apply)({"params": params}, *_inputs())
  assert answer.dtype == np.float32
  rounded = np.asarray(answer.astype(jnp.bfloat16), np.float32)
  # One in some hundreds of float32 numbers is one of bfloat16 by chance.
  assert np.mean(rounded == answer) < 0.1


def test_a_type_and_its_name_are_one_program():
  programs = []
  for dtype in ("float32", jnp.float32):
    module = models.build(
      "hinote_official",
      attention_width=4,
      attention_head=2,
      feature_up_ratio=1,
      dtype=dtype,
    )
    shapes = jax.eval_shape(module.init, jax.random.key(0), *_inputs())
    programs.append(str(jax.make_jaxpr(module.apply)(shapes, *_inputs())))
  assert programs[0] == programs[1]
