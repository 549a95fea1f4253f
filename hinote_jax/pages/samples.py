"""Fields as a page holds them: rounded, and as differences from one of them.

What a page shows of a field is the base, a truth or an interpolation, and of
each reconstruction what it differs by; the browser adds them. All are counted
in the steps of their colours: whole numbers that take few bytes.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
from typing import Any

import matplotlib
from matplotlib import colors
import numpy as np

from hinote_jax.plots import looks, maps, style

# Steps that the colours of fields and of errors have, and the values as well.
_STEPS, _ERROR_STEPS = 256, 16
_COUNTS = (np.int8, np.int16, np.int32)
# Pixels of a map, at most.
_WIDTH, _HEIGHT = 236, 340
# A sample of more values is shown through a window.
_VALUES = 1_500_000


@dataclasses.dataclass(frozen=True)
class Sample:
  """One field or photograph at one scale.

  Attributes:
    name: which one it is.
    scale: of it, as text: "x4".
    lowres: the input, [h w c].
    base: what others differ from, the truth or an interpolation, [H W c].
    others: name -> [H W c].
    frame: where the fine ones lie.
    coarse: where the input lies; it covers the fine ones.
  """

  name: str
  scale: str
  lowres: np.ndarray
  base: np.ndarray
  others: Mapping[str, np.ndarray]
  frame: maps.Frame
  coarse: maps.Frame


def windowed(sample: Sample) -> Sample:
  """Returns a sample that a page can hold: whole, or a window of it.

  The window is where the others differ most from the base; the name of the
  sample says which rows and columns it has.
  """
  shape = sample.base.shape[:2]
  share = _VALUES / sample.base.size
  if share >= 1.0:
    return sample
  errors = [np.nan_to_num(v - sample.base) for v in sample.others.values()]
  error = np.sqrt(np.mean(np.square(errors), axis=(0, -1)))
  cells = maps.worst_window(error, float(np.sqrt(share)))
  fine = [slice(a, a + n) for a, n in zip(cells[:2], cells[2:], strict=True)]
  frame = _within(sample.frame, shape, cells)
  coarse = sample.lowres.shape[:2]
  under = _touched(sample.coarse, coarse, frame.extent)
  first, count = zip(*((p.start, p.stop - p.start) for p in under), strict=True)
  text = "rows {} to {}, columns {} to {}".format(
    *(n for part in fine for n in (part.start, part.stop - 1))
  )
  return dataclasses.replace(
    sample,
    name=f"{sample.name}: {text} of {shape[0]} x {shape[1]}",
    lowres=sample.lowres[*under],
    base=sample.base[*fine],
    others={name: values[*fine] for name, values in sample.others.items()},
    frame=frame,
    coarse=_within(sample.coarse, coarse, (*first, *count)),
  )


def _within(frame: maps.Frame, shape, cells) -> maps.Frame:
  return frame._replace(extent=maps.box(frame, shape, cells))


def _touched(frame: maps.Frame, shape, extent) -> list[slice]:
  """Returns the rows and columns of a frame that touch an extent."""
  left, right, bottom, top = frame.extent
  y = (top, bottom) if frame.origin == "upper" else (bottom, top)
  parts = []
  for n, (first, last), ends in zip(
    shape, (y, (left, right)), (extent[2:], extent[:2]), strict=True
  ):
    edges = np.sort((np.asarray(ends) - first) * n / (last - first))
    # What rounding adds is no cell.
    low, high = np.clip(edges + (1e-6, -1e-6), 0, n)
    parts.append(slice(int(np.floor(low)), int(np.ceil(high))))
  return parts


class Packed:
  """Samples as arrays by name, and what is to be said of each.

  Attributes:
    arrays: by name [h w], the row of least y and the column of least x first.
    descriptions: sample, then channel -> titles and limits of colours, and the
      names of the arrays of its parts: "input", "base", "0", the first of the
      others less the base, and so on; in colour "0 image" as well. Colours are
      bytes, all else `counts` with the first value and the step in "codes".
    places: sample -> name, extents and size of the maps.
    palettes: those that `descriptions` counts.
  """

  def __init__(
    self,
    samples: Sequence[Sample],
    variables: Sequence[Mapping[str, str]],
    *,
    base: str,
    domain: str = "",
    in_colour: bool = False,
  ):
    """Packs samples; all have the variables, and others of the same names.

    Args:
      samples: in order.
      variables: "name", "units" and "long_name" of each channel.
      base: what the base is called.
      domain: the science, for its colours.
      in_colour: the channels are red, green and blue, within [0, 1].
    """
    self.arrays: dict[str, np.ndarray] = {}
    self.palettes: list[list[str]] = []
    self.places = [_place(sample) for sample in samples]
    self.descriptions: list[list[dict[str, Any]]] = []
    self._base = base
    for sample in samples:
      if in_colour:
        self.descriptions.append([self._colours(sample)])
        continue
      every = enumerate(variables)
      self.descriptions.append(
        [self._channel(sample, c, v, domain) for c, v in every]
      )

  def _channel(self, sample, c, variable, domain) -> dict[str, Any]:
    base, units = sample.base[..., c], variable["units"]
    known = base[np.isfinite(base)]
    known = known if known.size else np.zeros(1)
    names = dict(name=variable["name"], units=units, domain=domain)
    look = looks.look(known, **names)
    palette, low, high = _palette(look)
    if palette not in self.palettes:
      self.palettes.append(palette)
    step = (high - low) / _STEPS
    code = [low + step / 2, step]
    parts = {
      "input": self._add(counts(sample.lowres[..., c], *code), sample.coarse),
      "base": self._add(counts(base, *code), sample.frame),
    }
    errors = {n: v[..., c] - base for n, v in sample.others.items()}
    unit = style.unit_label(units).strip(" []") or variable["name"]
    colours = {"low": low, "high": high, "unit": unit}
    colours["palette"] = self.palettes.index(palette)
    colours["under"], colours["over"] = _beyond(look)
    codes = dict.fromkeys(parts, code)
    return colours | self._described(sample, errors, parts, units, codes)

  def _colours(self, sample) -> dict[str, Any]:
    """Packs photographs as bytes, and their errors as means over colours."""
    images = {"input": sample.lowres, "base": sample.base}
    images |= {f"{n} image": v for n, v in enumerate(sample.others.values())}
    parts = {}
    for part, image in images.items():
      pixels = np.full((*image.shape[:2], 4), 255, np.uint8)
      pixels[..., :3] = np.round(255 * np.clip(np.nan_to_num(image), 0, 1))
      frame = sample.coarse if part == "input" else sample.frame
      parts[part] = self._add(pixels.view(np.uint32)[..., 0], frame)
    base = sample.base.mean(-1)
    errors = {n: v.mean(-1) - base for n, v in sample.others.items()}
    return {"unit": "of white"} | self._described(sample, errors, parts, "", {})

  def _described(self, sample, errors, parts, units, codes) -> dict[str, Any]:
    """Adds the errors; returns where all is, and what else is said of it."""
    limit = style.symmetric(*(np.nan_to_num(e) for e in errors.values()))[1]
    code = [0.0, limit / _ERROR_STEPS]
    for n, error in enumerate(errors.values()):
      parts = parts | {str(n): self._add(counts(error, *code), sample.frame)}
      codes = codes | {str(n): code}
    titles = self._titles(sample, errors, units)
    return {"parts": parts, "codes": codes, "titles": titles, "limit": limit}

  def _add(self, values: np.ndarray, frame: maps.Frame) -> str:
    """Adds an array, once; returns its name."""
    left, right, bottom, top = frame.extent
    if (frame.origin == "upper") == (top > bottom):
      values = values[::-1]
    if left > right:
      values = values[:, ::-1]
    values = np.ascontiguousarray(values)
    kind = f"{values.dtype} {values.shape}".encode()
    name = hashlib.sha256(kind + values.tobytes()).hexdigest()[:16]
    self.arrays[name] = values
    return name

  def _titles(self, sample, errors, units) -> dict[str, str]:
    h, w = sample.lowres.shape[:2]
    height, width = sample.base.shape[:2]
    titles = {
      "input": f"input, {h} × {w}",
      "base": f"{self._base}, {height} × {width}",
    }
    unit = style.unit_label(units).strip(" []")
    for n, (name, error) in enumerate(errors.items()):
      known = error[np.isfinite(error)].astype(np.float64)
      rms = np.sqrt(np.mean(np.square(known))) if known.size else np.nan
      titles[f"{n} image"] = name
      titles[f"{n}"] = f"{name} − {self._base}, RMS {rms:.3g} {unit}".rstrip()
    return titles


def _palette(look: Mapping[str, Any]) -> tuple[list[str], float, float]:
  """Returns evenly spaced colours, and the values of the first and last."""
  norm: Any = look.get("norm") or colors.Normalize(look["vmin"], look["vmax"])
  colormap = matplotlib.colormaps.get_cmap(look["cmap"])
  at = np.linspace(norm.vmin, norm.vmax, 2 * _STEPS + 1)[1::2]
  palette = [colors.to_hex(c) for c in colormap(norm(at))]
  return palette, float(norm.vmin), float(norm.vmax)


def _beyond(look: Mapping[str, Any]) -> tuple[str, str]:
  """Returns the colours of values below the first and above the last."""
  colormap: Any = matplotlib.colormaps.get_cmap(look["cmap"])
  return colors.to_hex(colormap.get_under()), colors.to_hex(colormap.get_over())


def counts(values: np.ndarray, first: float, step: float) -> np.ndarray:
  """Returns how many steps from the first value each value is.

  They are of the smallest type that holds them; the least number of a type is
  for what is missing.
  """
  values, known = np.asarray(values, np.float64), np.isfinite(values)
  steps = np.round((np.where(known, values, first) - first) / step)
  limit = np.abs(steps).max(initial=0)
  kind = next(k for k in _COUNTS if limit <= np.iinfo(k).max or k == np.int32)
  info = np.iinfo(kind)
  steps = np.clip(steps, info.min + 1, info.max)
  return np.where(known, steps, info.min).astype(kind)


def _place(sample: Sample) -> dict[str, Any]:
  """Returns where the maps of a sample lie, and their size in pixels."""
  left, right, bottom, top = sample.frame.extent
  aspect = float(np.clip(sample.frame.aspect, 0.4, 4.0))
  across = min(_WIDTH, _HEIGHT * aspect)
  return {
    "name": sample.name,
    "fine": _box(sample.frame),
    "coarse": _box(sample.coarse),
    "x": [left, right],
    "y": [bottom, top],
    "size": [round(across), round(across / aspect)],
  }


def _box(frame: maps.Frame) -> dict[str, float]:
  left, right, bottom, top = frame.extent
  x, y = min(left, right), min(bottom, top)
  return {"x": x, "y": y, "dw": abs(right - left), "dh": abs(top - bottom)}
