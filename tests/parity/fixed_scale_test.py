"""The networks of one scale: as published, and as all are called."""

import json

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import interop, models
from hinote_jax.core import grids
from hinote_jax.interop import attributes, checkpoints, layout
from tests import trials
from tests.parity import reference

# How the HiNOTE repository builds them, with what its files do not tell.
_CASES = [
  ("SRCNN", {}),
  ("ESPCN", {}),
  ("EDSR", {}),
  ("WDSR", {}),
  ("SwinIR", dict(img_size=(16, 24))),
  ("SwinIR_3conv_nearest", dict(img_size=16)),
  ("DFNO", {}),
]
_MEAN = (0.4488, 0.4371, 0.4040)
_SWINIR = dict(embed_dim=8, depths=(2, 3), num_heads=(2, 4), window_size=4)
_SMALL = {
  "srcnn": {},
  "espcn": {},
  "edsr": dict(width=8, blocks=1),
  "wdsr": dict(width=8, blocks=1),
  "swinir": dict(_SWINIR, depths=(2,), num_heads=(2,), num_feat=8),
  "dfno": dict(
    width=8,
    blocks=1,
    features=4,
    fourier_width=8,
    modes1=3,
    modes2=2,
    head_width=8,
  ),
}


def _listing(path):
  return json.loads(path.read_text())["keys"]


def _windows(module):
  lowres = np.random.default_rng(0).normal(size=(2, 6, 5, 1)).astype("f4")
  fine = grids.axes((6 * module.scale, 5 * module.scale))
  cell = np.tile(grids.cell_size(grids.query_shape(fine)), (2, 1))
  return lowres, fine, cell


@reference.needs_reference
@pytest.mark.parametrize(("name", "options"), _CASES)
def test_output_is_the_published_one(name, options):
  case = reference.case("hinote_baselines", name)
  imported = interop.from_tensors(case.tensors, **options)
  module = models.build(imported.name, **imported.kwargs)
  lowres = reference.to_ours(case.arrays["lr"])
  want = reference.to_ours(case.arrays["out"])
  run = jax.jit(lambda x: module.apply(imported.variables, x, method="enlarge"))
  got = run(lowres)
  reference.assert_close(got, want, reference.tolerance(case, want))


@reference.needs_reference
@pytest.mark.parametrize(("name", "options"), _CASES)
def test_there_and_back_changes_no_bit(name, options):
  tensors = reference.weights("hinote_baselines", name)
  imported = interop.from_tensors(tensors, **options)
  back = interop.to_tensors(*imported)
  for key, tensor in tensors.items():
    assert back[key].tobytes() == tensor.tobytes(), key
  # What PyTorch loads strictly: the constants too, and of those types.
  path = reference.ROOT / "hinote_baselines" / f"{name}.keys.json"
  assert {key: (list(t.shape), str(t.dtype)) for key, t in back.items()} == {
    key: (entry["shape"], entry["dtype"])
    for key, entry in _listing(path).items()
  }
  again = interop.from_tensors(back, **options)
  assert again[:2] == imported[:2]
  jax.tree.map(np.testing.assert_array_equal, again[2], imported[2])


@reference.needs_reference
def test_layouts_know_their_own_files_only():
  ours = {"srcnn", "espcn", "edsr", "wdsr", "swinir", "dfno"}
  for path in reference.ROOT.glob("*/*.keys.json"):
    shapes = {key: entry["shape"] for key, entry in _listing(path).items()}
    shapes = {key: tuple(shape) for key, shape in shapes.items()}
    stem = path.name.split(".")[0].split("_")[0].lower()
    want = {stem} & ours if path.parent.name == "hinote_baselines" else set()
    assert {n for n in ours if layout.layouts()[n].matches(shapes)} == want, (
      path
    )


@reference.needs_reference
def test_rcan_is_not_taken_for_edsr():
  tensors = reference.weights("liif", "rcan_small_x2")
  with pytest.raises(ValueError, match="of no network known here"):
    interop.from_tensors(tensors)


@pytest.mark.parametrize(
  ("name", "count"),
  # As the configurations of the HiNOTE repository have them.
  [
    ("srcnn", 57_281),
    ("espcn", 233_936),
    ("edsr", 1_515_265),
    ("wdsr", 1_338_288),
  ],
)
def test_defaults_are_the_published_sizes(name, count):
  shapes = checkpoints.parameter_shapes(name, {})
  assert sum(int(np.prod(shape)) for shape in shapes.values()) == count


def _drawn(name, kwargs):
  random = np.random.default_rng(0)
  shapes = checkpoints.parameter_shapes(name, kwargs)
  drawn = {p: random.normal(size=s).astype("f4") for p, s in shapes.items()}
  return {"params": traverse_util.unflatten_dict(drawn, sep="/")}


@pytest.mark.parametrize(
  ("name", "kwargs", "options"),
  [
    (
      "srcnn",
      dict(scale=3, channels=3, registration="nodes"),
      dict(upscale_factor=3),
    ),
    ("espcn", dict(scale=3, channels=2), {}),
    (
      "wdsr",
      dict(
        scale=2,
        channels=3,
        width=6,
        blocks=2,
        expansion=3,
        periodic=(True, True),
      ),
      {},
    ),
    (
      "dfno",
      dict(scale=2, blocks=2, modes1=3, modes2=2, layers=4, head_width=16),
      dict(upscale_factor=2),
    ),
    *(
      ("swinir", dict(_SWINIR, scale=scale, channels=c, **kinds), {})
      for scale, c, kinds in (
        (1, 1, dict(upsampler="", window_size=7, img_size=(126, 126))),
        (2, 1, dict(upsampler="nearest+conv", img_size=(8, 12))),
        (
          4,
          3,
          dict(upsampler="nearest+conv", resi_connection="3conv", mean=_MEAN),
        ),
        (2, 3, dict(img_size=(48, 48), mean=_MEAN)),
        (3, 1, dict(mlp_ratio=29 / 8)),
        (8, 1, dict(num_feat=16)),
        (3, 2, dict(upsampler="pixelshuffledirect")),
      )
    ),
  ],
)
def test_files_tell_what_they_are(name, kwargs, options):
  """Any model that is written is recognised, with all its attributes."""
  variables = _drawn(name, kwargs)
  tensors = interop.to_tensors(name, kwargs, variables)
  imported = interop.from_tensors(tensors, **options)
  assert imported.name == name
  assert models.build(name, **imported.kwargs) == models.build(name, **kwargs)
  jax.tree.map(np.testing.assert_array_equal, imported.variables, variables)


@pytest.mark.parametrize(
  ("name", "kwargs", "words"),
  [
    ("srcnn", {}, "registration='cells' is .*, which has registration='nodes'"),
    ("wdsr", {}, r"periodic=\(False, False\) is .* periodic=\(True, True\)"),
    ("swinir", dict(channels=3), r"mean=\(\) is .* mean=\(0.4488, 0.4371"),
    ("swinir", dict(mean=(0.5,)), r"mean=\(0.5,\) is .* mean=\(\)"),
  ],
)
def test_another_network_than_the_published_is_not_written(name, kwargs, words):
  kwargs = dict(models.spec(name).tiny, **kwargs)
  with pytest.raises(ValueError, match=f"{name} with {words}.*read as another"):
    interop.to_tensors(name, kwargs, _drawn(name, kwargs))


_HAT = dict(img_range=2.0, conv_scale=0.1)


@pytest.mark.parametrize(
  ("name", "kwargs", "options"),
  [
    ("edsr", dict(residual_scale=0.5), dict(res_scale=0.5)),
    ("dfno", {}, dict(upscale_factor=2)),
    # Of twelve channels 30 and 12 times fewer leave one.
    ("hat", _HAT, _HAT),
    # No layer has `num_feat` channels.
    ("swinir", dict(upsampler="pixelshuffledirect"), {}),
  ],
)
def test_what_options_and_shapes_tell_is_written(name, kwargs, options):
  kwargs = dict(models.spec(name).tiny, **kwargs)
  tensors = interop.to_tensors(name, kwargs, _drawn(name, kwargs))
  read = interop.from_tensors(tensors, **options)
  own, found = attributes.of(name, kwargs), attributes.of(name, read.kwargs)
  assert not attributes.differing(own, found)
  if options:  # which the tensors do not tell
    other = attributes.of(name, interop.from_tensors(tensors).kwargs)
    assert attributes.differing(own, other)


def test_swinir_of_another_img_size_or_one_window_is_refused():
  kwargs = dict(_SWINIR, scale=2, img_size=(12, 8))
  tensors = interop.to_tensors("swinir", kwargs, _drawn("swinir", kwargs))
  # 6 windows are taken for 2 by 3, until it is told better.
  with pytest.raises(ValueError, match="attn_mask .* not the constant"):
    interop.from_tensors(tensors)
  told = interop.from_tensors(tensors, beside=dict(img_size=[12, 8]))
  assert told.kwargs["img_size"] == (12, 8)
  tensors = {k: t for k, t in tensors.items() if "attn_mask" not in k}
  with pytest.raises(ValueError, match="img_size is one window"):
    interop.from_tensors(tensors)


@pytest.mark.parametrize(
  "name", trials.apart_from(lambda name: name != "dfno", sorted(_SMALL))
)
def test_own_scale_is_the_network_bit_by_bit_and_a_step_lowers_a_loss(name):
  module = models.build(name, scale=2, **_SMALL[name])
  inputs = _windows(module)
  variables = jax.jit(module.init)(jax.random.key(0), *inputs)
  grid = module.apply(variables, inputs[0], method="enlarge")
  np.testing.assert_array_equal(module.apply(variables, *inputs), grid)
  target = 0.1 * np.random.default_rng(1).normal(size=grid.shape)

  @jax.jit
  def loss_and_slope(variables):
    def loss(variables):
      pred = module.apply(variables, *inputs)
      return jnp.mean((pred - target) ** 2)

    return jax.value_and_grad(loss)(variables)

  before, slope = loss_and_slope(variables)
  # Every parameter takes part; a step of this length lowers it as predicted.
  assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(slope))
  square = sum(float(np.sum(leaf**2)) for leaf in jax.tree.leaves(slope))
  rate = 0.01 * float(before) / square
  lowered = jax.tree.map(lambda p, g: p - rate * g, variables, slope)
  after, _ = loss_and_slope(lowered)
  assert float(before - after) == pytest.approx(0.01 * float(before), rel=0.2)
