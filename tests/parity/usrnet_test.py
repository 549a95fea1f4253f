"""USRNet as published: hyper-parameters, both steps, whole networks, files."""

import jax
import numpy as np
import pytest

from hinote_jax import interop, models
from tests import trials
from tests.parity import reference

_CASES = reference.cases("usrnet", "usrnet_*")
# Samples at corners, a convolution that goes around and a prior that does not.
_AS_PUBLISHED = dict(registration="corner", walls="wrap")


def _options(case):
  modes = ("act_mode", "downsample_mode")
  return {name: case.meta["config"][name] for name in modes}


# Every network once, every scale once.
_QUICK = (
  "usrnet_tiny_official__x3_11x14",
  "usrnet_small__x2_16x24",
  "usrnet_small_leaky_px__x4_12x10",
)


@reference.needs_reference
@pytest.mark.parametrize("name", trials.apart_from(_QUICK.__contains__, _CASES))
def test_published_network(name):
  case = reference.case("usrnet", name)
  imported = interop.from_tensors(
    case.tensors, **_options(case), **_AS_PUBLISHED
  )
  module = models.build(imported.name, **imported.kwargs)
  lowres, kernel = (reference.to_ours(case.arrays[n]) for n in ("lr", "kernel"))
  scale = (case.meta["scale"],) * 2

  @jax.jit
  def run(lowres, kernel, noise):
    args = lowres, scale, kernel, noise
    return module.apply(imported.variables, *args, taps=True, method="enlarge")

  noise = case.arrays["sigma"][:, 0, 0, 0]
  out, hyper, (data0, prior0, *_) = run(lowres, kernel, noise)
  want = case.arrays["hyper"][:, :, 0, 0]
  np.testing.assert_allclose(hyper.reshape(want.shape), want, rtol=2e-5)
  for got, tap in ((data0, "data0"), (prior0, "prior0"), (out, "out")):
    want = reference.to_ours(case.arrays[tap])
    reference.assert_close(got, want, reference.tolerance(case, want))
  back = interop.to_tensors(*imported)
  assert set(back) == set(case.tensors)
  for key, tensor in case.tensors.items():
    np.testing.assert_array_equal(back[key], tensor)


def test_published_sizes():
  from hinote_jax.interop import checkpoints

  for size, count in (("full", 17_016_016), ("tiny", 590_332)):
    shapes = checkpoints.parameter_shapes(
      "usrnet", dict(size=size, channels=3, scale=2)
    )
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == count
