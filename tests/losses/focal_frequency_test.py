"""Tests of the focal frequency loss against sums over frequencies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hinote_jax import losses
from hinote_jax.losses import focal_frequency

_KEYS = jax.random.split(jax.random.key(0), 2)
_PRED, _HIGHRES = (jax.random.normal(key, (2, 6, 9, 2)) for key in _KEYS)
# alpha, patch_factor, ave_spectrum, log_matrix, batch_matrix
_CASES = [
  (1.0, 1, False, False, False),
  (2.0, 3, False, False, False),
  (1.0, 1, True, False, False),
  (0.5, 3, False, True, False),
  (1.0, 3, True, True, True),
]


def _apply(pred, highres=_HIGHRES, **kwargs):
  loss = losses.build("focal_frequency", **kwargs)
  return loss.apply({}, pred, highres, None, None)


def _spectrum(image):
  """The orthonormal transform of [h w], by its definition."""
  h, w = image.shape
  y, x = (
    np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n)
    for n in (h, w)
  )
  return y @ image @ x.T / np.sqrt(h * w)


def _patches(field, factor):
  """[b h w c] -> the spectra of the patches of each image, [b p c h w]."""
  b, height, width, c = field.shape
  h, w = height // factor, width // factor
  return np.array(
    [
      [
        [
          _spectrum(field[n, i * h : (i + 1) * h, j * w : (j + 1) * w, k])
          for k in range(c)
        ]
        for i in range(factor)
        for j in range(factor)
      ]
      for n in range(b)
    ]
  )


def _reference(
  alpha, patch_factor, ave_spectrum, log_matrix, batch_matrix, frozen=None
):
  """Returns the loss in float64; `frozen` is the field the weight sees."""

  def distance(pred):
    pred, highres = (
      _patches(np.float64(field), patch_factor) for field in (pred, _HIGHRES)
    )
    if ave_spectrum:
      pred, highres = (
        pred.mean(0, keepdims=True),
        highres.mean(0, keepdims=True),
      )
    return np.abs(pred - highres)

  def loss(pred):
    weight = distance(pred if frozen is None else frozen) ** alpha
    weight = np.log(1.0 + weight) if log_matrix else weight
    axes = None if batch_matrix else (3, 4)
    weight = weight / weight.max(axis=axes, keepdims=True)
    return (weight * distance(pred) ** 2).mean()

  return loss


@pytest.mark.parametrize("options", _CASES)
def test_value_is_a_sum_over_frequencies(options):
  names = (
    "alpha",
    "patch_factor",
    "ave_spectrum",
    "log_matrix",
    "batch_matrix",
  )
  kwargs = dict(zip(names, options, strict=True))
  want = _reference(*options)(_PRED)
  np.testing.assert_allclose(_apply(_PRED, **kwargs).mean(), want, rtol=2e-6)
  twice = _apply(_PRED, loss_weight=2, **kwargs).mean()
  np.testing.assert_allclose(twice, 2.0 * want, rtol=2e-6)


def test_weight_is_fixed_in_the_gradient():
  gradient = jax.grad(lambda pred: _apply(pred, log_matrix=True).mean())(_PRED)
  loss = _reference(1.0, 1, False, True, False, frozen=_PRED)
  step = np.random.default_rng(0).normal(size=_PRED.shape)
  pred = np.float64(_PRED)
  slope = (loss(pred + 1e-5 * step) - loss(pred - 1e-5 * step)) / 2e-5
  np.testing.assert_allclose((gradient * step).sum(), slope, rtol=1e-4)


def test_one_wave_costs_its_power():
  # Of an error a cos(k x) two modes hold all power, h w a^2 / 4 each of an
  # orthonormal transform, and weigh 1.
  wave = 0.3 * np.cos(2.0 * np.pi * np.arange(9) / 9)
  pred = _HIGHRES + wave[:, None]
  want = 2.0 * (6 * 9 * 0.3**2 / 4) / (6 * 9)
  each = _apply(pred)
  np.testing.assert_allclose(each.mean(), want, rtol=1e-5)
  # Each is where its frequency is.
  np.testing.assert_allclose(each[:, 0, 1], 6 * 9 * 0.3**2 / 4, rtol=1e-5)
  np.testing.assert_allclose(each[:, 2, 3], 0.0, atol=1e-9)


def test_given_weights_are_taken():
  matrix = jax.random.uniform(_KEYS[0], _PRED.shape)
  loss = losses.build("focal_frequency")
  got = loss.apply({}, _PRED, _HIGHRES, None, None, matrix=matrix)
  spectrum = _patches(np.float64(_PRED - _HIGHRES), 1)[:, 0]
  want = matrix * np.moveaxis(np.abs(spectrum) ** 2, 1, 3)
  np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_a_perfect_fit_costs_nothing_and_pulls_nowhere(alpha):
  value, gradient = jax.value_and_grad(
    lambda pred: _apply(pred, alpha=alpha, log_matrix=True).mean()
  )(_HIGHRES)
  assert value == 0.0
  np.testing.assert_array_equal(gradient, 0.0)


def test_sides_that_do_not_divide_are_refused():
  with pytest.raises(ValueError, match="patch_factor 4 .* 6 x 9"):
    focal_frequency.spectra(jnp.zeros((1, 6, 9, 1)), 4)
