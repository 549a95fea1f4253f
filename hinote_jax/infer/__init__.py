"""From a trained network to fields in physical units."""

from hinote_jax.infer.predict import Predictor, load

__all__ = ["Predictor", "load"]
