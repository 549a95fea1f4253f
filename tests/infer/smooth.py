"""Fields for tests of consistency."""

import numpy as np
from scipy import ndimage


def field(shape, seed=0):
  """Returns a smooth float32 field of about 280 +- 10."""
  values = np.random.default_rng(seed).normal(size=shape)
  values = ndimage.gaussian_filter(values, (1.0, 1.0, 0.0))
  values *= 10.0 / max(values.std(), 0.1)
  return (280.0 + values).astype(np.float32)
