"""Tests of how sizes depend on the scale."""

import numpy as np
import pytest

from hinote_jax.core import scale_laws


def test_numbers_are_the_same_at_all_scales():
  np.testing.assert_array_equal(
    scale_laws.at((0.5, 2), np.ones((3, 2))), [0.5, 2]
  )


def test_a_law_is_a_polynomial_of_logarithms_held_beyond_the_largest():
  laws = ((-1.0, 0.5, -0.125), 3.0)
  scale = np.asarray([[1.0, 1.0], [2.0, 8.0], [8.0, 8.0], [64.0, 64.0]])
  got = np.asarray(scale_laws.at(laws, scale, largest=8.0))
  assert got.shape == (4, 1, 1, 2)
  octaves = np.asarray([0.0, 2.0, 3.0, 3.0])
  want = np.exp(-1.0 + 0.5 * octaves - 0.125 * octaves**2)
  np.testing.assert_allclose(got[:, 0, 0, 0], want, rtol=1e-6)
  np.testing.assert_allclose(got[:, 0, 0, 1], 3.0, rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_fit_meets_what_a_law_says(count):
  scales = np.geomspace(1.5, 16.0, count)
  rank = min(count - 1, 2)
  laws = np.asarray([[-2.0, 0.7, -0.1], [0.3, -0.2, 0.05]])[:, : rank + 1]
  sizes = np.exp(np.log2(scales)[:, None] ** np.arange(rank + 1) @ laws.T)
  np.testing.assert_allclose(scale_laws.fit(scales, sizes), laws, atol=1e-9)
