"""Any head on any trunk, by one table."""

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import interop, models
from hinote_jax.core import grids
from hinote_jax.interop import checkpoints
from hinote_jax.models import encoders
from tests.infer import networks

_SMALL = {
  "edsr": dict(width=8, blocks=1),
  "rdn": dict(width=8, blocks=1, layers=1, growth=4),
  "swinir": dict(networks.WINDOWS, num_feat=8),
  "hat": dict(networks.WINDOWS, num_feat=8),
}
_HEADS = ("hinote", "liif", "lte", "metasr", "srno")


def _made(module):
  coords, cell = grids.axes((9, 11)), jnp.full((1, 2), 0.2)
  arguments = jnp.zeros((1, 6, 7, module.channels)), coords, cell
  return jax.eval_shape(module.init_with_output, jax.random.key(0), *arguments)


@pytest.mark.parametrize("encoder", _SMALL)
@pytest.mark.parametrize("head", _HEADS)
def test_every_head_takes_every_trunk(head, encoder):
  options = dict(encoder=encoder, encoder_options=_SMALL[encoder])
  if head == "hinote":
    options["width"] = 8
  highres, variables = _made(networks.build(head, **options))
  assert highres.shape == (1, 9, 11, 2)
  trunk = variables["params"]["encoder"]
  trunk = trunk["trunk"] if head == "hinote" else trunk
  own = encoders.make(encoder, _SMALL[encoder])
  inputs = trunk["head"]["kernel"].shape[2]
  want = jax.eval_shape(
    own.init, jax.random.key(0), jnp.zeros((1, 8, 8, inputs))
  )["params"]
  assert jax.tree.map(jnp.shape, trunk) == jax.tree.map(jnp.shape, want)


def test_a_trunk_has_sizes_and_hands_on_what_is_asked_for():
  made = encoders.make("hat", dict(size="S", depths=(1,)), features=24)
  assert (made.embed_dim, made.depths, made.num_feat) == (144, (1,), 24)
  assert encoders.make("swinir", dict(size="lightweight")).embed_dim == 60
  assert encoders.make("edsr", dict(size="full")).width == 256
  assert encoders.make("rdn", {}, features=32).width == 32


@pytest.mark.parametrize(
  ("encoder", "options", "words"),
  [
    ("hatt", {}, "encoder.*did you mean 'hat'"),
    ("hat", dict(width=3), "option of hat"),
    ("swinir", dict(size="S"), "size of swinir"),
  ],
)
def test_what_a_trunk_does_not_know_is_named(encoder, options, words):
  with pytest.raises(ValueError, match=words):
    models.build("liif", encoder=encoder, encoder_options=options)
    encoders.make(encoder, options)


@pytest.mark.parametrize(
  ("encoder", "options"),
  [
    ("swinir", dict(resi_connection="3conv")),
    ("hat", {}),
    ("hat", dict(attention="mixed", feed_forward="frfn")),
  ],
)
@pytest.mark.parametrize("head", ["liif", "lte"])
def test_files_hold_any_trunk(head, encoder, options):
  own = {**_SMALL[encoder], **options}
  del own["scale"]
  kwargs = dict(channels=2, hidden=(6,), encoder=encoder, encoder_options=own)
  shapes = checkpoints.parameter_shapes(head, kwargs)
  random = np.random.default_rng(0)
  drawn = {p: random.normal(size=s).astype("f4") for p, s in shapes.items()}
  params = traverse_util.unflatten_dict(drawn, sep="/")
  tensors = interop.to_tensors(head, kwargs, {"params": params})
  imported = interop.from_tensors(tensors)
  assert imported.name == head
  assert own.items() <= imported.kwargs["encoder_options"].items()
  jax.tree.map(
    np.testing.assert_array_equal, imported.variables["params"], params
  )


def test_features_lie_on_the_grid_of_the_input():
  for encoder in ("swinir", "hat"):
    module = encoders.make(encoder, _SMALL[encoder])
    made, _ = jax.eval_shape(
      module.init_with_output, jax.random.key(0), jnp.zeros((1, 5, 7, 2))
    )
    assert made.shape == (1, 5, 7, 8)
