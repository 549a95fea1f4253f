"""What is asked of one file, as plain values that travel to other processes."""

import dataclasses
import pathlib
from typing import Any

from hinote_jax import io, shipped
from hinote_jax.infer import plans, upscaling
from hinote_jax.io import formats

_Pair = tuple[float | int, float | int]


@dataclasses.dataclass(frozen=True)
class Request:
  """What is asked of one file.

  Attributes:
    source: path of the input.
    path: of the result.
    checkpoint: what `infer.load` takes.
    which: checkpoint of a run, "best" or "latest".
    variables: names, in order; None takes those of the network, or all.
    registration: of `io.open`.
    periodic: of `io.open`.
    scale: of `upscaling.target`.
    shape: of `upscaling.target`.
    like: path of a file whose grid to take.
    options: of the upscaler.
    static: of `infer.load`.
    dtype: of the result, "float32"; None keeps how the input is packed.
    devices: how many to divide a field among; 0 for all.
    overwrite: replace the result that is there.
    follow_links: of `io.open`.
  """

  source: str
  path: str
  checkpoint: str
  which: str = "best"
  variables: tuple[str, ...] | None = None
  registration: str | tuple[str | None, str | None] | None = None
  periodic: tuple[bool, bool] | None = None
  scale: float | int | _Pair | None = None
  shape: tuple[int, int] | None = None
  like: str | None = None
  options: upscaling.Options = upscaling.Options()
  static: tuple[str, ...] = ()
  dtype: str | None = None
  devices: int = 1
  overwrite: bool = False
  follow_links: bool = False

  def open(self, variables: tuple[str, ...] | None = None) -> io.Reader:
    """Opens the input; `variables` are taken where none were asked for."""
    return io.open(
      self.source,
      self.variables or variables,
      registration=self.registration,
      periodic=self.periodic,
      follow_links=self.follow_links,
    )

  def grid(self) -> dict[str, Any]:
    """Returns the grid that is asked for, arguments of `upscaling.target`."""
    like = io.open(self.like).header if self.like else None
    return dict(scale=self.scale, shape=self.shape, like=like)

  def require(self) -> None:
    """Raises what can be said before the network is there.

    Raises:
      OSError: a file is missing or cannot be read.
      ValueError: what is asked cannot be done with these files.
    """
    formats.suffix(pathlib.Path(self.path))
    if self.options.memory is not None:
      plans.parse_bytes(self.options.memory)
    if self.variables is None and _is_run(self.checkpoint):
      return  # a run knows which variables it wants
    header, grid = self.open().header, self.grid()
    formats.writer_of(pathlib.Path(self.path), header)
    if any(value is not None for value in grid.values()):
      upscaling.target(header, **grid)


def _is_run(checkpoint: str) -> bool:
  return pathlib.Path(shipped.resolved(checkpoint)).is_dir()
