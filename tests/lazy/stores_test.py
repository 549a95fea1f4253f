"""Windows of a store against NumPy, in memory and in a scratch file."""

import tempfile

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from hinote_jax.lazy import stores

_SHAPE = 2, 7, 5, 3
_PLACE = st.sampled_from((False, True))


def _filled(is_scratch, seed=0):
  """Returns a store of random values, and these."""
  values = np.random.default_rng(seed).normal(size=_SHAPE).astype(np.float32)
  store = stores.Store(_SHAPE, is_scratch=is_scratch)
  store.write(0, 0, values)
  return store, values


@given(
  _PLACE,
  st.tuples(st.integers(-30, 30), st.integers(-30, 30)),
  st.tuples(st.integers(1, 25), st.integers(1, 25)),
)
def test_windows_go_around_as_numpys_take(is_scratch, start, shape):
  store, values = _filled(is_scratch)
  want = values
  for axis, (first, count) in enumerate(zip(start, shape, strict=True), 1):
    want = want.take(range(first, first + count), axis, mode="wrap")
  np.testing.assert_array_equal(store.read(start, shape), want)


@given(st.data())
def test_file_and_memory_hold_the_same_bits(data):
  both = [_filled(is_scratch)[0] for is_scratch in (False, True)]
  _, height, width, _ = _SHAPE
  random = np.random.default_rng(1)
  for _ in range(3):
    y, x = (data.draw(st.integers(0, n - 1)) for n in (height, width))
    h = data.draw(st.integers(1, height - y))
    w = data.draw(st.integers(1, width - x))
    window = random.normal(size=(2, h, w, 3)).astype(np.float32)
    window.flat[0] = np.nan  # bits, not values
    for store in both:
      store.write(y, x, window)
  memory, file = (store.read((0, 0), (height, width)) for store in both)
  assert memory.tobytes() == file.tobytes()


@pytest.mark.parametrize("is_scratch", [False, True])
def test_windows_may_be_views_of_other_arrays(is_scratch):
  store, values = _filled(is_scratch)
  window = np.asfortranarray(np.ones((2, 4, 6, 3), np.float64))[:, ::2, ::-2]
  store.write(3, 1, window)
  values[:, 3:5, 1:4] = 1.0
  np.testing.assert_array_equal(store.read((0, 0), (7, 5)), values)


def test_store_of_an_array_has_its_values_as_float32():
  values = np.random.default_rng(0).normal(size=_SHAPE)
  store = stores.Store.of(values)
  want = np.roll(values, (2, -1), (1, 2)).astype(np.float32)
  np.testing.assert_array_equal(store.read((-2, 1), (7, 5)), want)


def test_scratch_folder_that_is_not_there_raises(monkeypatch, tmp_path):
  monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
  with pytest.raises(OSError, match="nowhere"):
    stores.Store(_SHAPE, is_scratch=True)
