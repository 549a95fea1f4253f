"""Fields as images with their coordinates: the larger y is always up."""

from typing import Literal, NamedTuple

from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import BoundaryNorm
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
import numpy as np

from hinote_jax.core.typing import Array
from hinote_jax.plots import style


class Frame(NamedTuple):
  """Where a field lies: the edges of its extent and which row is on top.

  Attributes:
    extent: (left, right, bottom, top) in the unit of the coordinates.
    origin: "upper" where the first row is the top one.
    is_geographic: x is a longitude and y a latitude, in degrees.
  """

  extent: tuple[float, float, float, float]
  origin: Literal["upper", "lower"]
  is_geographic: bool

  @property
  def stretch(self) -> float:
    """Length of a unit of y over that of one of x.

    A degree of longitude is shorter than one of latitude by the cosine of the
    latitude; that of the middle is taken, but none beyond 75 degrees.
    """
    if not self.is_geographic:
      return 1.0
    middle = 0.5 * abs(self.extent[2] + self.extent[3])
    return float(1.0 / np.cos(np.deg2rad(min(middle, 75.0))))

  @property
  def aspect(self) -> float:
    """Width of the extent over its height, as drawn."""
    left, right, bottom, top = self.extent
    return abs((right - left) / (top - bottom)) / self.stretch


def frame(
  shape: tuple[int, int],
  y: Array | None = None,
  x: Array | None = None,
  *,
  is_geographic: bool = False,
) -> Frame:
  """Returns the frame of an H x W field from its cell-centre coordinates.

  Without coordinates cells are counted, the first row on top. Longitudes may
  jump by 360 degrees from one column to the next.
  """
  height, width = shape
  left, right = 0.0, float(width)
  if x is not None:
    x = np.unwrap(x, period=360.0) if is_geographic else x
    left, right = _edges(x, width)
  if y is None:
    return Frame((left, right, float(height), 0.0), "upper", False)
  first, last = _edges(y, height)
  origin = "upper" if first > last else "lower"
  bottom, top = sorted((first, last))
  return Frame((left, right, bottom, top), origin, is_geographic)


def _edges(centers: Array, count: int) -> tuple[float, float]:
  centers = np.asarray(centers, np.float64)
  if centers.shape != (count,):
    raise ValueError(
      f"{centers.shape} coordinates for an axis of {count} cells"
    )
  step = (centers[-1] - centers[0]) / max(count - 1, 1) or 1.0
  return float(centers[0] - step / 2), float(centers[-1] + step / 2)


def show(axes: Axes, values: np.ndarray, where: Frame, **kwargs) -> AxesImage:
  """Draws a field, cell by cell, into its extent; NaN is grey."""
  # A colour map draws nothing where there is no value.
  axes.set_facecolor(style.MISSING)
  image = axes.imshow(
    values,
    extent=where.extent,
    origin=where.origin,
    interpolation="nearest",
    aspect=where.stretch,
    **kwargs,
  )
  _ticks(axes, where)
  return image


def _ticks(axes: Axes, where: Frame) -> None:
  axes.tick_params(length=2.5, labelsize=8.5, pad=2)
  for axis, is_latitude in ((axes.xaxis, False), (axes.yaxis, True)):
    steps = [1, 1.5, 3, 4.5, 6, 9, 10] if where.is_geographic else None
    locator = ticker.MaxNLocator(4, steps=steps) if steps else None
    axis.set_major_locator(locator or ticker.MaxNLocator(4))
    if where.is_geographic:
      axis.set_major_formatter(degrees(is_latitude))


def degrees(is_latitude: bool) -> ticker.FuncFormatter:
  def text(value, position):
    del position
    if not is_latitude:
      value = (value + 180.0) % 360.0 - 180.0
    side = ("SN" if is_latitude else "WE")[int(value > 0)]
    is_bare = value == 0.0 or (not is_latitude and abs(value) == 180.0)
    return f"{abs(value):g}°{'' if is_bare else side}"

  return ticker.FuncFormatter(text)


def panel_size(aspect: float) -> tuple[float, float]:
  """Returns inches of one map: equal areas, within reason."""
  root = float(np.sqrt(np.clip(aspect, 0.4, 2.5)))
  return 2.75 * root, 2.75 / root


def colorbar(row: np.ndarray, label: str, **kwargs) -> Colorbar:
  """Adds the colour bar of some maps, [n], pointed where it clips values."""
  images = [axes.images[0] for axes in row]
  values = np.concatenate([i.get_array().compressed() for i in images])
  norm = images[0].norm
  beyond = bool((values < norm.vmin).any()), bool((values > norm.vmax).any())
  ends = ("neither", "max", "min", "both")
  look = {"aspect": 15, "pad": 0.008, "fraction": 0.05} | kwargs
  if isinstance(norm, BoundaryNorm):
    look["format"] = ticker.FuncFormatter(lambda value, _: f"{value:.3g}")
  bar = row[0].figure.colorbar(
    images[0],
    ax=list(row),
    label=label,
    extend=ends[2 * beyond[0] + beyond[1]],
    **look,
  )
  bar.outline.set_linewidth(0.6)
  bar.ax.tick_params(length=2.5, labelsize=9)
  return bar


def box(where: Frame, shape: tuple[int, int], cells: tuple) -> tuple:
  """Returns (left, right, bottom, top) of a window of cells.

  Args:
    where: the frame of the field.
    shape: (H, W) of the field.
    cells: (first row, first column, rows, columns).
  """
  left, right, bottom, top = where.extent
  row, column, rows, columns = cells
  dx = (right - left) / shape[1]
  first = top if where.origin == "upper" else bottom
  dy = (bottom - top if where.origin == "upper" else top - bottom) / shape[0]
  ends = first + dy * row, first + dy * (row + rows)
  low, high = sorted(ends) if top > bottom else sorted(ends, reverse=True)
  return left + dx * column, left + dx * (column + columns), low, high


def inside(
  values: np.ndarray, where: Frame, edges: tuple[float, float, float, float]
) -> np.ndarray:
  """Returns the cells of a field whose centres lie within some edges."""
  left, right, bottom, top = where.extent
  ends = (top, bottom) if where.origin == "upper" else (bottom, top)
  height, width = values.shape
  y = ends[0] + (np.arange(height) + 0.5) * (ends[1] - ends[0]) / height
  x = left + (np.arange(width) + 0.5) * (right - left) / width
  rows = (y > min(edges[2:])) & (y < max(edges[2:]))
  columns = (x > edges[0]) & (x < edges[1])
  return values[rows][:, columns]


def outline(axes: Axes, edges: tuple[float, float, float, float]) -> None:
  """Draws the frame of a window over a map."""
  left, right, bottom, top = edges
  for color, width in (("white", 3.0), (style.ACCENT, 1.6)):
    axes.add_patch(
      Rectangle(
        (left, bottom),
        right - left,
        top - bottom,
        fill=False,
        edgecolor=color,
        linewidth=width,
      )
    )


def zoom(axes: Axes, edges: tuple[float, float, float, float]) -> None:
  """Limits a map to a window and frames it in the colour of `outline`."""
  axes.set_xlim(*edges[:2])
  axes.set_ylim(*edges[2:])
  for spine in axes.spines.values():
    spine.set(edgecolor=style.ACCENT, linewidth=1.6)


def worst_window(
  error: np.ndarray, fraction: float = 0.22
) -> tuple[int, int, int, int]:
  """Returns the window of cells with the largest sum of squared errors.

  Args:
    error: [H W]; NaN, where the truth is missing, counts nothing.
    fraction: its sides over those of the field; more where that would be less
      than 16 cells.

  Returns:
    (first row, first column, rows, columns).
  """
  fraction = min(1.0, max(fraction, 16.0 / min(error.shape)))
  rows, columns = (round(fraction * n) for n in error.shape)
  total = np.zeros((error.shape[0] + 1, error.shape[1] + 1))
  squares = np.square(np.nan_to_num(error))
  total[1:, 1:] = np.cumsum(np.cumsum(squares, axis=0), axis=1)
  sums = total[rows:] - total[:-rows]
  sums = sums[:, columns:] - sums[:, :-columns]
  row, column = np.unravel_index(np.argmax(sums), sums.shape)
  return int(row), int(column), rows, columns
