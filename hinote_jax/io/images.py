"""Pictures: PNG and TIFF of 8 and 16 bits, TIFF of float32.

JPEG, WebP and BMP are only read. What a file is, its first bytes tell, for many
a picture is named as another kind.

Grey and RGB, with or without alpha; palettes are looked up and a picture that
lies on its side by its EXIF tag is put upright. Samples of 8 and 16 bits are
given in [0, 1], others in their own numbers. Alpha is the last channel, with
the attribute role = "alpha": no colour of a network.

In saving, samples of 8 and 16 bits are clipped to what these hold, as a
network overshoots beside black and white. The colour profile, the gamma and
the texts are kept, the dots an inch become as many more as the pixels; of the
EXIF tags only the orientation is looked at, and none is written.
"""

from collections.abc import Iterator, Sequence
import dataclasses
import pathlib
import re
import types
from typing import Any

import numpy as np

from hinote_jax import fields
from hinote_jax.core import naming
from hinote_jax.fields import axes, packing
from hinote_jax.io import inputs, picture, pillow, png, room, tiff

KIND = "images"

_WRITERS = {".png": png, ".tif": tiff, ".tiff": tiff}
_READERS = _WRITERS | dict.fromkeys((".jpg", ".jpeg", ".webp", ".bmp"), pillow)
# How files begin.
_KINDS = {
  rb"\x89PNG": png,
  rb"\xff\xd8\xff": pillow,
  rb"RIFF....WEBP": pillow,
  rb"BM": pillow,
  rb"II[*+]\0|MM\0[*+]": tiff,
}
_DEPTHS = ("uint8", "uint16")


@inputs.guarded
def open(
  path: pathlib.Path, variables: Sequence[str] | None = None
) -> fields.Reader:
  """Opens a picture, or the pages of a TIFF file as the dimension "page".

  Args:
    path: of the file.
    variables: channels: "grey", or "red", "green" and "blue", and "alpha";
      all of them by default.

  Raises:
    ModuleNotFoundError: a package that reads this format is missing.
    OSError: the file cannot be opened.
    ValueError: it cannot be read, or lacks a variable.
  """
  form = _form(path)
  stored = form.info(path)
  room.require_claimed(path, (*stored.shape, len(stored.channels)))
  names = inputs.choose(variables, stored.channels, path)
  chosen = [stored.channels.index(name) for name in names]
  what = stored.upright()
  header = fields.Header(
    variables=tuple(_variable(name, stored.dtype) for name in names),
    y=axes.counted("y", what.shape[0]),
    x=axes.counted("x", what.shape[1]),
    leads=tuple(fields.Dimension(*lead) for lead in _leads(what)),
    kind=KIND,
    extra={"picture": what},
  )

  def read(i: int) -> np.ndarray:
    pixels = picture.upright(form.read(path, i), stored.orientation)
    planes = [
      packing.unpack(pixels[..., c], variable)
      for c, variable in zip(chosen, header.variables, strict=True)
    ]
    return np.stack(planes, axis=-1)

  return fields.Reader(header, read, str(path))


def stored(path: pathlib.Path) -> tuple[picture.Picture, np.ndarray]:
  """Returns what a file says of its pictures, and the first one as it lies.

  Raises:
    OSError: the file cannot be opened.
    ValueError: it cannot be read.
  """
  with inputs.reading(path):
    form = _form(path)
    return form.info(path), form.read(path, 0)


def _form(path: pathlib.Path) -> types.ModuleType:
  """Returns what reads a picture; by its name where nothing tells its kind."""
  with path.open("rb") as file:
    head = file.read(16)
  fitting = (m for k, m in _KINDS.items() if re.match(k, head, re.DOTALL))
  named = naming.look_up("format of pictures", path.suffix.lower(), _READERS)
  return next(fitting, named)


def _leads(what: picture.Picture) -> tuple[tuple[str, int], ...]:
  """Returns name and size of what counts the pictures of a file."""
  return what.leads or ((("page", what.count),) if what.count > 1 else ())


def _variable(name: str, dtype: str) -> fields.Variable:
  role = {"role": picture.ALPHA} if name == picture.ALPHA else {}
  scale = 1.0 / np.iinfo(dtype).max if dtype in _DEPTHS else 1.0
  return fields.Variable(name, attributes=role, dtype=dtype, scale=scale)


def save(path: pathlib.Path, header: fields.Header, values: Any) -> None:
  """Writes a picture, or the pages of a TIFF file.

  Args:
    path: of the file.
    header: of the fields; one field, or several for TIFF.
    values: [count h w c] real, read as values[i, r0:r1].

  Raises:
    ValueError: the format cannot hold the fields.
  """
  form = naming.look_up("format of pictures", path.suffix.lower(), _WRITERS)
  variables = tuple(map(_without_packing, header.variables))
  header = dataclasses.replace(header, variables=variables)
  what = _picture(header)
  multiple = tiff.TILE
  if form is png:
    _require_one(header, what)
    multiple = 1
  to_straight = what.is_premultiplied and form is png
  blocks = _blocks(header, values, multiple, to_straight)
  form.write(path, what, blocks)


def _without_packing(variable: fields.Variable) -> fields.Variable:
  """Returns a variable as a picture holds it, which says of no packing.

  Integers that stand for [0, 1] or for themselves stay; others become float32.
  """
  dtype = np.dtype(variable.dtype)
  known = (1.0,) if dtype.kind == "f" else (1.0, 1.0 / np.iinfo(dtype).max)
  if variable.offset == 0 and np.isclose(variable.scale, known).any():
    return variable
  kind = variable.dtype if dtype.kind == "f" else "float32"
  return fields.Variable(
    variable.name, variable.units, variable.attributes, kind
  )


def _picture(header: fields.Header) -> picture.Picture:
  """Returns what a file will say of the pictures of a header."""
  dtypes = {variable.dtype for variable in header.variables}
  if len(dtypes) > 1:
    raise ValueError(
      "channels of a picture have one type, got "
      f"{', '.join(sorted(dtypes))}: save them as .npz"
    )
  roles = [v.attributes.get("role") for v in header.variables]
  if picture.ALPHA in roles[:-1] or roles == [picture.ALPHA]:
    raise ValueError(
      "alpha comes after the colours of a picture, got "
      f"{', '.join(header.names)}"
    )
  colours = len(roles) - (roles[-1] == picture.ALPHA)
  names = tuple(f"channel{c}" for c in range(colours))
  # Three quantities of a field are no colours.
  is_rgb = header.names[:3] == picture.RGB or dtypes <= {*_DEPTHS}
  if colours == 1 or (colours == 3 and is_rgb):
    names = picture.GREY if colours == 1 else picture.RGB
  names += (picture.ALPHA,) * (len(roles) - colours)
  what = picture.Picture(header.shape, names, dtypes.pop(), header.count)
  if header.kind != KIND:
    return what
  like = header.extra["picture"]
  dpi, per_unit = (
    pair and (pair[0] / header.x.step, pair[1] / header.y.step)
    for pair in (like.dpi, like.per_unit)
  )
  leads = tuple((lead.name, lead.size) for lead in header.leads)
  return dataclasses.replace(
    what,
    icc=like.icc if len(like.channels) == len(what.channels) else None,
    dpi=dpi,
    structure=like.structure if leads == _leads(like) else "",
    per_unit=per_unit,
    gamma=like.gamma,
    text=like.text,
    is_premultiplied=like.is_premultiplied and what.has_alpha,
  )


def _require_one(header: fields.Header, what: picture.Picture) -> None:
  """Refuses what only TIFF holds: many pictures or channels, other types."""
  if header.count > 1:
    raise ValueError(
      f"PNG holds one picture and there are {header.count} fields: save them "
      "as .tif"
    )
  if what.channels[0] not in (picture.GREY[0], picture.RGB[0]):
    raise ValueError(
      f"PNG holds grey or RGB and there are {len(what.channels)} channels: "
      "save them as .tif, or name those to save"
    )
  if what.dtype not in _DEPTHS:
    raise ValueError(
      f"PNG holds uint8 and uint16 and {header.names[0]} is {what.dtype}: save "
      "it as .tif"
    )


def _blocks(
  header: fields.Header,
  values: Any,
  multiple: int,
  to_straight: bool,
) -> Iterator[np.ndarray]:
  """Yields blocks of rows as they are stored, [r w c], field by field."""
  for *_, block in packing.field_blocks(header, values, multiple):
    if to_straight:
      alpha = block[..., -1:]
      colours = block[..., :-1] / np.where(alpha > 0, alpha, 1.0)
      block = np.concatenate([colours, alpha], axis=-1)
    planes = []
    for c, variable in enumerate(header.variables):
      plane = block[..., c]
      if variable.dtype in _DEPTHS:
        plane = packing.clip(plane, variable)
      planes.append(packing.pack(plane, variable))
    yield np.stack(planes, axis=-1)
