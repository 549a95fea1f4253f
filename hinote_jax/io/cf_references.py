"""Which variables of a dataset belong to others, by their attributes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hinote_jax.fields import axes
from hinote_jax.io import cf_packing

CORNERS = 4
# Attributes that name other variables.
_REFERENCES = (
  "bounds",
  "climatology",
  "coordinates",
  "ancillary_variables",
  "cell_measures",
  "formula_terms",
  "grid_mapping",
)


def named_by(attributes: Mapping[str, Any]) -> set[str]:
  """Returns the variables that the attributes of one name."""
  texts = (str(attributes.get(key, "")) for key in _REFERENCES)
  return {name for text in texts for name in text.split()}


def without(
  attributes: Mapping[str, Any], gone: Sequence[str], known: Iterable[str]
) -> dict[str, Any]:
  """Returns attributes that name no variables that are not there.

  Args:
    attributes: of a variable.
    gone: variables of its file that are no longer there.
    known: coordinates that are there; no others are named.
  """
  kept = dict(attributes)
  for key in _REFERENCES:
    named = str(kept.get(key, "")).split()
    if key == "coordinates" and named:
      kept[key] = " ".join(name for name in named if name in known)
    elif not set(gone).isdisjoint(named):
      left = [name for name in named if name not in gone]
      # "area: cell_area" goes with what it names.
      ends = [*left[1:], ":"]
      left = [
        a
        for a, b in zip(left, ends, strict=False)
        if not (a.endswith(":") and b.endswith(":"))
      ]
      kept[key] = " ".join(left)
      if not left:
        del kept[key]
  return kept


def is_latitude(name: str, raw: Any) -> bool:
  """Says whether a variable is latitude, by what it is called or says."""
  return any(axes.is_latitude(*one) for one in _said(name, raw))


def is_longitude(name: str, raw: Any) -> bool:
  """Says whether a variable is longitude, by what it is called or says."""
  return any(axes.is_longitude(*one) for one in _said(name, raw))


def _said(name: str, raw: Any) -> tuple[tuple[str, str], ...]:
  """Returns the names of a variable and its units."""
  units = str(raw.attrs.get("units", ""))
  return (name, units), (str(raw.attrs.get("standard_name", "")), "")


def pairs(wide: Mapping[str, Any]) -> list[tuple[str, str]]:
  """Returns the names of latitudes and longitudes that belong together.

  Args:
    wide: variables over y and x, by name.
  """
  latitudes, longitudes = (
    [n for n, raw in wide.items() if is_such(n, raw)]
    for is_such in (is_latitude, is_longitude)
  )
  chosen = []
  for name in latitudes:
    alike = [n for n in longitudes if set(wide[n].dims) == set(wide[name].dims)]
    # Those of one kind of points are called alike: XLAT_U and XLONG_U.
    alike.sort(key=lambda n: n[-2:] != name[-2:])
    if alike:
      chosen.append((name, alike[0]))
  return chosen


def bounds_of(raw: Any, wide: Mapping[str, Any]) -> str | None:
  """Returns the name of the corners of a coordinate's cells, if it has them."""
  name = raw.attrs.get("bounds")
  if name not in wide:
    return None
  more = wide[name].sizes.items() - raw.sizes.items()
  is_fit = raw.sizes.items() <= wide[name].sizes.items()
  return name if is_fit and [n for _, n in more] == [CORNERS] else None


def is_smooth(raw: Any) -> bool:
  """Says whether numbers can be interpolated: no counts, no flags."""
  return raw.dtype.kind == "f" or (
    raw.dtype.kind in "iu" and "scale_factor" in raw.attrs
  )


def bare(raw: Any) -> Any:
  """Returns a variable of a dataset, of its encoding only how it is filled."""
  bare = raw.to_base_variable().drop_encoding()
  if filled := raw.encoding.get(cf_packing.IS_FILLED):
    bare.encoding = {cf_packing.IS_FILLED: filled}
  return bare
