"""Several degradations from one line.

blur({0.4,0.8,1.2})|decimate(cubic, antialias)
blur({0.4:1.2:0.4})|{area,decimate(linear, antialias)}|noise({0,0.05})
"""

import re

import numpy as np

from hinote_jax.degradations import grammar, pipeline

_CHOICE = re.compile(r"\{([^{}]*)\}")
# Not those between the arguments of a stage.
_COMMA = re.compile(r",(?![^()]*\))")


def sweep(text: str) -> list[tuple[str, pipeline.Degradation]]:
  """Returns the degradations that a line with choices stands for.

  Args:
    text: as `parse` takes it, but for choices in braces: alternatives between
      commas, each any piece of text, or numbers from first to last by a step,
      first:last:step, the last one included if a step ends on it. Of several
      choices the last one changes fastest.

  Returns:
    the text of each, as logs and results give it, and the degradation.

  Raises:
    ValueError: a choice cannot be read, or what it gives cannot be parsed, or
      two degradations are the same.
    OSError: the file of a kernel cannot be read.

  Examples:
    >>> [text for text, _ in sweep("blur({0.4,0.8})|area")]
    ['blur(0.4)|area', 'blur(0.8)|area']
  """
  parsed = [grammar.parse(one) for one in _expanded(text, text)]
  named = {str(degradation): degradation for degradation in parsed}
  if len(named) < len(parsed):
    raise ValueError(
      f"sweep {text!r} gives {len(parsed)} degradations, of which only "
      f"{len(named)} differ: leave the others out"
    )
  return list(named.items())


def _expanded(text, whole):
  match = _CHOICE.search(text)
  if match is None:
    if "{" in text or "}" in text:
      raise ValueError(
        f"sweep {whole!r}: each {{ needs a }}, and none may stand in another"
      )
    return [text]
  before, after = text[: match.start()], text[match.end() :]
  ends = _expanded(after, whole)
  choices = _choices(match.group(1), whole)
  return [f"{before}{choice}{end}" for choice in choices for end in ends]


def _choices(inside, whole):
  if ":" not in inside:
    return [choice.strip() for choice in _COMMA.split(inside)]
  first = step = 0.0
  try:
    first, last, step = map(float, inside.split(":"))
    count = int(np.floor((last - first) / step + 1e-9)) + 1
  except (ValueError, OverflowError, ZeroDivisionError):
    count = 0
  if count < 1:
    raise ValueError(
      f"sweep {whole!r}: cannot read the range {{{inside}}}; write "
      "first:last:step, as in {0.4:1.2:0.4}"
    )
  # Rounded: 0.1 + 2 0.1 is to read 0.3.
  return [repr(round(first + i * step, 12)) for i in range(count)]
