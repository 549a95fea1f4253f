"""The grammar of degradation pipelines: stages joined by `|`.

    [blur(sigma) | blur(along y, along x[, degrees]) | kernel(file[, digest])]
    | one of
      decimate(kernel[, antialias][, drop]) | area | uniform | imresize | pillow
      | truncate | kspace[(window, partial=fraction, noise=f)]
    [| noise(f)]

Exactly one stage reduces; a blur comes before it, noise after it. Two stages
are names for what two programs do: imresize, MATLAB's, is decimate(cubic,
antialias); pillow, its bicubic in floating point, is decimate(cubic, antialias,
drop). They differ in the cells whose kernel reaches beyond a wall.
"""

import re

from hinote_jax.core import naming, taps
from hinote_jax.degradations import blurs, kspace, linear, pipeline

# Reducing stages without arguments.
_NAMED = {
  "area": {"kernel": "area"},
  "uniform": {"kernel": "nearest"},
  "imresize": {"kernel": "cubic", "antialias": True},
  "pillow": {"kernel": "cubic", "antialias": True, "wall": "drop"},
  "truncate": {"kernel": "truncate"},
}
_BLURRING = ("blur", "kernel")
_REDUCING = ("decimate", *_NAMED, "kspace")
_STAGES = (*_BLURRING, *_REDUCING, "noise")
_STAGE = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\(([^()]*)\))?\s*")
_NUMBERS = {
  "blur": "one number, as in blur(0.5), or one along y, one along x and the "
  "degrees from y towards x, as in blur(1.2, 0.6, 30)",
  "noise": "one number, as in noise(0.5)",
}


def parse(text: str) -> pipeline.Degradation:
  """Reads a degradation from one line; `str` of the result reads back equal.

  Args:
    text: such as "decimate(cubic, antialias)", "decimate(cubic_torch)",
      "area", "uniform", "imresize", "pillow", "truncate", "kspace(hamming)",
      "blur(1.2)|decimate(linear, antialias)|noise(0.05)",
      "blur(1.2, 0.6, 30)|area" or "kernel(psf.npy)|uniform". Only a kernel
      reads a file.

  Raises:
    ValueError: a stage, kernel or number is unknown or out of place.
    OSError: the file of a kernel cannot be read.

  Examples:
    >>> import numpy as np
    >>> fine = np.array([[1.0, 3.0, 5.0, 7.0]] * 2)[..., None]
    >>> area = parse("area")
    >>> area.field(fine, (1, 2), periodic=(False, False))[0, :, 0].tolist()
    [2.0, 6.0]
    >>> str(parse(" imresize | noise( 0.1 )"))
    'decimate(cubic, antialias)|noise(0.1)'
  """
  options, names = {}, []
  for part in text.split("|"):
    name, arguments = _stage(part, text)
    if names and _rank(name) <= _rank(names[-1]):
      raise ValueError(
        f"degradation {text!r}: {name} cannot follow {names[-1]}; the order "
        f"is blur or kernel, one of {', '.join(_REDUCING)}, then noise"
      )
    names.append(name)
    options |= _options(name, arguments, text)
  if not set(names) & set(_REDUCING):
    raise ValueError(
      f"degradation {text!r} has no reducing stage: add one of "
      f"{', '.join(_REDUCING)}"
    )
  if "kspace" in names:
    return kspace.KSpace(**options)
  return linear.Linear(**options)


def _rank(name: str) -> int:
  return 0 if name in _BLURRING else 2 if name == "noise" else 1


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
  if name == "kspace":
    return _kspace(arguments, text)
  if name == "kernel":
    return _kernel(arguments, text)
  if not 1 <= len(arguments) <= (3 if name == "blur" else 1):
    raise ValueError(f"degradation {text!r}: {name} takes {_NUMBERS[name]}")
  numbers = [_number(name, argument, text) for argument in arguments]
  if name == "noise":
    return {"noise": numbers[0]}
  if len(numbers) == 1:
    numbers *= 2
  return {"blur": blurs.Gaussian(*numbers) or None}


def _number(name: str, argument: str, text: str) -> float:
  try:
    return float(argument)
  except ValueError:
    raise ValueError(
      f"degradation {text!r}: {name} takes a number, not {argument!r}"
    ) from None


def _decimate(arguments: list[str], text: str) -> dict:
  if not arguments or not arguments[0]:
    raise ValueError(
      f"degradation {text!r}: decimate takes a kernel and, if wanted, "
      "antialias and drop, as in decimate(cubic, antialias)"
    )
  kernel, *flags = arguments
  if kernel not in taps.KERNELS:
    raise ValueError(_unknown("kernel", kernel, tuple(taps.KERNELS), text))
  if flags not in ([], ["antialias"], ["drop"], ["antialias", "drop"]):
    raise ValueError(
      f"degradation {text!r}: after the kernel decimate takes antialias, drop "
      f"or both in this order, not {', '.join(map(repr, flags))}"
    )
  wall = "drop" if "drop" in flags else "mirror"
  return {"kernel": kernel, "antialias": "antialias" in flags, "wall": wall}


def _kspace(arguments: list[str], text: str) -> dict:
  windows = tuple(name for name in kspace.WINDOWS if name != "none")
  keys = {"partial": "partial", "noise": "mode_noise"}
  options = {}
  for argument in arguments:
    key, is_given, value = map(str.strip, argument.partition("="))
    option = keys.get(key) if is_given else "window"
    if option == "window" and key not in windows:
      raise ValueError(_unknown("window of kspace", key, windows, text))
    if option is None:
      raise ValueError(_unknown("option of kspace", key, tuple(keys), text))
    if option in options:
      raise ValueError(
        f"degradation {text!r}: kspace takes one {option}, not {argument!r} too"
      )
    is_window = option == "window"
    options[option] = (
      key if is_window else _number(f"kspace {key}", value, text)
    )
  return options


def _kernel(arguments: list[str], text: str) -> dict:
  if not 1 <= len(arguments) <= 2 or not all(arguments):
    raise ValueError(
      f"degradation {text!r}: kernel takes a file and, if wanted, the first "
      "digits of its SHA-256, as in kernel(psf.npy); the name of the file "
      "holds no comma"
    )
  return {"blur": blurs.read(*arguments)}


def _unknown(what: str, name: str, known: tuple[str, ...], text: str) -> str:
  hint = naming.hint(name, known)
  return f"degradation {text!r}: unknown {what} {name!r}; {hint}"
