"""Tests of pictures: exact round trips, alpha, orientation, what goes along."""

import io
import struct
import zlib

import hypothesis
from hypothesis import strategies as st
import numpy as np
from PIL import Image, ImageCms, ImageOps, PngImagePlugin
import pytest
import tifffile

from hinote_jax import fields
from hinote_jax.fields import axes, packing
from hinote_jax.io import images, png
from tests.io import refined, rows

_CHANNELS = {
  1: ("grey",),
  2: ("grey", "alpha"),
  3: ("red", "green", "blue"),
  4: ("red", "green", "blue", "alpha"),
}


def _noise(shape, dtype, seed=0):
  rng = np.random.default_rng(seed)
  pixels = rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
  pixels.flat[:2] = 0, np.iinfo(dtype).max
  return pixels


def _chunk(kind, data):
  check = struct.pack(">I", zlib.crc32(kind + data))
  return struct.pack(">I", len(data)) + kind + data + check


def _png(pixels, *more, colour=None):
  """Returns a PNG file made by hand, its rows unfiltered."""
  (h, w, c), depth = pixels.shape, pixels.itemsize
  colour = {1: 0, 2: 4, 3: 2, 4: 6}[c] if colour is None else colour
  head = struct.pack(">2I5B", w, h, 8 * depth, colour, 0, 0, 0)
  rows = pixels.astype(f">u{depth}").reshape(h, -1)
  data = b"".join(b"\0" + row.tobytes() for row in rows)
  chunks = [(b"IHDR", head), *more, (b"IDAT", zlib.compress(data))]
  chunks += [(b"IEND", b"")]
  return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*one) for one in chunks)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_round_trip_is_exact(tmp_path, suffix, dtype, channels):
  pixels = _noise((9, 13, channels), dtype)
  first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
  if suffix == ".png":
    first.write_bytes(_png(pixels))
  else:
    extra = {"photometric": "rgb" if channels > 2 else "minisblack"}
    if channels in (2, 4):
      extra |= {"extrasamples": ["unassalpha"], "planarconfig": "contig"}
    tifffile.imwrite(first, pixels if channels > 1 else pixels[..., 0], **extra)
  reader = images.open(first)
  assert reader.header.names == _CHANNELS[channels]
  assert {v.dtype for v in reader.header.variables} == {dtype}
  want = pixels / np.float64(np.iinfo(dtype).max)
  np.testing.assert_allclose(reader.read(0), want, rtol=0, atol=6e-8)
  images.save(second, reader.header, refined.values(reader))
  if suffix == ".tif":
    got = tifffile.imread(second).reshape(pixels.shape)
    np.testing.assert_array_equal(got, pixels)
  again = images.open(second)
  assert again.header.names == reader.header.names
  np.testing.assert_array_equal(again.read(0), reader.read(0))


@hypothesis.given(
  st.sampled_from(["uint8", "uint16"]),
  st.integers(1, 4),
  st.tuples(st.integers(1, 9), st.integers(1, 9)),
  st.integers(0, 9),
)
def test_png_reads_as_other_decoders_have_it(
  tmp_path_factory, dtype, channels, shape, seed
):
  # imagecodecs has libpng; a ramp and noise lead to all filters.
  ramp = np.add.outer(7 * np.arange(shape[0]), 3 * np.arange(shape[1]))
  pixels = _noise((*shape, channels), dtype, seed) // 3
  pixels = (pixels * (seed % 2) + ramp[..., None]).astype(dtype)
  path = tmp_path_factory.mktemp("png") / "a.png"
  what = png.picture.Picture(shape, _CHANNELS[channels], dtype)
  png.write(path, what, [pixels[:2], pixels[2:]][: 1 + (shape[0] > 2)])
  np.testing.assert_array_equal(png.read(path, 0), pixels)
  if dtype == "uint8":
    with Image.open(path) as image:
      got = np.asarray(image).reshape(pixels.shape)
    np.testing.assert_array_equal(got, pixels)


def test_sixteen_bits_are_no_eight(tmp_path):
  pixels = np.arange(2 * 128 * 3, dtype=np.uint16).reshape(2, 128, 3)
  path = tmp_path / "a.png"
  path.write_bytes(_png(pixels))
  reader = images.open(path)
  images.save(tmp_path / "b.png", reader.header, reader.read(0)[None])
  depth, colour = (tmp_path / "b.png").read_bytes()[24:26]
  assert (depth, colour) == (16, 2)
  np.testing.assert_array_equal(png.read(tmp_path / "b.png", 0), pixels)


def test_half_transparent_alpha_comes_back(tmp_path):
  pixels = _noise((6, 5, 4), "uint8")
  pixels[..., 3] = np.arange(30).reshape(6, 5) + 113
  Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png")
  reader = images.open(tmp_path / "a.png")
  roles = [v.attributes.get("role") for v in reader.header.variables]
  assert roles == [None, None, None, "alpha"]
  images.save(tmp_path / "b.png", reader.header, reader.read(0)[None])
  with Image.open(tmp_path / "b.png") as image:
    assert image.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(image), pixels)


def test_overshoot_is_clipped(tmp_path):
  y, x = axes.counted("y", 1), axes.counted("x", 4)
  variable = fields.Variable("grey", dtype="uint8", scale=1 / 255)
  header = fields.Header((variable,), y, x)
  values = np.float32([-0.2, 1.3, 0.5, 100.4 / 255]).reshape(1, 1, 4, 1)
  images.save(tmp_path / "a.png", header, values)
  got = png.read(tmp_path / "a.png", 0)
  np.testing.assert_array_equal(got.ravel(), [0, 255, 128, 100])


def test_palette_is_looked_up(tmp_path):
  colours = _noise((4, 3), "uint8", 3)
  index = np.arange(12, dtype=np.uint8).reshape(3, 4) % 4
  file = _png(
    index[..., None],
    (b"PLTE", colours.tobytes()),
    (b"tRNS", bytes([255, 40])),
    colour=3,
  )
  (tmp_path / "a.png").write_bytes(file)
  reader = images.open(tmp_path / "a.png")
  got = np.rint(reader.read(0) * 255)
  np.testing.assert_array_equal(got[..., :3], colours[index])
  alpha = np.array([255, 40, 255, 255])
  np.testing.assert_array_equal(got[..., 3], alpha[index])


def _tagged(pixels, orientation):
  image = Image.fromarray(pixels)
  image.getexif()[274] = orientation
  return image


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_orientation_is_obeyed(tmp_path, suffix, orientation):
  # Smooth, for JPEG.
  pixels = np.add.outer(np.arange(16), 5 * np.arange(24)).astype(np.uint8)
  exif = Image.Exif()
  exif[274] = orientation
  path = tmp_path / f"a{suffix}"
  more = {"quality": 100} if suffix == ".jpg" else {}
  Image.fromarray(pixels).save(path, exif=exif, dpi=(100, 200), **more)
  want = np.asarray(ImageOps.exif_transpose(_tagged(pixels, orientation)))
  reader = images.open(path)
  assert reader.header.shape == want.shape
  off = 1 if suffix == ".jpg" else 0
  np.testing.assert_allclose(
    255 * reader.read(0)[..., 0], want, atol=off + 1e-4
  )
  dpi = (200, 100) if orientation > 4 else (100, 200)
  got = reader.header.extra["picture"].dpi
  np.testing.assert_allclose(got, dpi, atol=0.02)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_profile_resolution_and_text_go_along(tmp_path, suffix):
  profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
  pixels, path = _noise((10, 12, 3), "uint8"), tmp_path / f"a{suffix}"
  if suffix == ".png":
    text = PngImagePlugin.PngInfo()
    text.add_text("Description", "a map", zip=True)
    text.add_itxt("Author", "Åse 北")
    more = {"pnginfo": text, "icc_profile": profile, "dpi": (72, 144)}
    Image.fromarray(pixels).save(path, **more)
  else:
    tifffile.imwrite(
      path,
      pixels,
      photometric="rgb",
      iccprofile=profile,
      resolution=(72, 144),
      resolutionunit="inch",
      description="a map",
      metadata=None,
      extratags=[(315, 2, None, "Åse 北".encode(), True)],
    )
  reader = images.open(path)
  header = refined.header(reader.header, 2.5)
  zeros = np.zeros((1, *header.shape, 3), np.float32)
  images.save(tmp_path / f"b{suffix}", header, zeros)
  with Image.open(tmp_path / f"b{suffix}") as image:
    assert image.size == (30, 25)
    assert image.info["icc_profile"] == profile
    dpi = [float(n) for n in image.info["dpi"]]
    np.testing.assert_allclose(dpi, (180, 360), rtol=1e-3)
  text = images.open(tmp_path / f"b{suffix}").header.extra["picture"].text
  assert text["Description"] == "a map"
  assert text["Author"] == "Åse 北"


def test_pages_are_a_lead(tmp_path):
  pixels = _noise((3, 300, 270, 3), "uint16")
  tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
  reader = images.open(tmp_path / "a.tif", ["blue", "red"])
  assert [(lead.name, lead.size) for lead in reader.header.leads] == [
    ("page", 3)
  ]
  want = pixels[1][..., [2, 0]] / 65535
  np.testing.assert_allclose(reader.read(1), want, atol=1e-7)
  reader = images.open(tmp_path / "a.tif")
  images.save(tmp_path / "b.tif", reader.header, refined.values(reader))
  np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), pixels)


def test_imagej_stack_behind_one_page_is_read_page_by_page(tmp_path):
  pixels = _noise((4, 6, 5), "uint16")
  path = tmp_path / "a.tif"
  tifffile.imwrite(path, pixels, imagej=True, byteorder=">", truncate=None)
  with tifffile.TiffFile(path) as file:
    end = file.pages[0].tags["ImageDescription"].value
    assert "images=4" in end
  reader = images.open(path)
  assert reader.header.count == 4
  got = np.rint(refined.values(reader)[..., 0] * 65535)
  np.testing.assert_array_equal(got, pixels)


def test_planes_and_floats_of_tiff(tmp_path):
  planes = np.random.default_rng(1).normal(size=(3, 5, 6)).astype(np.float32)
  path = tmp_path / "a.tif"
  tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
  reader = images.open(path)
  np.testing.assert_array_equal(reader.read(0), np.moveaxis(planes, 0, -1))
  images.save(tmp_path / "b.tif", reader.header, reader.read(0)[None] * 3)
  got = images.open(tmp_path / "b.tif").read(0)
  np.testing.assert_array_equal(got, np.moveaxis(planes, 0, -1) * np.float32(3))


def test_white_may_be_zero_and_bits_are_black_or_white(tmp_path):
  grey = _noise((4, 6), "uint8")
  tifffile.imwrite(tmp_path / "a.tif", grey, photometric="miniswhite")
  got = images.open(tmp_path / "a.tif").read(0)[..., 0]
  np.testing.assert_allclose(got, 1 - grey / 255, atol=1e-7)
  bits = grey > 99
  for suffix in (".tif", ".png"):
    Image.fromarray(bits).save(tmp_path / f"b{suffix}")
    got = images.open(tmp_path / f"b{suffix}").read(0)[..., 0]
    np.testing.assert_array_equal(got, bits)


def test_premultiplied_colours_of_tiff_become_straight_in_png(tmp_path):
  pixels = _noise((4, 6, 4), "uint16")
  pixels[..., 3] = np.maximum(pixels[..., 3], 1000)
  pixels[..., :3] = pixels[..., :3] * (pixels[..., 3:] / 65535.0)
  tifffile.imwrite(
    tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["assocalpha"]
  )
  reader = images.open(tmp_path / "a.tif")
  images.save(tmp_path / "b.png", reader.header, reader.read(0)[None])
  want = np.rint(pixels[..., :3] / (pixels[..., 3:] / 65535.0))
  got = png.read(tmp_path / "b.png", 0)
  np.testing.assert_allclose(got[..., :3], np.minimum(want, 65535), atol=1)
  np.testing.assert_array_equal(got[..., 3], pixels[..., 3])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_values_are_read_in_blocks_of_rows(tmp_path, monkeypatch, suffix):
  monkeypatch.setattr(packing, "BLOCK_BYTES", 1 << 12)
  pixels = _noise((600, 40, 3), "uint16")
  variables = tuple(
    fields.Variable(name, dtype="uint16", scale=1 / 65535)
    for name in _CHANNELS[3]
  )
  y, x = axes.counted("y", 600), axes.counted("x", 40)
  header = fields.Header(variables, y, x)
  values = rows.Rows((pixels / 65535).astype(np.float32)[None])
  images.save(tmp_path / f"a{suffix}", header, values)
  assert values.largest <= (256 if suffix == ".tif" else 8)
  got = np.rint(images.open(tmp_path / f"a{suffix}").read(0) * 65535)
  np.testing.assert_array_equal(got, pixels)


@pytest.mark.parametrize(
  ("names", "dtype", "want"),
  [
    (("u", "v", "w"), "float32", ("channel0", "channel1", "channel2")),
    (("u", "v", "w"), "uint8", ("red", "green", "blue")),
    (("red", "green", "blue"), "float32", ("red", "green", "blue")),
  ],
)
def test_three_quantities_of_a_field_are_no_colours(
  tmp_path, names, dtype, want
):
  header = _header(names=names, dtype=dtype)
  values = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
  images.save(tmp_path / "a.tif", header, values)
  assert images.open(tmp_path / "a.tif").header.names == want
  got = tifffile.imread(tmp_path / "a.tif")
  np.testing.assert_array_equal(got, values[0])


def test_filters_make_a_smooth_picture_small(tmp_path):
  ramp = np.add.outer(np.arange(256), np.arange(256)).astype(np.uint16) * 97
  what = png.picture.Picture((256, 256), ("grey",), "uint16")
  png.write(tmp_path / "a.png", what, [ramp[..., None]])
  assert (tmp_path / "a.png").stat().st_size < ramp.nbytes / 50


def _header(count=1, names=("grey",), dtype="uint8"):
  variables = tuple(
    fields.Variable(
      name,
      dtype=dtype,
      attributes={"role": "alpha"} if name == "alpha" else {},
    )
    for name in names
  )
  leads = (fields.Dimension("time", count),) if count > 1 else ()
  both = (axes.counted("y", 2), axes.counted("x", 2))
  return fields.Header(variables, *both, leads)


@pytest.mark.parametrize(
  ("header", "message"),
  [
    (_header(count=3), "one picture and there are 3 fields: save them as .tif"),
    (_header(names=("u", "v")), "grey or RGB and there are 2 channels"),
    (_header(dtype="float32"), "uint16 and grey is float32: save it as .tif"),
    (_header(names=("alpha", "grey")), "alpha comes after the colours"),
  ],
)
def test_what_png_cannot_hold_is_refused(tmp_path, header, message):
  values = np.zeros((header.count, 2, 2, len(header.variables)), np.float32)
  with pytest.raises(ValueError, match=message):
    images.save(tmp_path / "a.png", header, values)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
@pytest.mark.parametrize("keep", [5, 300])
def test_damaged_files_are_named(tmp_path, suffix, keep):
  path = tmp_path / f"broken{suffix}"
  file = io.BytesIO()
  kind = {".png": "PNG", ".tif": "TIFF", ".jpg": "JPEG"}[suffix]
  more = {"compression": "tiff_lzw"} if suffix == ".tif" else {}
  Image.fromarray(_noise((40, 40, 3), "uint8")).save(file, kind, **more)
  path.write_bytes(file.getvalue()[:keep])
  with pytest.raises(ValueError, match=f"cannot read .*broken{suffix} "):
    images.open(path).read(0)


def test_other_faults_are_said(tmp_path):
  with pytest.raises(FileNotFoundError):
    images.open(tmp_path / "none.png")
  path = tmp_path / "a.png"
  path.write_bytes(_png(_noise((2, 2, 3), "uint8")))
  with pytest.raises(ValueError, match="has no 'gren'; did you mean 'green'"):
    images.open(path, ["gren"])
  path.write_bytes(_png(_noise((2, 2, 3), "uint8"), (b"acTL", bytes(8))))
  with pytest.raises(ValueError, match="animated: give each picture"):
    images.open(path)
  path = tmp_path / "a.jpg"
  Image.new("CMYK", (4, 4)).save(path)
  with pytest.raises(ValueError, match="mode CMYK: convert it to grey or RGB"):
    images.open(path)
  with pytest.raises(ValueError, match="unknown format of pictures '.jpg'"):
    images.save(path, _header(), np.zeros((1, 2, 2, 1), np.float32))
  path = tmp_path / "a.tif"
  with tifffile.TiffWriter(path) as file:
    file.write(np.zeros((4, 4), np.uint8))
    file.write(np.zeros((5, 4), np.uint8))
  with pytest.raises(ValueError, match="2 series of pages that differ"):
    images.open(path)
