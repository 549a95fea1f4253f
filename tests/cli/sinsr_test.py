"""A published pair of files, upscaled in crops, whatever the memory."""

from flax import traverse_util
import numpy as np
import pytest

from hinote_jax import infer, interop, io, models
from hinote_jax.interop import checkpoints, torch_writer
from hinote_jax.models.diffusion import sinsr
from tests import upscale_command

_SMALL = dict(crop=16, stride=8, multiple=16)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
  """The two files of a small network, as its authors lay them out."""
  kwargs = dict(models.spec("sinsr").tiny)
  random = np.random.default_rng(0)
  shapes = checkpoints.parameter_shapes("sinsr", kwargs)
  flat = {
    path: (random.normal(size=s) / np.sqrt(max(1, np.prod(s[:-1])))).astype(
      "f4"
    )
    for path, s in shapes.items()
  }
  params = traverse_util.unflatten_dict(flat, sep="/")
  tensors = interop.to_tensors("sinsr", kwargs, {"params": params})
  folder = tmp_path_factory.mktemp("sinsr")
  halves = {"diffusion.pth": {}, "coder.pth": {}}
  for name, tensor in tensors.items():
    own = name.removeprefix("autoencoder.")
    halves["diffusion.pth" if own == name else "coder.pth"][own] = tensor
  for name, half in halves.items():
    torch_writer.write(folder / name, half)
  image = random.integers(0, 256, (24, 40, 3)).astype(np.uint8)
  np.save(folder / "image.npy", image)
  return folder


def _load(files, **options):
  path = files / "diffusion.pth"
  coder = files / "coder.pth"
  return infer.load(path, autoencoder=str(coder), **_SMALL, **options)


def test_memory_changes_no_bit(files):
  predictor = _load(files)
  image = np.load(files / "image.npy").astype(np.float32) / 255.0
  whole = predictor(image, scale=4)
  assert whole.shape == (96, 160, 3) and 0.1 < whole.std() < 1.0
  for memory in ("4GB", "700MB"):
    np.testing.assert_array_equal(
      predictor(image, scale=4, memory=memory), whole
    )
  # By hand: every crop alone, the mean where they overlap.
  module = predictor.module
  total, count = np.zeros((96, 160, 3)), np.zeros((96, 160, 1))
  for y in (0, 8):
    for x in (0, 8, 16, 24):
      place = slice(4 * y, 4 * y + 64), slice(4 * x, 4 * x + 64)
      one = 2.0 * image[None, y : y + 16, x : x + 16] - 1.0
      fine = _crop(module)(predictor.variables, one, np.array([y, x]))
      total[place] += np.asarray(fine)[0] / 2.0 + 0.5
      count[place] += 1.0
  np.testing.assert_allclose(whole, total / count, atol=1e-5)


def _crop(module, made={}):  # noqa: B006, one program for all
  import jax

  if module not in made:
    made[module] = jax.jit(
      lambda v, x, start: module.apply(v, x, start, method="enlarge")
    )
  return made[module]


def test_command_takes_both_files(files, tmp_path):
  source, path = files / "image.npy", tmp_path / "fine.npy"
  options = [f"{name}={value}" for name, value in _SMALL.items()]
  options.append(f"autoencoder={files / 'coder.pth'}")
  flags = [word for option in options for word in ("--option", option)]
  arguments = ["--checkpoint", str(files / "diffusion.pth"), *flags, "--quiet"]
  assert upscale_command.run(source, path, *arguments) == 0
  assert io.read(path).values.shape[-3:] == (96, 160, 3)


def test_noise_belongs_to_the_place():
  whole = sinsr.noise(3, np.array([0, 0]), (6, 7), 2)
  part = sinsr.noise(3, np.array([2, 3]), (4, 4), 2)
  np.testing.assert_array_equal(whole[:, 2:, 3:], part)
  other = sinsr.noise(4, np.array([0, 0]), (6, 7), 2)
  assert abs(np.corrcoef(np.ravel(whole), np.ravel(other))[0, 1]) < 0.4
  many = np.asarray(sinsr.noise(0, np.array([0, 0]), (60, 70), 1))
  assert abs(many.mean()) < 0.05 and abs(many.std() - 1.0) < 0.05


@pytest.mark.parametrize(
  ("n", "starts"), [(10, [0]), (16, [0]), (40, [0, 8, 16, 24]), (20, [0, 4])]
)
def test_crops_cover_an_axis(n, starts):
  assert sinsr.Crops(16, 8).starts(n) == starts


def test_refusals_name_what_is_missing(files):
  path = files / "diffusion.pth"
  with pytest.raises(ValueError, match="autoencoder=FILE, autoencoder_vq_f4"):
    infer.load(path)
  with pytest.raises(ValueError, match="enlarges 4 times, not 2"):
    _load(files)(np.ones((8, 8, 3), np.float32), scale=2)
  with pytest.raises(ValueError, match="a stride of 9 leaves gaps"):
    infer.load(path, autoencoder=str(files / "coder.pth"), crop=8, stride=9)
