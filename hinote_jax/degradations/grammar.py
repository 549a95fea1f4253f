"""The grammar of degradation pipelines: stages joined by `|`.

    [blur(sigma) |] one of
      decimate(kernel[, antialias][, drop]) | area | uniform | imresize | pillow
    [| noise(f)]

Exactly one stage reduces; blur comes before it, noise after it. Two stages are
names for what two programs do: imresize, MATLAB's, is decimate(cubic,
antialias); pillow, its bicubic in floating point, is decimate(cubic, antialias,
drop). They differ in the cells whose kernel reaches beyond a wall.
"""

import re

from hinote_jax import naming, resize
from hinote_jax.degradations import pipeline

# Reducing stages without arguments.
_NAMED = {
  "area": {"kernel": "area"},
  "uniform": {"kernel": "nearest"},
  "imresize": {"kernel": "cubic", "antialias": True},
  "pillow": {"kernel": "cubic", "antialias": True, "wall": "drop"},
}
_REDUCING = ("decimate", *_NAMED)
_STAGES = ("blur", *_REDUCING, "noise")
_STAGE = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\(([^()]*)\))?\s*")


def parse(text: str) -> pipeline.Degradation:
  """Reads a degradation from one line; `str` of the result reads back equal.

  Args:
    text: such as "decimate(cubic, antialias)", "decimate(cubic_torch)",
      "area", "uniform", "imresize", "pillow" or
      "blur(1.2)|decimate(linear, antialias)|noise(0.05)".

  Raises:
    ValueError: a stage, kernel or number is unknown or out of place.
  """
  options, names = {}, []
  for part in text.split("|"):
    name, arguments = _stage(part, text)
    if names and _rank(name) <= _rank(names[-1]):
      raise ValueError(
        f"degradation {text!r}: {name} cannot follow {names[-1]}; the order "
        f"is blur, one of {', '.join(_REDUCING)}, then noise"
      )
    names.append(name)
    options |= _options(name, arguments, text)
  if not set(names) & set(_REDUCING):
    raise ValueError(
      f"degradation {text!r} has no reducing stage: add one of "
      f"{', '.join(_REDUCING)}"
    )
  return pipeline.Degradation(**options)


def _rank(name: str) -> int:
  return {"blur": 0, "noise": 2}.get(name, 1)


def _stage(part: str, text: str) -> tuple[str, list[str]]:
  match = _STAGE.fullmatch(part)
  if not match:
    raise ValueError(
      f"degradation {text!r}: cannot read the stage {part.strip()!r}; write "
      "name or name(argument, ...), stages joined by |"
    )
  name, inside = match.groups()
  if name not in _STAGES:
    raise ValueError(_unknown("stage", name, _STAGES, text))
  if inside is None:
    return name, []
  return name, [argument.strip() for argument in inside.split(",")]


def _options(name: str, arguments: list[str], text: str) -> dict:
  if name in _NAMED:
    if arguments:
      raise ValueError(f"degradation {text!r}: {name} takes no arguments")
    return _NAMED[name]
  if name == "decimate":
    return _decimate(arguments, text)
  if len(arguments) != 1:
    raise ValueError(
      f"degradation {text!r}: {name} takes one number, as in {name}(0.5)"
    )
  try:
    return {name: float(arguments[0])}
  except ValueError:
    raise ValueError(
      f"degradation {text!r}: {name} takes a number, not {arguments[0]!r}"
    ) from None


def _decimate(arguments: list[str], text: str) -> dict:
  if not arguments or not arguments[0]:
    raise ValueError(
      f"degradation {text!r}: decimate takes a kernel and, if wanted, "
      "antialias and drop, as in decimate(cubic, antialias)"
    )
  kernel, *flags = arguments
  if kernel not in resize.KERNELS:
    raise ValueError(_unknown("kernel", kernel, tuple(resize.KERNELS), text))
  if flags not in ([], ["antialias"], ["drop"], ["antialias", "drop"]):
    raise ValueError(
      f"degradation {text!r}: after the kernel decimate takes antialias, drop "
      f"or both in this order, not {', '.join(map(repr, flags))}"
    )
  wall = "drop" if "drop" in flags else "mirror"
  return {"kernel": kernel, "antialias": "antialias" in flags, "wall": wall}


def _unknown(what: str, name: str, known: tuple[str, ...], text: str) -> str:
  hint = naming.hint(name, known)
  return f"degradation {text!r}: unknown {what} {name!r}; {hint}"
