"""Resizing and sampling against MATLAB's, Pillow's and PyTorch's values.

`resize` works out positions in float64; MATLAB's port and PyTorch in float32.
"""

import numpy as np
import pytest

from hinote_jax import degradations, lazy
from hinote_jax.core import resize, taps
from hinote_jax.evaluate import image_sets, protocols
from hinote_jax.nn import blocks
from tests.parity import reference

pytestmark = reference.needs_reference

_METHODS = {
  "nearest": "nearest_torch",
  "nearest-exact": "nearest",
  "area": "area_torch",
  "bilinear": "linear",
  "bicubic": "cubic_torch",
}
_PADDINGS = {"zeros": "zero", "border": "edge"}


def _arrays(name, folder="ops"):
  path = reference.ROOT / folder / f"{name}.io.npz"
  if not path.exists():
    return {}
  with np.load(path, allow_pickle=False) as file:
    return {k: file[k] for k in file.files if k != "__meta__"}


_INTERPOLATE = _arrays("interpolate")
_GRID_SAMPLE = _arrays("grid_sample")
_MATLAB = _arrays("matlab_imresize")
_PILLOW = _arrays("pil_bicubic")
_MISC = _arrays("misc")


def _keys(arrays, *prefixes):
  return [key for key in arrays if key.startswith(prefixes)]


def _assert_close(got, want, span, most=1e-6):
  got, want = np.asarray(got), np.asarray(want)
  assert got.shape == want.shape
  worst = np.abs(got - want).max() / np.ptp(span)
  assert worst <= most, f"differs by {worst:.3g} of the range, {most:g} allowed"


def _product(x, along_y, along_x):
  """Returns [.. H W] of [.. h w]."""
  return np.einsum("Hh,...hw,Ww->...HW", along_y, x.astype(float), along_x)


def _is_tie(position):
  """Returns where the nearest of two cells is the rounding's choice."""
  return np.abs(position - np.rint(position)) < 2e-6


def _interpolation(key):
  """Returns the options of `resize.matrix` that a recorded case stands for."""
  _, _, mode, kind, size, *rest = key.split(":")
  if kind == "antialias":
    method = {"bilinear": "linear", "bicubic": "cubic"}[mode]
    return dict(method=method, boundary="drop")
  options = dict(method=_METHODS[mode], antialias=False)
  if kind == "acTrue":
    options["registration"] = "nodes"
  elif size.startswith("sf") and rest != ["recompute"] and mode != "area":
    options["scale"] = float(size[2:])
  return options


@pytest.mark.parametrize("key", _keys(_INTERPOLATE, "out:"))
def test_interpolate(key):
  x, want = _INTERPOLATE[f"x:{key.split(':')[1]}"], _INTERPOLATE[key]
  options = _interpolation(key)
  sides = list(zip(x.shape[2:], want.shape[2:], strict=True))
  got = _product(x, *(resize.matrix(n, m, **options) for n, m in sides))
  if key.endswith("nearest-exact:acNone:sf2.7"):
    # Outputs 13 and 40 lie on the edge of two cells; in PyTorch's float32,
    # where 1 / 2.7 is too small, the second falls short of it.
    clear = [
      np.flatnonzero(~_is_tie(resize.centers(n, m, scale=2.7) + 0.5))
      for n, m in sides
    ]
    assert all(
      m - len(kept) <= 2 for kept, (_, m) in zip(clear, sides, strict=True)
    )
    got, want = (v[..., clear[0], :][..., clear[1]] for v in (got, want))
  _assert_close(got, want, x)


def test_interpolate_with_a_factor_has_its_floor_of_cells():
  for key in _keys(_INTERPOLATE, "out:"):
    _, name, _, _, size, *_ = key.split(":")
    if size.startswith("sf"):
      shape = _INTERPOLATE[f"x:{name}"].shape[2:]
      want = tuple(int(np.floor(n * float(size[2:]))) for n in shape)
      assert _INTERPOLATE[key].shape[2:] == want


@pytest.mark.parametrize("key", _keys(_GRID_SAMPLE, "out"))
def test_grid_sample(key):
  name, mode, padding, corners = key.split(":")
  x = reference.to_ours(_GRID_SAMPLE[name.replace("out", "x")])
  points = _GRID_SAMPLE[name.replace("out", "grid")][..., ::-1]
  want = reference.to_ours(_GRID_SAMPLE[key])
  registration = {"ac0": "cells", "ac1": "nodes"}[corners]
  reflection = {"ac0": "mirror", "ac1": "reflect"}[corners]
  rule = _PADDINGS.get(padding, reflection)
  got = resize.sample(
    x,
    np.ascontiguousarray(points),
    method=_METHODS[mode] if mode != "nearest" else "nearest",
    boundary=(rule, rule),
    registration=registration,
  )
  if mode == "nearest":
    # PyTorch rounds half to even, after float32's error; ours goes up.
    shape = np.asarray(x.shape[1:3])
    index = ((points.astype(float) + 1.0) * shape - 1.0) / 2.0
    if registration == "nodes":
      index = 0.5 * (points.astype(float) + 1.0) * (shape - 1)
    is_clear = ~_is_tie(index + 0.5).any(-1)
    assert is_clear.mean() > 0.85
    got, want = got[is_clear], want[is_clear]
  _assert_close(got, want, x)


@pytest.mark.parametrize("key", _keys(_GRID_SAMPLE, "liif"))
def test_nearest_at_shifted_centres(key):
  # What LIIF's local ensemble reads: all points lie within, by 1e-6.
  name, size, side = key.split(":")
  x = reference.to_ours(_GRID_SAMPLE[name.replace("liif", "x")])
  shape, v = [int(n) for n in size.split("x")], int(side[2:])
  limit = 1.0 - 1e-6
  axes = [
    np.clip((2 * np.arange(n) + 1) / n - 1 + sign * v / m + 1e-6, -limit, limit)
    for n, m, sign in zip(shape, x.shape[1:3], (1, -1), strict=True)
  ]
  points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).astype(np.float32)
  got = resize.sample(x, points, method="nearest", boundary=("zero", "zero"))
  np.testing.assert_array_equal(got, reference.to_ours(_GRID_SAMPLE[key]))


@pytest.mark.parametrize("key", _keys(_MATLAB, "out:", "noaa:"))
def test_matlab_imresize(key):
  kind, name, scale = key.split(":")
  # Keys have six digits of what were ratios of integers.
  scale = 1 / 3 if scale == "0.333333" else float(scale)
  x, want = _MATLAB[f"x:{name}"], _MATLAB[key].transpose(2, 0, 1)
  shape = tuple(int(np.ceil(n * scale)) for n in x.shape[:2])
  along_y, along_x = (
    resize.matrix(
      n,
      m,
      method="cubic",
      antialias=kind == "out",
      boundary="mirror",
      scale=scale,
    )
    for n, m in zip(x.shape[:2], shape, strict=True)
  )
  got = _product(x.transpose(2, 0, 1), along_y, along_x)
  # The recorded port holds positions up to 45 in float32: 1.9e-6 by rounding,
  # twice, and nothing where the step is a power of two. With its positions our
  # matrices differ by 1.2e-6.
  is_exact = np.log2(scale) % 1 == 0
  _assert_close(got, want, x, 1e-6 if is_exact else 4e-6)


@pytest.mark.parametrize("name", ["rgb", "odd"])
@pytest.mark.parametrize("scale", [2.0, 3.0, 4.0])
def test_imresize_as_a_degradation(name, scale):
  x = _MATLAB[f"x:{name}"]
  want = next(
    _MATLAB[key]
    for key in _keys(_MATLAB, f"out:{name}:")
    if abs(float(key.split(":")[2]) - 1 / scale) < 1e-5
  )
  got = degradations.parse("imresize").apply_window(
    x,
    start=(0.0, 0.0),
    scale=(scale, scale),
    shape=want.shape[:2],
    periodic=(False, False),
  )
  _assert_close(got, want, x)


@pytest.mark.parametrize("key", _keys(_PILLOW, "pilF:"))
def test_pillow_in_floating_point(key):
  _, name, _ = key.split(":")
  x, want = _PILLOW[f"x:{name}"][0], _PILLOW[key]
  along_y, along_x = (
    resize.matrix(n, m, method="cubic", boundary="drop")
    for n, m in zip(x.shape, want.shape, strict=True)
  )
  _assert_close(_product(x, along_y, along_x), want, x)
  if want.shape < x.shape:
    got = degradations.parse("pillow").field(
      x[..., None], want.shape, periodic=(False, False)
    )
    _assert_close(got[..., 0], want, x)


@pytest.mark.parametrize("key", _keys(_PILLOW, "out_uint8:"))
def test_pillow_in_8_bits(key):
  image, want = _PILLOW[f"x_uint8:{key.split(':')[1]}"], _PILLOW[key]
  found = protocols.pillow(image, want.shape[:2])
  np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("name", ["bird", "butterfly"])
def test_matlabs_own_files_of_set5(name):
  # The x4 inputs that SR-LUT ships, which MATLAB made.
  want = _arrays("S_x4_4bit", "srlut")[f"lr:{name}"]
  path = reference.SHARED / "data/natural/Set5" / f"{name}.png"
  found = protocols.matlab(image_sets.read(path), want.shape[:2])
  np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("pad", ["reflect", "edge"])
def test_pads_are_folds(pad):
  key = {"reflect": "pad_reflect", "edge": "pad_replicate"}[pad]
  x = _MISC["x"]
  rows = taps.fold(np.arange(-3, x.shape[2]), x.shape[2], pad)
  columns = taps.fold(np.arange(-2, x.shape[3] + 1), x.shape[3], pad)
  np.testing.assert_array_equal(x[:, :, rows][..., columns], _MISC[key])


@pytest.mark.parametrize(
  "key, method", [("adaptive_avg_4x3", "area_torch"), ("adaptive_avg1", "area")]
)
def test_adaptive_average_pooling(key, method):
  x, want = _MISC["x"], _MISC[key]
  sides = zip(x.shape[2:], want.shape[2:], strict=True)
  matrices = (resize.matrix(n, m, method=method) for n, m in sides)
  _assert_close(_product(x, *matrices), want, x)


def test_average_pooling_is_the_area():
  x, want = _MISC["x"][..., :8, :6], _MISC["avg_pool2"]
  matrices = (resize.matrix(n, n // 2, method="area") for n in (8, 6))
  _assert_close(_product(x, *matrices), want, x)


def test_pixel_shuffle_has_the_channels_of_a_pixel_last():
  # PyTorch's channel is c f^2 + k; ours is k c + channel.
  x = reference.to_ours(_MISC["ps_in"])
  ours = x.reshape(*x.shape[:3], 2, 9).swapaxes(-1, -2).reshape(x.shape)
  got = lazy.pixel_shuffle(ours, 3)
  want = reference.to_ours(_MISC["pixel_shuffle3"])
  np.testing.assert_array_equal(got, want)


def test_periodic_convolution():
  x = reference.to_ours(_MISC["x"])
  kernel = _MISC["conv_w"].transpose(2, 3, 1, 0)
  conv = blocks.Conv(5, periodic=(True, True))
  variables = {"params": {"kernel": kernel, "bias": np.zeros(5, np.float32)}}
  want = reference.to_ours(_MISC["conv_circ"])
  _assert_close(conv.apply(variables, x), want, want)
