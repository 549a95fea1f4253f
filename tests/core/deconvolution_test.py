"""The closed form against dense least squares in float64."""

import itertools

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax.core import deconvolution, taps
from tests.parity import reference


def _dense(kernel, shape, scale, rules, registration):
  """Returns D [h w H W] of a kernel [p q], tap by tap."""
  (height, width), (p, q) = shape, kernel.shape
  h, w = (n // s for n, s in zip(shape, scale, strict=True))
  matrix = np.zeros((h, w, height, width))
  oy, ox = (
    deconvolution.offset(n, s, registration)
    for n, s in zip(kernel.shape, scale, strict=True)
  )
  for i, j in itertools.product(range(h), range(w)):
    y = scale[0] * i + oy - (np.arange(p) - p // 2)
    x = scale[1] * j + ox - (np.arange(q) - q // 2)
    y, x = taps.fold(y, height, rules[0]), taps.fold(x, width, rules[1])
    np.add.at(matrix[i, j], (y[:, None], x), kernel)
  return matrix


def _solved(matrix, x, y, alpha):
  """Returns argmin |D z - y|^2 + alpha |z - x|^2 of one channel."""
  d = matrix.reshape(y.size, x.size)
  left = np.concatenate([d, np.sqrt(alpha) * np.eye(x.size)])
  right = np.concatenate([y.ravel(), np.sqrt(alpha) * x.ravel()])
  return np.linalg.lstsq(left, right)[0].reshape(x.shape)


@hypothesis.given(
  coarse=st.tuples(st.integers(1, 5), st.integers(1, 5)),
  scale=st.tuples(st.integers(1, 3), st.integers(1, 3)),
  half=st.tuples(st.integers(1, 6), st.integers(1, 6)),
  periodic=st.tuples(st.booleans(), st.booleans()),
  registration=st.sampled_from(deconvolution.REGISTRATIONS),
  shares=st.booleans(),
  seed=st.integers(0, 2**16),
)
def test_step_is_the_dense_least_squares(
  coarse, scale, half, periodic, registration, shares, seed
):
  random = np.random.default_rng(seed)
  shape = tuple(n * s for n, s in zip(coarse, scale, strict=True))
  # At walls even, and of the parity of the scale.
  size, rules = [], []
  for n, s, is_periodic in zip(half, scale, periodic, strict=True):
    size.append(n if is_periodic else 2 * n - s % 2)
    rules.append("wrap" if is_periodic else "mirror")
  kernel = random.normal(size=(2, *size, 1 if shares else 3))
  for axis, is_periodic in enumerate(periodic, 1):
    if not is_periodic:
      kernel, registration = kernel + np.flip(kernel, axis), "cells"
  x, y = random.normal(size=(2, *shape, 3)), random.normal(size=(2, *coarse, 3))
  alpha = random.uniform(0.1, 2.0, 2)
  options = dict(periodic=periodic, registration=registration)
  z = deconvolution.data_step(x, y, kernel, alpha, **options)
  assert z.dtype == np.float64
  for b, c in itertools.product(range(2), range(3)):
    profile = kernel[b, ..., 0 if shares else c]
    dense = _dense(profile, shape, scale, rules, registration)
    want = _solved(dense, x[b, ..., c], y[b, ..., c], alpha[b])
    np.testing.assert_allclose(z[b, ..., c], want, atol=1e-10)


@pytest.mark.parametrize("periodic", [(True, True), (False, True)])
def test_single_precision_is_close_to_double(periodic):
  random = np.random.default_rng(0)
  kernel, alpha = random.normal(size=(2, 4, 5, 3)), np.array([0.1, 2.0])
  x, y = random.normal(size=(2, 9, 10, 3)), random.normal(size=(2, 3, 5, 3))
  given = x, y, kernel, alpha
  want = deconvolution.data_step(*given, periodic=periodic)
  got = jax.jit(lambda *a: deconvolution.data_step(*a, periodic=periodic))(
    *map(jnp.float32, given)
  )
  assert got.dtype == jnp.float32
  np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("registration", deconvolution.REGISTRATIONS)
def test_residual_at_walls_is_that_of_the_mirrored_field(registration):
  random = np.random.default_rng(0)
  kernel, x = random.normal(size=(4, 3)), random.normal(size=(8, 9))
  dense = _dense(kernel, (8, 9), (2, 3), ("mirror", "wrap"), registration)
  made = deconvolution.operator(
    kernel[None, ..., None],
    (8, 9),
    (2, 3),
    periodic=(False, True),
    registration=registration,
  )
  got = made.degrade(x[None, ..., None])[0, ..., 0]
  np.testing.assert_allclose(got, np.tensordot(dense, x), atol=1e-12)


def test_without_alpha_the_data_are_met():
  random = np.random.default_rng(0)
  kernel = np.ones((1, 2, 3, 1)) / 6.0  # the mean over cells
  x, y = random.normal(size=(1, 8, 15, 2)), random.normal(size=(1, 4, 5, 2))
  z = deconvolution.data_step(x, y, kernel, np.zeros(1))
  means = z.reshape(1, 4, 2, 5, 3, 2).mean((2, 4))
  np.testing.assert_allclose(means, y, atol=1e-12)


def test_gradients_are_finite_differences():
  random = np.random.default_rng(0)
  given = [
    random.normal(size=(1, 6, 4, 1)),
    random.normal(size=(1, 3, 2, 1)),
    random.normal(size=(1, 3, 4, 1)),
    np.array([0.7]),
  ]
  weights = random.normal(size=(1, 6, 4, 1))

  def value(*a):
    z = deconvolution.data_step(*a, periodic=(True, False))
    return (weights * z).sum()

  slopes = jax.grad(value, argnums=(0, 1, 2, 3))(*map(jnp.float32, given))
  for i, slope in enumerate(slopes):
    direction = random.normal(size=given[i].shape)
    ends = [
      value(*given[:i], given[i] + step * direction, *given[i + 1 :])
      for step in (1e-5, -1e-5)
    ]
    want = (ends[0] - ends[1]) / 2e-5
    assert float((slope * direction).sum()) == pytest.approx(want, rel=1e-4)


def test_fractional_scales_are_refused():
  x, y = np.ones((1, 5, 4, 1)), np.ones((1, 2, 2, 1))
  with pytest.raises(ValueError, match="whole scales: 5 x 4 cells"):
    deconvolution.data_step(x, y, np.ones((1, 1, 1, 1)), np.ones(1))


@reference.needs_reference
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_published_step_and_transfer(scale):
  case = reference.arrays("usrnet", f"datastep_x{scale}")
  x, y, kernel = (reference.to_ours(case[n]) for n in ("x", "y", "kernel"))
  response = deconvolution.transfer(kernel, x.shape[1:3])
  want = case["otf_re"] + 1j * case["otf_im"]
  want = reference.to_ours(want)[:, :, : x.shape[2] // 2 + 1]
  np.testing.assert_allclose(response, want, atol=2e-6)
  z = jax.jit(lambda *a: deconvolution.data_step(*a, registration="corner"))(
    x, y, kernel, case["alpha"][:, 0, 0, 0]
  )
  want = reference.to_ours(case["out"])
  reference.assert_close(z, want, 2e-5 * float(want.std()))
