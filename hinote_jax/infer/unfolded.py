"""Plug and play: any known degradation undone with a network that denoises."""

from typing import Any

import numpy as np

from hinote_jax.core import grids
from hinote_jax.degradations import matrices, pipeline
from hinote_jax.infer import blurred, predict
from hinote_jax.models.spec import Spec
from hinote_jax.models.unfolding import splitting

_SCALES = range(1, 9)
# Of the deviation of fields: 49 of 255 of photographs, which deviate by 63.
_LARGEST = 0.77


class Unfolded(predict.Predictor):
  """A predictor that unfolds a degradation around a denoiser.

  It is called as every predictor; what blurred an input and how noisy it is may
  be told anew at each call, as to USRNet. Its answers are those of the
  denoiser, never of USRNet.

  Examples:
    >>> import jax
    >>> import numpy as np
    >>> from hinote_jax import degradations, infer, models
    >>> module, x = models.build("ffdnet", width=8, depth=3), np.ones((4, 6))
    >>> given = jax.random.key(0), x[None, ..., None], 0.1
    >>> variables = module.init(*given, method="denoise")
    >>> denoiser = infer.Predictor(module, variables)
    >>> blur = degradations.parse("blur(0.5)|area")
    >>> infer.Unfolded(denoiser, blur, iterations=1)(x, scale=2).shape
    (8, 12)
  """

  def __init__(
    self,
    denoiser: predict.Predictor,
    degradation: pipeline.Degradation,
    *,
    iterations: int = 8,
    largest: float | None = None,
    **options: Any,
  ):
    """Puts it together.

    Args:
      denoiser: of a network that denoises, as "ffdnet".
      degradation: a convolution and a decimation; its noise is in the units of
        the denoiser's values.
      iterations: how often the data are met and noise is taken away.
      largest: noise that the first iteration takes away, in units of the
        network; None is 49 of 255 of white, or its like for fields.
      **options: registration and walls of `splitting.Splitting`.

    Raises:
      ValueError: the network does not denoise, or the degradation is no
        convolution.
    """
    module: Any = denoiser.module
    periodic = grids.pair(denoiser.periodic)
    if not hasattr(module, "denoise"):
      raise ValueError(
        f"{type(module).__name__} takes no noise away: plug in a denoiser, as "
        "ffdnet"
      )
    if largest is None:
      largest = _LARGEST if denoiser.normaliser is not None else 49.0 / 255.0
    own = degradation.noise * blurred.units(denoiser, module.channels)
    kernels = {
      str(s): tuple(map(tuple, matrices.kernel(degradation, (s, s)).tolist()))
      for s in _SCALES
    }
    super().__init__(
      splitting.Splitting(
        denoiser=module,
        iterations=iterations,
        largest=largest,
        channels=module.channels,
        kernel=kernels,
        noise=float(np.sqrt(np.mean(np.square(own)))),
        periodic=periodic,
        **options,
      ),
      denoiser.variables,
      normaliser=denoiser.normaliser,
      periodic=periodic,
      names=denoiser.names,
      spec=Spec("unfolded", "", optional=("kernel", "noise")),
      learnt=denoiser.learnt,
      roughness=denoiser.roughness,
    )
