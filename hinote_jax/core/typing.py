"""The shape language of the package.

Fields are NHWC, points (y, x). b batch; h w low-resolution cells; H W query
points; c channels. A jaxtyping annotation such as Float[Array, "b h w c"] is
enforced in the tests.
"""

import jax
import numpy as np

Array = jax.Array | np.ndarray

Periodic = tuple[bool, bool]  # which of (y, x) close on themselves
