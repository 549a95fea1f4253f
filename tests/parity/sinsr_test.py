"""SinSR and ResShift against runs of the published code, and their files."""

import functools
import json

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hinote_jax import interop, models
from hinote_jax.interop import rules
from hinote_jax.models.diffusion import schedule, sinsr_weights, unet
from tests import trials
from tests.parity import reference

pytestmark = reference.needs_reference
_UNETS = [
  *reference.cases("sinsr", "unet_*"),
  *reference.cases("sinsr", "resshift_unet*"),
]
_QUICK = trials.apart_from(
  "unet_tiny_a__32x48_batch".__eq__,
  _UNETS,
)
_VQS = trials.apart_from(
  "vq_tiny__32x32".__eq__, reference.cases("sinsr", "vq_*")
)
_SCHEDULE = dict(
  steps="steps",
  kappa="kappa",
  power="power",
  min_noise="min_noise_level",
  end="etas_end",
)


@functools.cache
def _coder():
  tensors = reference.weights("sinsr", "vq_tiny")
  return {f"autoencoder.{name}": t for name, t in tensors.items()}


def _imported(tensors, **options):
  return interop.from_tensors({**tensors, **_coder()}, **options)


def _apply(imported, method, *args, **changed):
  module = models.build(imported.name, **imported.kwargs).clone(**changed)

  @jax.jit
  def run(variables, *args):
    return module.apply(variables, *args, method=method)

  return run(imported.variables, *args)


def _ours(array):
  return jnp.asarray(reference.to_ours(array))


def _assert(got, want, error):
  most = max(2e-5 * float(want.std()), 10.0 * float(error))
  reference.assert_close(got, want, most)


@pytest.mark.parametrize("name", _QUICK)
def test_diffusion_is_the_published_one(name):
  case = reference.case("sinsr", name)
  config, options = case.meta["config"], {}
  options["image_size"] = config["image_size"]
  if config["resblock_updown"]:
    options |= dict(resblock_updown=True, num_res_blocks=1)
  shapes = {name: t.shape for name, t in case.tensors.items()}
  kwargs = sinsr_weights.unet_arguments(shapes, **options)
  network = unet.UNet(**kwargs)
  inputs = (
    _ours(case.arrays["x"]),
    jnp.asarray(case.arrays["t"], jnp.float32),
    _ours(case.arrays["lq"]),
  )
  made = jax.eval_shape(network.init, jax.random.key(0), *inputs)["params"]
  flat = traverse_util.flatten_dict(dict(made), sep="/")
  expected = {f"net/{path}": leaf.shape for path, leaf in flat.items()}
  table = sinsr_weights.LAYOUT.rules(unet=kwargs)
  constants = sinsr_weights.LAYOUT.constants(unet=kwargs)
  params = rules.load(case.tensors, table, expected, constants=constants)
  got = jax.jit(network.apply)({"params": params["net"]}, *inputs)
  want = reference.to_ours(case.arrays["out"])
  _assert(got, want, case.meta["f32_vs_f64"]["maxabs"])
  back = rules.save(params, table, constants=constants)
  assert set(back) >= set(case.tensors)
  for key, tensor in case.tensors.items():
    np.testing.assert_array_equal(back[key], tensor, err_msg=key)


@pytest.mark.parametrize("name", _VQS)
def test_autoencoder_is_the_published_one(name):
  case = reference.case("sinsr", name)
  tensors = {f"autoencoder.{n}": t for n, t in case.tensors.items()}
  rest = reference.weights("sinsr", "unet_tiny_a")
  imported = interop.from_tensors({**rest, **tensors})
  coder = _autoencoder(imported)
  params = {"params": imported.variables["params"]["coder"]}

  @jax.jit
  def run(params, image):
    z = coder.apply(params, image, method="encode")
    words = coder.apply(params, z, method="words")
    outs = [
      coder.apply(params, z, quantised, method="decode")
      for quantised in (True, False)
    ]
    return z, words, coder.apply(params, z, method="quantise"), *outs

  z, words, quantised, out, plain = run(params, _ours(case.arrays["image"]))
  _assert(
    z, reference.to_ours(case.arrays["z"]), case.meta["z_f32_vs_f64"]["maxabs"]
  )
  np.testing.assert_array_equal(words, case.arrays["indices"])
  error = case.meta["f32_vs_f64"]["maxabs"]
  for got, key in (
    (quantised, "quant"),
    (out, "out"),
    (plain, "out_noquant"),
  ):
    _assert(got, reference.to_ours(case.arrays[key]), error)
  back = interop.to_tensors(*imported)
  for key, tensor in tensors.items():
    np.testing.assert_array_equal(back[key], tensor)


def _autoencoder(imported):
  from hinote_jax.models.diffusion import autoencoder

  return autoencoder.Autoencoder(**imported.kwargs["autoencoder"])


def test_schedules_are_the_published_ones():
  meta = json.loads(
    (reference.ROOT / "sinsr" / "schedule.meta.json").read_text()
  )
  arrays = reference.arrays("sinsr", "schedule")
  for name, config in meta["cases"].items():
    config = {**config, **config["schedule_kwargs"]}
    ours = schedule.Schedule(
      **{own: config[there] for own, there in _SCHEDULE.items()},
      respacing=config["timestep_respacing"] or 0,
    )
    k, m, j = ours.deterministic()
    a, b, s = ours.stochastic()
    for key, got in {
      "sqrt_etas": ours.roots,
      "etas": ours.etas,
      "etas_prev": ours.previous,
      "k_f64": k,
      "m_f64": m,
      "j_f64": j,
      "posterior_mean_coef1": a,
      "posterior_mean_coef2": b,
      "posterior_variance": s**2,
    }.items():
      want = arrays[f"{name}:{key}"]
      np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(ours.times, arrays[f"{name}:model_t"])
    if config["latent_flag"]:
      want = arrays[f"{name}:input_scale"]
      np.testing.assert_allclose(ours.input_scale, want, rtol=2e-7)
  arrays = reference.arrays("sinsr", "resshift_schedule")
  for name, changed in (("s15", {}), ("s4", dict(steps=4, min_noise=0.2))):
    ours = schedule.Schedule(is_bounded=False, **changed)
    want = arrays[f"{name}:sqrt_etas"]
    np.testing.assert_allclose(ours.roots, want, rtol=1e-12)


def _one_step(module, lowres, drawn):
  """Returns what SinSR does with noise that is given."""
  padded, y = module.latent(lowres)
  x = module.begin(y, drawn)
  (z,) = module.sample(x, y, padded)
  h, w = lowres.shape[1:3]
  return y, x, z, module.finish(z)[:, : 4 * h, : 4 * w]


@pytest.mark.parametrize(
  ("name", "multiple"),
  [
    ("sinsr_onestep__32x32", 32),
    pytest.param("sinsr_onestep__40x52", 64, marks=pytest.mark.trial),
  ],
)
def test_one_step_is_the_published_one(name, multiple):
  arrays = reference.arrays("sinsr", name)
  imported = _imported(reference.weights("sinsr", "unet_tiny_a"))
  lowres = 2.0 * _ours(arrays["lq01"]) - 1.0
  args = lowres, _ours(arrays["noise"])
  *got, out = _apply(imported, _one_step, *args, multiple=multiple)
  for value, key in zip(got, ("z_y", "x_T", "z0"), strict=True):
    _assert(value, reference.to_ours(arrays[key]), 6e-6)
  _assert(out, reference.to_ours(arrays["out"]), 9.3e-6)


@pytest.mark.parametrize(
  "kind", trials.apart_from("ddim".__eq__, ["ddim", "ddpm"])
)
def test_fifteen_steps_are_the_published_ones(kind):
  arrays = reference.arrays("sinsr", f"resshift15_{kind}")
  imported = _imported(reference.weights("sinsr", "unet_tiny_a"))

  def run(module, lowres, first, drawn):
    padded, y = module.latent(lowres)
    latents = module.sample(module.begin(y, first), y, padded, drawn)
    return latents, module.coder.decode(latents[-1])

  first, *rest = map(_ours, arrays["noise"])
  drawn = jnp.stack(rest) if rest else None
  args = _ours(arrays["lq"]), first, drawn
  latents, out = _apply(imported, run, *args, steps=15, multiple=16)
  for got, want in zip(latents, arrays["samples"], strict=True):
    _assert(got, reference.to_ours(want), 1.1e-5)
  _assert(out, reference.to_ours(arrays["out"]), 6.6e-6)


@pytest.mark.trial
def test_distillation_is_the_published_one():
  arrays = reference.arrays("sinsr", "distill_main")
  imported = _imported(reference.weights("sinsr", "unet_tiny_a"), multiple=16)
  module = models.build(imported.name, **imported.kwargs)
  names = ("lq", "gt", "noise", "z_start_teacher")
  args = [_ours(arrays[name]) for name in names]

  @jax.jit
  def run(params):
    def loss(net):
      variables = {"params": {**params, "net": net}}
      terms = module.apply(variables, *args, method="distil")
      return sum(terms.values()).mean(), terms

    gradient, terms = jax.grad(loss, has_aux=True)(params["net"])
    return terms, optax.tree.norm(gradient)

  terms, norm = run(imported.variables["params"])
  pairs = {"taught": "mse", "back": "mse_xT", "true": "mse_gt"}
  for ours, theirs in pairs.items():
    want = arrays[f"term_f64:{theirs}"]
    np.testing.assert_allclose(terms[ours], want, rtol=1e-5)
  np.testing.assert_allclose(norm, 7.486981236008939, rtol=1e-4)


def test_overlapping_crops_are_averaged_as_published():
  arrays = reference.arrays("sinsr", "sinsr_tiles")
  imported = _imported(
    reference.weights("sinsr", "unet_tiny_a"), crop=32, stride=24, multiple=16
  )
  module = models.build(imported.name, **imported.kwargs)
  lowres = 2.0 * _ours(arrays["lq01"]) - 1.0
  starts = [module.crops.starts(n) for n in lowres.shape[1:3]]
  want = [(y, x) for y in starts[0] for x in starts[1]]
  assert want == [tuple(start) for start in arrays["starts"].tolist()]
  crop = jax.jit(
    lambda v, x, drawn: module.apply(v, x, drawn, method=_one_step)[-1]
  )
  total, count = np.zeros((160, 224, 3)), np.zeros((160, 224, 1))
  for (y, x), drawn in zip(want, arrays["noise"], strict=True):
    one = lowres[:, y : y + 32, x : x + 32]
    place = slice(4 * y, 4 * y + 128), slice(4 * x, 4 * x + 128)
    total[place] += crop(imported.variables, one, _ours(drawn))[0]
    count[place] += 1.0
  want = reference.to_ours(arrays["out"])[0]
  _assert(total / count / 2.0 + 0.5, want, 2.6e-6)


def test_published_sizes():
  from hinote_jax.interop import checkpoints

  shapes = checkpoints.parameter_shapes("sinsr", {})
  counts = dict.fromkeys(("net", "coder"), 0)
  for path, shape in shapes.items():
    counts[path.partition("/")[0]] += int(np.prod(shape))
  assert counts == {"net": 118_593_583, "coder": 55_322_782}
