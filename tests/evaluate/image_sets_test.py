"""Reading images: bits, grey, alpha, and DIV2K of tensorflow-datasets."""

import io
import struct
import sys
from unittest import mock
import zlib

import numpy as np
from PIL import Image
import pytest

from hinote_jax.evaluate import image_sets


def _rgb(shape=(6, 5), seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (*shape, 3), np.uint8)


def _png_16(values):
  """Returns a PNG of 16-bit colours, which Pillow reads and cannot write."""

  def chunk(name, data):
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum

  h, w, _ = values.shape
  rows = b"".join(b"\0" + row.tobytes() for row in values.astype(">u2"))
  header = struct.pack(">IIBBBBB", w, h, 16, 2, 0, 0, 0)
  return (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", header)
    + chunk(b"IDAT", zlib.compress(rows))
    + chunk(b"IEND", b"")
  )


@pytest.mark.parametrize("suffix", ["png", "tif", "TIFF", "bmp"])
def test_lossless_colours_come_back(tmp_path, suffix):
  path = tmp_path / f"a.{suffix}"
  Image.fromarray(_rgb()).save(path)
  found = image_sets.read(path)
  assert found.dtype == np.uint8
  np.testing.assert_array_equal(found, _rgb())


def test_jpeg_is_near(tmp_path):
  path = tmp_path / "a.jpg"
  smooth = np.linspace(0, 255, 16 * 16).reshape(16, 16).astype(np.uint8)
  Image.fromarray(np.stack([smooth] * 3, -1)).save(path, quality=95)
  assert (
    np.abs(image_sets.read(path).astype(int) - smooth[..., None]).max() < 16
  )


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_is_repeated_in_its_bits(tmp_path, suffix, dtype):
  rng = np.random.default_rng(0)
  grey = rng.integers(0, np.iinfo(dtype).max, (6, 5), dtype)
  path = tmp_path / f"a.{suffix}"
  Image.fromarray(grey).save(path)
  found = image_sets.read(path)
  assert found.dtype == dtype
  np.testing.assert_array_equal(found, np.stack([grey] * 3, -1))


def test_black_and_white_and_palettes(tmp_path):
  bits = np.random.default_rng(0).integers(0, 2, (6, 5)).astype(bool)
  Image.fromarray(bits).save(tmp_path / "a.png")
  np.testing.assert_array_equal(
    image_sets.read(tmp_path / "a.png"), 255 * np.stack([bits] * 3, -1)
  )
  few = _rgb() // 128 * 128
  for name in ("b.png", "b.tif", "b.bmp"):
    Image.fromarray(few).quantize(8).save(tmp_path / name)
    assert Image.open(tmp_path / name).mode == "P"
    np.testing.assert_array_equal(image_sets.read(tmp_path / name), few)


def test_opaque_alpha_is_dropped_and_other_alpha_refused(tmp_path):
  alpha = np.full((6, 5, 1), 255, np.uint8)
  path = tmp_path / "a.png"
  Image.fromarray(np.concatenate([_rgb(), alpha], -1)).save(path)
  np.testing.assert_array_equal(image_sets.read(path), _rgb())
  alpha[2, 3] = 254
  Image.fromarray(np.concatenate([_rgb(), alpha], -1)).save(path)
  with pytest.raises(ValueError, match="a.png is partly transparent"):
    image_sets.read(path)
  Image.fromarray(np.concatenate([_rgb()[..., :1], alpha], -1)).save(path)
  with pytest.raises(ValueError, match="partly transparent"):
    image_sets.read(path)


def test_colours_of_16_bits_come_back(tmp_path):
  path = tmp_path / "a.png"
  path.write_bytes(_png_16(_rgb().astype(np.uint16) * 259))
  np.testing.assert_array_equal(
    image_sets.read(path), _rgb().astype(np.uint16) * 259
  )


def test_other_modes_and_stacks_are_refused(tmp_path):
  Image.fromarray(_rgb()).convert("CMYK").save(tmp_path / "a.tif")
  with pytest.raises(ValueError, match="a.tif has colours of the kind SEP"):
    image_sets.read(tmp_path / "a.tif")
  Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "b.tif")
  with pytest.raises(ValueError, match="b.tif holds grey of float32"):
    image_sets.read(tmp_path / "b.tif")
  pages = [Image.fromarray(_rgb(seed=i)) for i in range(3)]
  pages[0].save(tmp_path / "c.tif", save_all=True, append_images=pages[1:])
  with pytest.raises(ValueError, match="c.tif holds 3 pictures"):
    image_sets.read(tmp_path / "c.tif")


def test_damaged_files_are_named(tmp_path):
  path = tmp_path / "a.png"
  path.write_bytes(b"no image")
  with pytest.raises(ValueError, match="cannot read .*a.png"):
    image_sets.read(path)
  Image.fromarray(_rgb((64, 64))).save(path)
  path.write_bytes(path.read_bytes()[:2000])
  with pytest.raises(ValueError, match="cannot read .*a.png"):
    image_sets.read(path)


def test_folder_is_sorted_and_limited(tmp_path):
  for i, name in enumerate(("b.png", "a.PNG", "c.bmp")):
    Image.fromarray(_rgb(seed=i)).save(tmp_path / name)
  (tmp_path / "notes.txt").write_text("")
  (tmp_path / ".hidden.png").write_bytes(b"")
  found = image_sets.load("folder", path=tmp_path)
  assert found.name == tmp_path.name
  assert found.names == ("a.PNG", "b.png", "c.bmp")
  np.testing.assert_array_equal(found.read(1), _rgb(seed=0))
  assert (
    image_sets.load("folder", path=tmp_path, limit=2).names == found.names[:2]
  )
  assert image_sets.load("folder", path=tmp_path, limit=9).names == found.names
  with pytest.raises(ValueError, match="at least 1 image, got 0"):
    image_sets.load("folder", path=tmp_path, limit=0)


def test_folders_that_will_not_do(tmp_path):
  with pytest.raises(ValueError, match=r"give --config.data.path=FOLDER"):
    image_sets.load("folder")
  with pytest.raises(NotADirectoryError, match="none' is not a folder"):
    image_sets.load("folder", path=tmp_path / "none")
  with pytest.raises(ValueError, match="holds no image: known are .png"):
    image_sets.load("folder", path=tmp_path)
  with pytest.raises(ValueError, match="'foldr'; did you mean 'folder'"):
    image_sets.load("foldr", path=tmp_path)


def test_pillow_comes_with_an_extra(tmp_path):
  Image.fromarray(_rgb()).save(tmp_path / "a.jpg")
  with mock.patch.dict(sys.modules, {"PIL": None, "PIL.Image": None}):
    with pytest.raises(ModuleNotFoundError, match=r"hinote_jax\[io\]"):
      image_sets.read(tmp_path / "a.jpg")


def _png(values):
  file = io.BytesIO()
  Image.fromarray(values).save(file, "png")
  file.seek(0)
  return file


def _prepare(folder, images):
  """Prepares a tiny DIV2K with the data set's own builder."""
  tfds = pytest.importorskip("tensorflow_datasets")
  builder = tfds.builder(
    "div2k/bicubic_x2", data_dir=folder, file_format="array_record"
  )

  def split(self, downloads):
    del self, downloads
    examples = (
      (str(i), {"lr": _png(image[::2, ::2].copy()), "hr": _png(image)})
      for i, image in enumerate(images)
    )
    return {"validation": examples}

  kind = type(builder)
  # Nothing is downloaded, so no checksums are looked for beside the code.
  kind.code_path = None
  try:
    with mock.patch.object(kind, "_split_generators", split):
      builder.download_and_prepare()
  finally:
    del kind.code_path


def test_div2k_reads_the_high_resolution_images(tmp_path):
  images = [_rgb((12, 16), seed) for seed in range(3)]
  _prepare(tmp_path, images)
  found = image_sets.load("div2k", path=tmp_path)
  assert len(found.names) == 3 and "DIV2K" in found.name
  # Records are in the order of a hash.
  read = {found.read(i).tobytes() for i in range(3)}
  assert read == {image.tobytes() for image in images}
  assert found.read(0).shape == (12, 16, 3)
  assert len(image_sets.load("div2k", path=tmp_path, limit=1).names) == 1


def test_div2k_says_how_to_prepare_it(tmp_path):
  pytest.importorskip("tensorflow_datasets")
  message = "not prepared in .*tfds build div2k --config=bicubic_x2 --file_form"
  with pytest.raises(FileNotFoundError, match=message):
    image_sets.load("div2k", path=tmp_path)


def test_div2k_in_another_format_says_so(tmp_path):
  tfds = pytest.importorskip("tensorflow_datasets")
  _prepare(tmp_path, [_rgb((12, 16))])
  refuse = NotImplementedError("tfrecord is not\nsupported")
  with mock.patch.object(
    tfds.core.DatasetBuilder, "as_data_source", side_effect=refuse
  ):
    with pytest.raises(ValueError, match="tfrecord is not supported.*prepare"):
      image_sets.load("div2k", path=tmp_path)
