"""How a coarse field is made from a fine one, as a line of text.

`parse("blur(0.5)|decimate(cubic, antialias)|noise(0.01)")` gives a
`Degradation`; the text is kept in every result that depends on it.
"""

from hinote_jax.degradations.grammar import parse
from hinote_jax.degradations.pipeline import Degradation

__all__ = ["Degradation", "parse"]
