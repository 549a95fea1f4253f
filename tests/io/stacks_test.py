"""Pages of TIFF in their many arrangements, and pictures under wrong names."""

import numpy as np
from PIL import Image
import pytest
import tifffile

from hinote_jax.io import images
from tests.io import refined


def _stack():
  rng = np.random.default_rng(0)
  return rng.integers(0, 65536, (4, 6, 5)).astype(np.uint16)


def _finer(path, out):
  reader = images.open(path)
  header = refined.header(reader.header, 2)
  zeros = np.zeros((header.count, *header.shape, 1), np.float32)
  images.save(out, header, zeros)
  return reader


def _values(reader):
  return np.rint(refined.values(reader)[..., 0] * 65535)


def test_pages_that_were_appended_are_pages(tmp_path):
  path, stack = tmp_path / "a.tif", _stack()
  for k, page in enumerate(stack):
    tifffile.imwrite(path, page, append=k > 0)
  reader = images.open(path)
  assert [(d.name, d.size) for d in reader.header.leads] == [("page", 4)]
  np.testing.assert_array_equal(_values(reader), stack)


@pytest.mark.parametrize(
  "kind", [{"metadata": None}, {}, {"imagej": True}, {"ome": True}]
)
@pytest.mark.parametrize("part", [0.3, 0.5, 0.7])
def test_a_stack_that_was_cut_short_is_refused(tmp_path, kind, part):
  # One page is whole, and says that the next one begins behind the end.
  path = tmp_path / "a.tif"
  stack = np.tile(_stack(), (8, 8, 8))
  tifffile.imwrite(path, stack, photometric="minisblack", **kind)
  whole = path.read_bytes()
  path.write_bytes(whole[: int(part * len(whole))])
  with pytest.raises(ValueError, match=r"cannot read .*a.tif .*page 1 is to"):
    images.open(path)


def test_pages_that_go_round_in_a_circle_are_refused(tmp_path):
  path = tmp_path / "a.tif"
  tifffile.imwrite(path, _stack(), metadata=None, photometric="minisblack")
  with tifffile.TiffFile(path) as file:
    first, end = file.pages[0].offset, file.pages.next_page_offset
  data = bytearray(path.read_bytes())
  data[end : end + 4] = first.to_bytes(4, "little")
  path.write_bytes(data)
  with pytest.raises(ValueError, match="a.tif .*page 4 is to begin at byte 8"):
    images.open(path)


def test_pictures_of_imagej_behind_one_page_are_counted(tmp_path):
  path, stack = tmp_path / "a.tif", _stack()
  tifffile.imwrite(path, stack, imagej=True)
  with tifffile.TiffFile(path) as file:
    place = file.pages[0].offset
    end = place + 2 + 12 * len(file.pages[0].tags)
    last = file.pages[0].dataoffsets[0] + stack.nbytes
  data = bytearray(path.read_bytes())
  data[end : end + 4] = bytes(4)  # no other page follows
  path.write_bytes(data[:last])
  np.testing.assert_array_equal(_values(images.open(path)), stack)
  path.write_bytes(data[: last - 1])
  with pytest.raises(ValueError, match="says of 4 pictures and holds 1"):
    images.open(path)


def test_smaller_copies_are_passed_over(tmp_path):
  path, stack = tmp_path / "a.tif", _stack()
  with tifffile.TiffWriter(path) as file:
    file.write(stack[0], subifds=1)
    file.write(stack[0, ::2, ::2], subfiletype=1)
    file.write(stack[1, ::2, ::2], subfiletype=1)
  reader = images.open(path)
  assert reader.header.leads == ()
  np.testing.assert_array_equal(_values(reader), stack[:1])


def test_imagej_keeps_axes_unit_and_size_of_a_pixel(tmp_path):
  path, out = tmp_path / "a.tif", tmp_path / "b.tif"
  stack = np.stack([_stack(), _stack()[::-1]], axis=1)
  known = {"axes": "TZYX", "spacing": 3.0, "unit": "um"}
  tifffile.imwrite(path, stack, imagej=True, resolution=(2, 4), metadata=known)
  reader = _finer(path, out)
  names = [(d.name, d.size) for d in reader.header.leads]
  assert names == [("time", 4), ("z", 2)]
  np.testing.assert_array_equal(_values(reader), stack.reshape(8, 6, 5))
  with tifffile.TiffFile(out) as file:
    said = file.imagej_metadata
    assert (said["unit"], said["spacing"]) == ("um", 3.0)
    assert file.series[0].axes == "TZYX"
    assert file.series[0].shape == (4, 2, 12, 10)
    assert file.pages[0].resolution == (4.0, 8.0)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_ome_keeps_axes_unit_and_size_of_a_pixel(tmp_path, dtype):
  path, out = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
  stack = _stack().astype(dtype)
  known = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 5.0}
  known |= {"PhysicalSizeXUnit": "µm", "PhysicalSizeZ": 3.0}
  tifffile.imwrite(path, stack, ome=True, metadata=known)
  reader = _finer(path, out)
  assert [(d.name, d.size) for d in reader.header.leads] == [("z", 4)]
  with tifffile.TiffFile(out) as file:
    assert (file.series[0].axes, file.series[0].shape) == ("ZYX", (4, 12, 10))
    pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
  got = [pixels[f"PhysicalSize{axis}"] for axis in "XYZ"]
  assert got == [0.25, 2.5, 3.0] and pixels["PhysicalSizeXUnit"] == "µm"
  assert (pixels["SizeX"], pixels["SizeY"], pixels["SizeZ"]) == (10, 12, 4)
  assert pixels["Type"] == ("uint16" if dtype == np.uint16 else "float")


@pytest.mark.parametrize(
  "name, kind", [("a.png", "JPEG"), ("a.jpg", "PNG"), ("a.png", "TIFF")]
)
def test_a_picture_is_what_its_first_bytes_say(tmp_path, name, kind):
  grey = np.add.outer(np.arange(16), 5 * np.arange(24)).astype(np.uint8)
  more = {"quality": 100} if kind == "JPEG" else {}
  with open(tmp_path / name, "wb") as file:
    Image.fromarray(grey).save(file, kind, **more)
  got = images.open(tmp_path / name).read(0)[..., 0] * 255
  np.testing.assert_allclose(got, grey, atol=1 + 1e-4)


def test_webp_and_bmp_are_read(tmp_path):
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 256, (6, 5, 4)).astype(np.uint8)
  Image.fromarray(pixels[..., :3]).save(tmp_path / "a.webp", lossless=True)
  Image.fromarray(pixels).save(tmp_path / "b.webp", lossless=True, exact=True)
  Image.fromarray(pixels[..., 0]).save(tmp_path / "a.bmp")
  Image.fromarray(pixels[..., 0] > 99).save(tmp_path / "b.bmp")
  for name, want in {
    "a.webp": pixels[..., :3],
    "b.webp": pixels,
    "a.bmp": pixels[..., :1],
    "b.bmp": 255 * (pixels[..., :1] > 99),
  }.items():
    got = np.rint(images.open(tmp_path / name).read(0) * 255)
    np.testing.assert_array_equal(got, want, err_msg=name)
  frames = [Image.fromarray(pixels[..., c]) for c in range(2)]
  frames[0].save(tmp_path / "c.webp", save_all=True, append_images=frames[1:])
  with pytest.raises(
    ValueError, match="c.webp is animated: give each of its 2"
  ):
    images.open(tmp_path / "c.webp")
