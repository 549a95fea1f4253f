"""Photographs by a network of one scale, from a file in its authors' layout."""

import jax
import numpy as np
from PIL import Image
import pytest

from hinote_jax import interop, models
from tests import upscale_command
from tests.infer import networks

_KWARGS = dict(
  networks.WINDOWS,
  channels=3,
  scale=4,
  depths=(1,),
  num_heads=(1,),
  mean=(0.4488, 0.4371, 0.4040),
)


@pytest.fixture
def files(tmp_path, monkeypatch):
  """Writes a photograph of 9 x 6 and a file of a small HAT; gives both."""
  monkeypatch.chdir(tmp_path)
  pixels = np.random.default_rng(0).integers(0, 256, (9, 6, 3), np.uint8)
  Image.fromarray(pixels).save("photo.png")
  module = models.build("hat", **_KWARGS)
  lowres = pixels[None] / np.float32(255.0)
  variables = networks.random_variables(module, lowres, method="enlarge")
  interop.save_torch("HAT_SRx4.pth", "hat", _KWARGS, variables)
  run = jax.jit(lambda x: module.apply(variables, x, method="enlarge"))
  return pixels, np.asarray(run(lowres)[0])


def test_a_photograph_at_the_scale_of_the_file(files):
  _, want = files
  asked = ("photo.png", "big.png", "--checkpoint", "HAT_SRx4.pth")
  assert upscale_command.run(*asked) == 0
  got = np.asarray(Image.open("big.png"), np.float32)
  assert got.shape == (36, 24, 3)
  np.testing.assert_allclose(got, 255.0 * want.clip(0, 1), atol=0.51)


def test_another_scale_names_those_there_are(files, capsys):
  asked = ("photo.png", "big.png", "--checkpoint", "HAT_SRx4.pth")
  assert upscale_command.run(*asked, "--scale", "2.5") == 2
  said = capsys.readouterr().err
  for words in ("4 times, not 2.56 and 2.5", "2, 3, 4", "encoder=hat"):
    assert words in said
