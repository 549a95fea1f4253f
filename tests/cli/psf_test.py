"""What blurred an input: --psf and --noise, and networks that take them."""

import re

import jax
import numpy as np
import pytest

from hinote_jax import fields, infer, interop, models
from hinote_jax.core import grids
from hinote_jax.data import normalise
from hinote_jax.degradations import psf
from hinote_jax.infer import blurred, jobs, upscaling
from tests import upscale_command

_KWARGS = dict(
  size="tiny", iterations=1, widths=(4, 4), hyper_width=4, channels=1
)
_LOWRES = np.random.default_rng(0).random((10, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Holds a network of random weights, an input and kernels."""
  path = tmp_path_factory.mktemp("psf")
  module = models.build("usrnet", **_KWARGS, scale=2)
  given = _LOWRES[None, ..., None], grids.axes((20, 24))
  variables = jax.jit(module.init)(
    jax.random.key(0), *given, grids.cell_size((20, 24))[None]
  )
  interop.save_torch(path / "usrnet.pth", "usrnet", _KWARGS, variables)
  np.save(path / "in.npy", _LOWRES)
  kernel = np.zeros((3, 4))
  kernel[:2, 1:] = [[1, 2, 1], [0, 9, 1]]
  bad = {
    "psf": kernel,
    "large": np.ones((41, 3)),
    "zeros": np.zeros((3, 3)),
    "negative": -np.ones((3, 3)),
    "nan": np.full((3, 3), np.nan),
    "channels": np.ones((3, 3, 2)),
    "line": np.ones(5),
  }
  for name, values in bad.items():
    np.save(path / f"{name}.npy", values)
  (path / "text.npy").write_text("a picture")
  return path


def _run(folder, *options, scale="2", checkpoint="usrnet.pth"):
  if checkpoint.endswith(".pth"):
    checkpoint = folder / checkpoint
  return upscale_command.run(
    folder / "in.npy",
    folder / "out.npy",
    "--scale",
    scale,
    "--checkpoint",
    checkpoint,
    "--overwrite",
    *options,
  )


def test_the_command_is_the_network_told_of_the_blur(folder, capfd):
  options = "--psf", folder / "psf.npy", "--noise", "0.01"
  assert _run(folder, *options) == 0
  said = capfd.readouterr()
  assert "divided by its sum 14 and moved by" in said.out + said.err
  predictor = infer.load(folder / "usrnet.pth")
  kernel, _ = psf.read(str(folder / "psf.npy"))
  extras = {"kernel": np.float32(kernel), "noise": np.float32(0.01)}
  want = predictor(_LOWRES, scale=2, extras=extras)
  got = np.load(folder / "out.npy")
  np.testing.assert_allclose(got, want, atol=1e-5)
  tiled = predictor(_LOWRES, scale=2, extras=extras, memory="2GB", side=12)
  np.testing.assert_allclose(tiled, want, atol=1e-5)
  assert np.abs(predictor(_LOWRES, scale=2) - want).max() > 1e-3


def test_a_kernel_is_centred_and_sums_to_one(folder):
  kernel, said = psf.read(str(folder / "psf.npy"))
  assert kernel.shape == (3, 5) and kernel.sum() == pytest.approx(1.0)
  np.testing.assert_allclose(
    14 * kernel, [[0, 1, 2, 1, 0], [0, 0, 9, 1, 0], [0] * 5]
  )
  assert "3 x 4 cells" in said
  kernel, _ = psf.read("gaussian(1.2)")
  np.testing.assert_allclose(kernel, kernel[::-1, ::-1])
  ratio = kernel[5, 6] / kernel[5, 5]
  assert ratio == pytest.approx(np.exp(-0.5 / 1.44))


def test_a_fractional_scale_says_what_happens(folder, capfd):
  assert _run(folder, "--psf", "gaussian(0.8)", scale="1.5") == 0
  said = capfd.readouterr()
  assert "wants whole scales, not 1.5 x 1.5" in said.out + said.err


def test_noise_is_in_the_units_of_the_values(folder):
  predictor = infer.load(folder / "usrnet.pth")
  np.save(folder / "bytes.npy", np.uint8(255 * _LOWRES))
  for name, noise, want in (("in", 0.01, 0.01), ("bytes", 2.55, 0.01)):
    options = upscaling.Options(blur=blurred.Blur.of(None, noise))
    request = jobs.Request(
      str(folder / f"{name}.npy"), "out.npy", "", scale=2, options=options
    )
    job = jobs.Job(request, predictor)
    (said,) = job.notes()
    assert re.search(f"{noise} in .*, {want} in units of the network$", said)
    variables = job.reader.header.variables
    assert blurred.units(predictor.of(variables), 1) * noise == pytest.approx(
      want
    )


def test_noise_of_a_run_is_divided_by_its_deviations():
  stats = normalise.Normaliser((280.0, 1.0), (10.0, 2.0), (0, 0), (300, 9))
  variables = fields.Variable("t2m", units="K"), fields.Variable("wind")
  predictor = infer.Predictor(models.build("bicubic"), {}, normaliser=stats)
  units = blurred.units(predictor, 2)
  np.testing.assert_allclose(units, [0.1, 0.5])
  lines = (grids.cell_line(4, 8),) * 2
  for noise, told in ((0.5, (0.05, 0.25)), ((2.0, 0.4), (0.2, 0.2))):
    blur = blurred.Blur.of(None, noise)
    want = np.sqrt(np.mean(np.square(told)))
    assert blur.extras(units)["noise"] == pytest.approx(want)
    (said,) = blur.notes(lines, variables, units)
    assert ("root mean square" in said) == (told[0] != told[1])
  assert " K in t2m, 0.2 in units of the network, 0.4 in wind, 0.2" in said
  blur = blurred.Blur.of(None, (1.0, 2.0, 3.0))
  with pytest.raises(ValueError, match="3 numbers and the input 2 variables"):
    blur.require(("noise",), (8, 8), 2)


@pytest.mark.parametrize(
  "options, said",
  [
    (("--psf", "large.npy"), "41 x 3 cells is larger than the result of 20"),
    (("--psf", "zeros.npy"), "cannot be made to sum to 1: .* sum to 0"),
    (("--psf", "negative.npy"), "cannot be made to sum to 1: .* sum to -9"),
    (("--psf", "nan.npy"), "no finite numbers"),
    (("--psf", "channels.npy"), "kernel has 2 channels and the input 1"),
    (("--psf", "line.npy"), r"has the shape \(5,\): it must have two sides"),
    (("--psf", "text.npy"), "text.npy cannot be read"),
    (("--psf", "gone.npy"), "gone.npy cannot be read"),
    (("--psf", "gaussian(-1)"), r"gaussian\(-1\): write gaussian\(deviation"),
    (("--psf", "gaussian(wide)"), "write gaussian"),
    (("--noise", "-0.1"), "not below 0, got -0.1"),
    (("--noise", "nan"), "not below 0, got nan"),
  ],
)
def test_bad_input_is_one_sentence(folder, capfd, options, said):
  name, value = options
  if value.endswith(".npy"):
    value = folder / value
  assert _run(folder, f"{name}={value}") == 2
  error = capfd.readouterr().err
  assert "Traceback (" not in error
  assert re.search(said, error), error


def test_networks_that_take_no_blur_say_so(folder, capfd):
  assert _run(folder, "--noise", "0.1", checkpoint="bicubic") == 2
  assert "takes no noise: leave --noise out" in capfd.readouterr().err
