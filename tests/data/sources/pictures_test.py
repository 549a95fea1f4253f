"""Tests of pictures: windows, depths, channels, and DIV2K."""

import io
from unittest import mock

import numpy as np
import pytest

from hinote_jax.data.sources import pictures
from tests.data import leaks

imagecodecs = pytest.importorskip("imagecodecs")
tifffile = pytest.importorskip("tifffile")


def _write(path, values):
  path.parent.mkdir(parents=True, exist_ok=True)
  if path.suffix == ".tif":
    tifffile.imwrite(path, values)
  elif path.suffix == ".jpg":
    path.write_bytes(imagecodecs.jpeg8_encode(values, level=100))
  else:
    path.write_bytes(imagecodecs.png_encode(values))
  return path


def _picture(owner, shape=(12, 16), channels=3, dtype=np.uint8):
  """A picture whose first channel is brighter for later owners."""
  rng = np.random.default_rng(owner)
  size = (*shape, channels) if channels > 1 else shape
  values = rng.integers(0, 10, size)
  values[..., :1] += 20 * owner
  if channels == 1:
    values = rng.integers(0, 10, shape) + 20 * owner
  return (values * (1 if dtype == np.uint8 else 257)).astype(dtype)


def _owner(values) -> int:
  return int(np.rint(values[..., 0] * 255).min()) // 20


def _folder(root, count=5, suffix=".png", **options):
  for k in range(count):
    _write(root / f"{k:02d}{suffix}", _picture(k, **options))
  return root


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_whole_pictures_are_in_zero_to_one(tmp_path, suffix, dtype, channels):
  options = dict(channels=channels, dtype=dtype)
  source = pictures.images(path=_folder(tmp_path, suffix=suffix, **options))
  names = ("grey",) if channels == 1 else ("red", "green", "blue")
  assert tuple(v.name for v in source.variables) == names
  assert (source.domain, source.times[1]) == ("image", "01")
  expected = _picture(1, **options).reshape(12, 16, channels)
  np.testing.assert_allclose(
    source.read(1), expected / np.iinfo(dtype).max, rtol=1e-6
  )


def test_jpeg_is_read(tmp_path):
  _write(tmp_path / "a.jpg", np.full((16, 16, 3), 100, np.uint8))
  np.testing.assert_allclose(
    pictures.images(path=tmp_path).read(0), 100 / 255, atol=0.01
  )


def test_windows_lie_evenly_from_edge_to_edge(tmp_path):
  values = _picture(0, shape=(20, 31))
  _write(tmp_path / "a.png", values)
  source = pictures.images(path=tmp_path, shape=(8, 10), tiles=3)
  starts = [(y, x) for y in (0, 6, 12) for x in (0, 10, 21)]
  assert len(source.times) == 9 and source.times[8] == "a at 12,21"
  for i, (y, x) in enumerate(starts):
    np.testing.assert_allclose(
      source.read(i) * 255, values[y : y + 8, x : x + 10], atol=1e-4
    )
  middle = pictures.images(path=tmp_path, shape=(8, 10))
  np.testing.assert_allclose(
    middle.read(0) * 255, values[6:14, 10:20], atol=1e-4
  )


def test_smaller_pictures_are_mirrored_and_taken_once(tmp_path):
  values = _picture(0, shape=(5, 31))
  _write(tmp_path / "a.png", values)
  source = pictures.images(path=tmp_path, shape=(8, 10), tiles=2)
  assert len(source.times) == 2  # of four windows two are the same
  expected = values[[0, 0, 1, 2, 3, 4, 4, 3], :10]
  np.testing.assert_allclose(source.read(0) * 255, expected, atol=1e-4)


def test_split_is_by_file_never_within_one(tmp_path):
  source = pictures.images(path=_folder(tmp_path), shape=(6, 6), tiles=2)
  owners = leaks.check(
    source, tmp_path / "s.json", _owner, validation="01", test=0.2, seed=1
  )
  assert owners["validation"] == {1} and len(owners["test"]) == 1


def test_pages_of_a_file_stay_together(tmp_path):
  for k in range(3):
    pages = np.stack([_picture(k, channels=1) for _ in range(2)])
    tifffile.imwrite(tmp_path / f"{k}.tif", pages, photometric="minisblack")
  source = pictures.images(path=tmp_path)
  assert source.times[:3] == ("0", "0 page 1", "1")
  leaks.check(source, tmp_path / "s.json", _owner, validation=1, test=1)


def test_colours_are_chosen_by_name(tmp_path):
  source = pictures.images(("blue", "red"), path=_folder(tmp_path))
  np.testing.assert_allclose(
    source.read(2) * 255, _picture(2)[..., [2, 0]], atol=1e-4
  )


def _refused(path, variables=None, **options):
  with pytest.raises(ValueError) as error:
    pictures.images(variables, path=path, **options)
  assert "\n" not in str(error.value)
  return str(error.value)


def test_alpha_where_grey_is_wanted(tmp_path):
  _write(tmp_path / "a.png", _picture(1, channels=4))
  message = _refused(tmp_path, ("grey",))
  assert "a.png has the channels red+green+blue+alpha and grey is" in message
  message = _refused(tmp_path)
  assert "alpha is no colour to be learned" in message
  assert "config.data.variables=red,green,blue" in message
  source = pictures.images(("red", "green", "blue"), path=tmp_path)
  assert source.field_shape == (12, 16, 3)


def test_depths_and_channels_and_sizes_are_not_mixed(tmp_path):
  _write(tmp_path / "a.png", _picture(1, channels=1))
  _write(tmp_path / "b.png", _picture(2, channels=1, dtype=np.uint16))
  assert "b.png has samples of 16 bits and" in _refused(tmp_path)
  message = _refused(tmp_path / "b.png", bits=8)
  assert "b.png has samples of 16 bits and 8 are asked for" in message
  assert "bits must be 8, 16 or 32, got 12" in _refused(tmp_path, bits=12)
  _write(tmp_path / "b.png", _picture(2))
  assert "give pictures that are all grey or all in colour" in _refused(
    tmp_path
  )
  _write(tmp_path / "b.png", _picture(2, shape=(12, 18), channels=1))
  assert "b.png is (12, 18) and" in _refused(tmp_path)
  assert "tiles must be at least 1, got 0" in _refused(
    tmp_path, shape=(4, 4), tiles=0
  )


def test_damaged_picture_is_named(tmp_path):
  path = _write(tmp_path / "a.png", _picture(1))
  path.write_bytes(path.read_bytes()[:-30])
  assert "cannot read" in _refused(tmp_path)
  (tmp_path / "none").mkdir()
  with pytest.raises(FileNotFoundError, match="no file that ends in .png"):
    pictures.images(path=tmp_path / "none")


def _file(image):
  return io.BytesIO(imagecodecs.png_encode(image))


def _prepare(folder, counts):
  """Prepares DIV2K with a few small pictures, without its download."""
  tfds = pytest.importorskip("tensorflow_datasets")
  pytest.importorskip("PIL.Image")
  builder = tfds.builder(
    "div2k/bicubic_x2", data_dir=folder, file_format="array_record"
  )
  made = {
    part: [_picture(k + first, shape=(20, 24)) for k in range(counts[part])]
    for part, first in (("train", 0), ("validation", 6))
  }

  def split(self, downloads):
    del self, downloads
    return {
      part: (
        (str(k), {"lr": _file(image[::2, ::2].copy()), "hr": _file(image)})
        for k, image in enumerate(images)
      )
      for part, images in made.items()
    }

  kind = type(builder)
  kind.code_path = None
  try:
    with mock.patch.object(kind, "_split_generators", split):
      builder.download_and_prepare()
  finally:
    del kind.code_path
  return {
    _owner(image / 255): image for part in made.values() for image in part
  }


def test_div2k_is_split_by_picture_and_by_its_published_parts(tmp_path):
  made = _prepare(tmp_path, {"train": 4, "validation": 2})
  source = pictures.div2k(path=tmp_path, shape=(8, 8), tiles=2)
  assert len(source.times) == 6 * 4 and "DIV2K" in source.citation
  values = source.read(3)
  whole = made[_owner(values)]
  np.testing.assert_allclose(values * 255, whole[-8:, -8:], atol=1e-4)
  # The last pictures of training are for validation, the published ones held
  # out; in which order a hash decides.
  owners = leaks.check(
    source,
    tmp_path / "s.json",
    _owner,
    validation="train/3",
    test="validation/*",
  )
  assert owners["test"] == {6, 7} and len(owners["train"]) == 3


def test_div2k_that_is_not_prepared(tmp_path):
  pytest.importorskip("tensorflow_datasets")
  with pytest.raises(FileNotFoundError, match="tfds build div2k"):
    pictures.div2k(path=tmp_path)
