"""How a coarse field is made from a fine one, as a line of text.

`parse("blur(0.5)|decimate(cubic, antialias)|noise(0.01)")` gives a
`Degradation`; the text is kept in every result that depends on it. `sweep`
gives several of a line with choices, `response` what one leaves of each wave.
"""

from hinote_jax.degradations.grammar import parse
from hinote_jax.degradations.pipeline import Degradation
from hinote_jax.degradations.responses import response
from hinote_jax.degradations.sweeps import sweep

__all__ = ["Degradation", "parse", "response", "sweep"]
