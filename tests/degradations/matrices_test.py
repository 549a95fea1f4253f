"""Tests of degradations as sparse matrices, and of what undoes them."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import ndimage

from hinote_jax import degradations
from hinote_jax.core import deconvolution
from hinote_jax.degradations import matrices
from hinote_jax.infer import consistency
from tests.degradations import axis

_PERIODIC = (False, True)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
  """Returns degradations beyond those of one band an axis."""
  path = tmp_path_factory.mktemp("kernels") / "psf.npy"
  np.save(path, np.random.default_rng(3).random((3, 5)))
  return {
    "truncate": "truncate",
    "unlike": "blur(0.4, 0.2)|area",
    "turned": "blur(0.5, 0.2, 30)|decimate(cubic, antialias)",
    "kernel": f"kernel({path})|area",
  }


_NAMES = ("truncate", "unlike", "turned", "kernel")


def _field(shape, seed=0):
  """Returns a smooth float32 field of about 280 +- 10."""
  values = np.random.default_rng(seed).normal(size=shape)
  values = ndimage.gaussian_filter(values, (1.0, 1.0, 0.0))
  return (280.0 + 10.0 * values / values.std()).astype(np.float32)


@given(
  st.sampled_from(["area", "imresize", "pillow", "blur(0.5)|area", "truncate"]),
  st.integers(1, 150),
  st.floats(1.0, 5.0),
  st.booleans(),
)
def test_matrix_of_one_product_is_the_operator_of_an_axis(
  text, n, scale, is_periodic
):
  # Made in blocks of 64 coarse cells.
  degradation, fine = degradations.parse(text), round(n * scale)
  (along_y,), (along_x,) = matrices.whole(
    degradation, (fine, 3), (n, 1), (is_periodic, False)
  )
  indices, matrix = axis.operator(
    degradation, fine, scale=fine / n, count=n, is_periodic=is_periodic
  )
  want = matrix @ (indices[:, None] == np.arange(fine))
  np.testing.assert_allclose(along_y.toarray(), want, atol=1e-12)
  np.testing.assert_allclose(along_y.sum(1), 1.0, atol=1e-12)
  assert along_x.shape == (1, 3)


@pytest.mark.parametrize("name", _NAMES)
def test_products_add_up_to_the_degraded_field(texts, name):
  degradation, field = degradations.parse(texts[name]), _field((30, 44, 1))
  terms = matrices.whole(degradation, (30, 44), (8, 12), _PERIODIC)
  total = sum(y @ field[..., 0] @ x.T for y, x in zip(*terms, strict=True))
  want = degradation.field(field, (8, 12), periodic=_PERIODIC)
  np.testing.assert_allclose(total, want[..., 0], atol=2e-4)  # float32 of 280


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("fine", [(26, 40), (30, 53)])
def test_degrading_the_nearest_field_gives_the_input(texts, name, fine):
  degradation, shape = degradations.parse(texts[name]), (13, 20)
  lowres, highres = _field((*shape, 2)), _field((*fine, 2), 1)
  projection = consistency.Projection(degradation, fine, shape, _PERIODIC)
  residual = projection.residual()
  parts = [(slice(0, 17), slice(0, 40)), (slice(0, 17), slice(40, None))]
  parts += [(slice(17, None), columns) for _, columns in parts]
  for rows, columns in parts:
    residual.add(rows, columns, highres[rows, columns])
  z, out = residual.solve(lowres), highres.copy()
  for rows, columns in parts:
    out[rows, columns] += projection.correction(rows, columns, z)
  back = degradation.field(out, shape, periodic=_PERIODIC)
  assert np.abs(highres - out).max() > 1.0
  full = np.ptp(lowres, axis=(0, 1))
  assert np.all(np.abs(back - lowres).max((0, 1)) < 1e-5 * full)


@pytest.mark.parametrize("name", _NAMES)
def test_result_is_the_nearest_of_the_consistent_fields(texts, name):
  degradation, shape, fine = degradations.parse(texts[name]), (5, 6), (11, 15)
  lowres = _field((*shape, 1)).astype(np.float64)
  highres = _field((*fine, 1), 1).astype(np.float64)
  projection = consistency.Projection(
    degradation, fine, shape, _PERIODIC, tolerance=1e-10
  )
  terms = matrices.whole(degradation, fine, shape, _PERIODIC)
  matrix = sum(
    np.kron(y.toarray(), x.toarray()) for y, x in zip(*terms, strict=True)
  )
  gap = lowres.ravel() - matrix @ highres.ravel()
  want = highres.ravel() + np.linalg.pinv(matrix) @ gap
  found = projection(highres, lowres)
  np.testing.assert_allclose(found.ravel(), want, atol=3e-4)


def test_products_may_read_cells_apart(tmp_path):
  # The singular vectors of this kernel have no cell in common.
  np.save(tmp_path / "k.npy", np.diag([3.0, 2.0, 1.0]))
  degradation = degradations.parse(f"kernel({tmp_path / 'k.npy'})|uniform")
  lowres, highres = _field((5, 6, 1)), _field((15, 18, 1), 1)
  found = consistency.Projection(degradation, (15, 18), (5, 6), _PERIODIC)(
    highres, lowres
  )
  back = degradation.field(found, (5, 6), periodic=_PERIODIC)
  np.testing.assert_allclose(back, lowres, atol=1e-5 * np.ptp(lowres))


def test_magnitudes_are_refused_by_name():
  scan = degradations.parse("kspace(hamming)")
  with pytest.raises(ValueError, match=r"cannot undo kspace\(hamming\): it ta"):
    consistency.Projection(scan, (8, 8), (4, 4), _PERIODIC)
  with pytest.raises(ValueError, match=r"kspace\(hamming\) is not linear"):
    matrices.whole(scan, (8, 8), (4, 4), _PERIODIC)


@pytest.mark.parametrize("periodic", [(True, True), (False, True)])
@pytest.mark.parametrize("scale", [(1, 2), (2, 3), (4, 1)])
@pytest.mark.parametrize(
  "text", ["area", "uniform", "imresize", "decimate(linear)", "blur(0.7)|area"]
)
def test_one_kernel_is_the_degradation(text, scale, periodic):
  degradation = degradations.parse(text)
  x = np.random.default_rng(0).normal(size=(8, 12, 2))
  shape = 8 // scale[0], 12 // scale[1]
  want = degradation.field(x, shape, periodic=periodic)
  kernel = matrices.kernel(degradation, scale)
  if text == "area":
    np.testing.assert_allclose(kernel, np.full(scale, 1.0 / np.prod(scale)))
  made = deconvolution.operator(
    kernel[None, ..., None], (8, 12), scale, periodic=periodic
  )
  np.testing.assert_allclose(made.degrade(x[None])[0], want, atol=2e-6)


def test_what_is_no_kernel_is_said():
  with pytest.raises(ValueError, match="truncate is no convolution"):
    matrices.kernel(degradations.parse("truncate"), (2, 2))
  with pytest.raises(ValueError, match="wants whole scales, got 2.5 and 2"):
    matrices.kernel(degradations.parse("area"), (2.5, 2))


def test_at_whole_scales_an_area_blurs_less():
  # Variance of the kernel about its centre: (s^2 - 1) / 12 where cells line up;
  # (s^2 + 1) / 12 on the mean over all places where they do not.
  place = np.arange(64.0)
  for scale, expected in ((2.0, 3 / 12), (2.0 + 1e-3, 5 / 12)):
    variances = []
    for start in (
      np.linspace(0.0, 1.0, 40, endpoint=False) if scale > 2 else [0]
    ):
      index, matrix = axis.operator(
        degradations.parse("area"),
        64,
        scale=scale,
        start=8.0 + start,
        count=1,
        is_periodic=False,
      )
      centre = 8.0 + start + scale / 2 - 0.5
      variances.append(matrix[0] @ (place[index] - centre) ** 2)
    np.testing.assert_allclose(np.mean(variances), expected, atol=5e-3)
