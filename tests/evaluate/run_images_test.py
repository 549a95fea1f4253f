"""Evaluation of networks on images from the command line's side."""

import json
import pathlib
import sys
import types
from unittest import mock

from flax import linen as nn
import numpy as np
from PIL import Image
import pytest

from configs import hinote
from configs import images as configs
import hinote_jax
from hinote_jax import infer, main, models
from hinote_jax.core import resize
from hinote_jax.evaluate import run_images as run
from hinote_jax.infer import units
from hinote_jax.train import loop as train

_SET5 = pathlib.Path(__file__).resolve().parents[3] / "shared/data/natural/Set5"


@pytest.fixture
def folder(tmp_path):
  path = tmp_path / "photos"
  path.mkdir()
  y, x = np.mgrid[:36, :40]
  for i in range(2):
    waves = [np.sin(0.3 * (c + 1) * x + 0.2 * y * i) for c in range(3)]
    image = np.stack(waves, -1) * 100 + 128
    Image.fromarray(image.astype(np.uint8)).save(path / f"{i}.png")
  return path


def _config(folder, **changes):
  config = configs.get_config()
  config.data.path = str(folder)
  config.scales = (2,)
  for name, value in changes.items():
    config[name] = value
  return config


def _read(workdir):
  return json.loads((workdir / "report.json").read_text())


def test_evaluates_names_and_writes_the_report(folder, tmp_path, capsys):
  config = _config(folder, checkpoint=("nearest",), scales=(2, 2.5))
  path = run.evaluate(config, tmp_path / "out")
  assert path == tmp_path / "out" / "report.md"
  found = _read(tmp_path / "out")
  assert found["header"]["models"] == ["nearest", "bicubic"]
  assert found["header"]["checkpoints"] == {}
  assert {"jax", "pillow"} <= set(found["header"]["versions"])
  mean = {(row["scale"], row["model"]): row["psnr"] for row in found["means"]}
  assert all(mean[s, "bicubic"] > mean[s, "nearest"] + 1 for s in (2.0, 2.5))
  said = capsys.readouterr().out
  assert "Protocol `benchmark_luma`: PSNR" in said
  assert f"{mean[2.0, 'bicubic']:.2f} / " in said
  assert str(path) in said


def test_a_workdir_is_of_one_config(folder, tmp_path):
  config = _config(folder)
  run.evaluate(config, tmp_path / "out")
  run.evaluate(config, tmp_path / "out")
  config.scales = (3,)
  with pytest.raises(ValueError, match="another config .scales"):
    run.evaluate(config, tmp_path / "out")


@pytest.mark.parametrize(
  "changes, message",
  [
    ({"protocol": "div2k"}, "protocol 'div2k'; did you mean 'div2k_rgb'"),
    ({"against": ("bicubik",)}, "'bicubik'; did you mean 'bicubic'"),
    ({"normalisation": "centered"}, "'centered'; did you mean 'centred'"),
    ({"options": ("heads",)}, "an option is name=value, got 'heads'"),
    ({"scales": (2, 0.5)}, "a scale below 1, 0.5"),
    ({"checkpoint": ("runs/none",)}, "runs/none' is not a workdir"),
    ({"against": ()}, "nothing to evaluate: 0 models"),
  ],
)
def test_mistakes_are_one_sentence(folder, tmp_path, changes, message):
  with pytest.raises((ValueError, OSError), match=message):
    run.evaluate(_config(folder, **changes), tmp_path / "out")
  run.evaluate(_config(folder), tmp_path / "out")  # the workdir is free still


def test_main_knows_the_task(tmp_path):
  config = configs.get_config()
  modes = main._modes(config)
  assert modes["evaluate"] is run.evaluate
  with pytest.raises(ValueError, match="trains none: add --mode=evaluate"):
    modes["train"](config, tmp_path)
  modes = main._modes(hinote.get_config())
  assert modes["train"] is train.train_and_evaluate
  assert modes["evaluate"] is train.evaluate


def test_config_takes_a_protocol():
  assert configs.get_config("div2k_rgb").protocol == "div2k_rgb"
  assert configs.get_config("").protocol == "benchmark_luma"
  with pytest.raises(AttributeError):
    configs.get_config().scale = 2


class _Net(nn.Module):
  """Bilinear, plus a tenth in its own units."""

  channels: int = 3
  periodic: tuple[bool, bool] = (False, False)

  @nn.compact
  def __call__(self, lowres, coords, cell):
    del cell
    return 0.1 + resize.sample(lowres, coords, method="linear")


@pytest.fixture
def published(tmp_path):
  """A file of a network called "srno", and what it was loaded with."""
  path = tmp_path / "srno.pth"
  path.write_bytes(b"")
  asked = []

  def load_checkpoint(path, **options):
    asked.append((str(path), options))
    return types.SimpleNamespace(
      name="srno", kwargs={"channels": 3}, variables={}
    )

  fake = types.SimpleNamespace(load_checkpoint=load_checkpoint)
  build = models.build

  def build_fake(name, **kwargs):
    return _Net(**kwargs) if name == "srno" else build(name, **kwargs)

  with (
    mock.patch.dict(sys.modules, {"hinote_jax.interop": fake}),
    mock.patch.object(hinote_jax, "interop", fake, create=True),
    mock.patch.object(models, "build", build_fake),
  ):
    yield path, asked


@pytest.mark.parametrize(
  "normalisation, off", [(None, 0.05), ("centred", 0.05), ("unit", 0.1)]
)
def test_published_files_have_their_units(published, normalisation, off):
  path, asked = published
  predict = infer.load(path, normalisation=normalisation, heads=4)
  assert asked == [(str(path), {"heads": 4})]
  lowres = np.random.default_rng(0).uniform(size=(5, 6, 3)).astype(np.float32)
  plain = infer.load("bilinear")(lowres, scale=2)
  # A tenth of what the network sees is half of that in [0, 1] where centred.
  np.testing.assert_allclose(predict(lowres, scale=2), plain + off, atol=1e-6)


def test_published_files_stand_in_the_table(published, folder, tmp_path):
  path, _ = published
  config = _config(folder, checkpoint=(str(path),), against=("bilinear",))
  run.evaluate(config, tmp_path / "out")
  found = _read(tmp_path / "out")
  assert found["header"]["models"] == ["srno", "bilinear"]
  assert found["header"]["checkpoints"] == {"srno": str(path)}
  rows = {r["model"]: r for r in found["rows"] if r["image"] == "0.png"}
  assert rows["srno"]["psnr"] < rows["bilinear"]["psnr"]


def test_files_of_one_name_are_told_apart(published, folder, tmp_path):
  path, _ = published
  other = tmp_path / "again" / "srno.pth"
  other.parent.mkdir()
  other.write_bytes(b"")
  config = _config(folder, checkpoint=(str(path), str(other)), against=())
  run.evaluate(config, tmp_path / "out")
  models_ = _read(tmp_path / "out")["header"]["models"]
  assert models_ == [str(path), str(other)]


def test_centred_units_are_undone():
  x = np.linspace(0.0, 1.0, 5)
  centred = units.UNIT_CENTRED.normalise(x)
  np.testing.assert_allclose(centred, [-1, -0.5, 0, 0.5, 1])
  np.testing.assert_allclose(units.UNIT_CENTRED.denormalise(centred), x)


def test_units_follow_the_network():
  for model in ("liif", "lte", "metasr", "srno"):
    assert units.normaliser(model, 3) is units.UNIT_CENTRED
    assert units.normaliser(model, 1) is None  # of fields
    assert units.normaliser(model, 3, "unit") is None
  assert units.normaliser("edsr", 3) is None
  assert units.normaliser("edsr", None, "centred") is units.UNIT_CENTRED


@pytest.mark.skipif(not _SET5.is_dir(), reason=f"no images at {_SET5}")
def test_bicubic_on_set5_has_its_published_psnr(tmp_path):
  photos = tmp_path / "photos"
  photos.mkdir()
  (photos / "butterfly.png").symlink_to(_SET5 / "butterfly.png")
  run.evaluate(_config(photos), tmp_path / "out")
  (mean,) = _read(tmp_path / "out")["means"]
  # 27.43 dB in the tables of single images, which round to 8 bits.
  assert mean["psnr"] == pytest.approx(27.43, abs=0.02)
