"""Tests that a loss does not depend on how a batch is divided, or says so."""

import jax
import numpy as np
import pytest

from hinote_jax import losses
from hinote_jax.core import grids
from hinote_jax.losses import terms

_KEYS = jax.random.split(jax.random.key(0), 3)
_PRED, _HIGHRES = (jax.random.normal(key, (4, 8, 12, 2)) for key in _KEYS[:2])
_LOWRES = jax.random.normal(_KEYS[2], (4, 4, 6, 2))
_OPTIONS = {
  "autoencode": (dict(window=3),),
  "focal_frequency": (
    {},
    dict(patch_factor=2, log_matrix=True),
    dict(ave_spectrum=True),
    dict(batch_matrix=True),
  ),
  "frequency_prior": ({}, dict(learned=True)),
}


@pytest.mark.parametrize(
  ("name", "options"),
  [
    (name, options)
    for name in losses._LOSSES
    for options in _OPTIONS.get(name, ({},))
  ],
)
def test_a_loss_is_the_mean_of_its_parts_or_says_that_it_is_not(name, options):
  loss = losses.build(name, **options)
  axes = grids.axes((8, 12))
  given = _PRED, _HIGHRES, _LOWRES, axes
  variables = loss.init(_KEYS[0], *given)

  def mean(*rows):
    pred, highres, lowres = (x[slice(*rows)] for x in given[:3])
    return float(loss.apply(variables, pred, highres, lowres, axes).mean())

  parts = np.mean([mean(0, 2), mean(2, 4)])
  is_same = np.isclose(parts, mean(0, 4), rtol=1e-5)
  assert losses.is_of_batch(loss) != is_same
  assert losses.is_of_batch(terms.WithTerms(loss, (), ())) != is_same
