"""From a trained network to fields in physical units."""

from hinote_jax.infer.loading import load
from hinote_jax.infer.predict import Predictor
from hinote_jax.infer.unfolded import Unfolded

__all__ = ["Predictor", "Unfolded", "load"]
