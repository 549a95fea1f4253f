"""What `hinote_jax.upscale` is asked on the command line, and its help."""

import argparse
from collections.abc import Sequence
import importlib
import os

from hinote_jax import shipped
from hinote_jax.core import naming

# Those of `models`, which takes its time to import.
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "spectral")
_NAMES = ", ".join((*INTERPOLATIONS, *shipped.names()))
_EPILOG = """\
examples:
  A global file 3.7 times finer, by a network that was trained here:
    hinote-upscale era5.nc fine.nc --scale 3.7 --checkpoint runs/demo
  Many files onto the grid of another one, within 1 GB:
    hinote-upscale 'coarse/*.nc' fine/ --like grid.nc --checkpoint runs/demo \\
      --memory 1GB
  A long archive of rain, which is not below 0, by four processes:
    hinote-upscale rain.zarr fine.zarr --shape 721,1440 --checkpoint bicubic \\
      --clip 0, --workers 4

Stopped or killed, the same command goes on where it was; until the end, what is
done lies in OUT.partial. Missing values stay missing: a fine point is missing
where the coarse cell that it lies in is.

Exit codes: 0; 2 and one sentence where something is wrong with what was asked;
130, 143 or 129 where SIGINT (Ctrl-C), SIGTERM or SIGHUP stopped it.
HINOTE_JAX_TRACEBACK=1 shows where in the code an error was raised.
"""


class _Parser(argparse.ArgumentParser):
  """Raises ValueError for arguments that cannot be read."""

  def error(self, message):
    raise ValueError(f"{message}; see hinote-upscale --help")


def _several(kind, count, what, *, may_lack=False):
  """Returns what reads numbers with commas between; one alone is a number."""

  def read(text):
    parts = text.split(",")
    try:
      values = [None if may_lack and not t else kind(t) for t in parts]
    except ValueError:
      values = []
    if len(values) not in count or all(value is None for value in values):
      raise argparse.ArgumentTypeError(f"{what}, got {text!r}")
    return tuple(values) if len(values) > 1 else values[0]

  return read


def _registration(text):
  what = "nodes, cells, or one for y and one for x"
  return _several(str, (1, 2), what, may_lack=True)(text)


def _devices(text):
  if text == "all":
    return 0
  if not text.isdecimal() or not int(text):
    raise argparse.ArgumentTypeError(f"a number or all, got {text!r}")
  return int(text)


NO_GRID = (
  "one of the arguments --scale --shape --like is required; see "
  "hinote-upscale --help"
)


class _Completion(argparse.Action):
  """Prints what has a shell complete the command, and ends."""

  def __call__(self, parser, namespace, values, option_string=None):
    del namespace, option_string
    try:
      shtab = importlib.import_module("shtab")
    except ModuleNotFoundError as error:
      raise ValueError(
        "shtab is needed here: pip install 'hinote_jax[shell]'"
      ) from error
    for action in parser._actions:
      if action.dest in ("files", "like", "checkpoint"):
        vars(action)["complete"] = shtab.FILE
    print(shtab.complete(parser, str(values)))
    parser.exit()


def has_grid(asked: argparse.Namespace) -> bool:
  """Says whether the grid of the result is asked for."""
  return (asked.scale, asked.shape, asked.like) != (None,) * 3


def _memory(text):
  return None if text == "none" else text


def _parser() -> argparse.ArgumentParser:
  parser = _Parser(
    prog="hinote-upscale",
    usage="%(prog)s IN [IN ..] OUT (--scale | --shape | --like) ..",
    description="Makes the fields of files finer: NetCDF, Zarr, GeoTIFF, NIfTI,"
    " HDF5,\nnpy, npz, PNG, TIFF. Coordinates, units and attributes follow.",
    epilog=_EPILOG,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add(
    "files",
    nargs="+",
    metavar="IN .. OUT",
    help="inputs (patterns like '*.nc' too) and the result: a file, or a "
    "folder that takes the names of the inputs",
  )
  grid = parser.add_argument_group("the grid of the result, one of")
  grid = grid.add_mutually_exclusive_group()
  grid.add_argument(
    "--scale",
    type=_several(float, (1, 2), "one number, or one for y and one for x"),
    metavar="S|Y,X",
    help="how many times finer, any number from 1 on; or along y and along x; "
    "that of the network where it has one alone",
  )
  grid.add_argument(
    "--shape",
    type=_several(int, (2,), "rows and columns, as 721,1440"),
    metavar="H,W",
    help="rows and columns",
  )
  grid.add_argument("--like", metavar="FILE", help="the grid of another file")
  _add_input(parser.add_argument_group("network and input"))
  _add_result(parser.add_argument_group("result"))
  _add_machine(parser.add_argument_group("machine"))
  return parser


def _add_input(group) -> None:
  add = group.add_argument
  add(
    "--checkpoint",
    metavar="NAME",
    help="workdir of a training run, file of a published network, or an "
    f"interpolation or what comes with the package by name: {_NAMES}; left "
    "out: a network of the package that is of the variables of the input, or "
    "bicubic",
  )
  add(
    "--which",
    choices=("best", "latest"),
    default="best",
    help="checkpoint of a workdir (%(default)s)",
  )
  add(
    "--option",
    action="append",
    metavar="NAME=VALUE",
    help="what the file of a published network does not tell, as its authors "
    "name it; autoencoder=FILE for sinsr",
  )
  add(
    "--psf",
    metavar="FILE|gaussian(S)",
    help="what blurred the input, to a network that unfolds it, as usrnet: an "
    "array file, or gaussian(deviation), in cells of the result; it is centred "
    "and made to sum to 1",
  )
  add(
    "--noise",
    type=_several(float, range(1, 1000), "a number, or one of each variable"),
    metavar="S",
    help="likewise the deviation of its noise in the units of its values, or "
    "one of each variable with commas between: 0.5 of kelvin, 2.5 of 255",
  )
  add(
    "--variable",
    action="append",
    metavar="NAME",
    help="variables to take for those of the network, in its order, commas "
    "between or one by one; otherwise those of its names, or all",
  )
  add(
    "--static",
    action="append",
    metavar="FILE:VARIABLE",
    help="where a static field lies that the network was told of, if not where "
    "it lay in training",
  )
  add(
    "--registration",
    type=_registration,
    metavar="R|Y,X",
    help="cells: positions are centres of cells, whose outer edges bound the "
    "grid; nodes: the first and last positions bound it; found out otherwise",
  )
  add(
    "--periodic",
    choices=("y", "x", "both", "none"),
    help="axes that close on themselves; found out otherwise",
  )
  add(
    "--follow-links",
    action="store_true",
    help="read the other files that an input shows by links, external storage "
    "or virtual datasets; refused otherwise",
  )


def _add_result(group) -> None:
  add = group.add_argument
  add(
    "--consistent",
    nargs="?",
    const="",
    metavar="DEGRADATION",
    help="make the result give the input back when it is degraded by this, as "
    "area or 'decimate(cubic, antialias)'; bare: what the network was trained "
    "on, or area",
  )
  add("--keep-mean", action="store_true", help="keep the mean of the input")
  add(
    "--clip",
    type=_several(
      float, (2,), "LOW,HIGH of which one may be empty", may_lack=True
    ),
    metavar="LOW,HIGH",
    help="keep values within a range; one may be empty, as --clip 0,",
  )
  add(
    "--range",
    type=_several(float, (2,), "LOW,HIGH"),
    metavar="LOW,HIGH",
    help="values that are black and white to a network of photographs, where "
    "the type does not say, or the ends of what a network learnt without a "
    "unit: 0,1200 of a scan",
  )
  add("--tta", action="store_true", help="average over 8 flips and turns")
  add(
    "--dtype",
    choices=("float32", "float64"),
    help="type of the result; otherwise packed as the input",
  )
  add("--overwrite", action="store_true", help="replace what is there")
  add(
    "--view",
    metavar="PAGE.html",
    help="write a page, too, on which the result can be looked at beside an "
    "interpolation, with a slider over the fields: one file, no network",
  )


def _add_machine(group) -> None:
  add = group.add_argument
  add(
    "--memory",
    type=_memory,
    default="2GB",
    metavar="SIZE",
    help="what a process may take, as 512MB (%(default)s), or none: every "
    "field at once",
  )
  add(
    "--devices",
    type=_devices,
    default=1,
    metavar="N|all",
    help="divide every field among devices (%(default)s)",
  )
  add(
    "--scheduler",
    metavar="ADDRESS",
    help="have the workers of a Dask scheduler do it, one block of fields a "
    "task; they must see all files under the same paths",
  )
  add(
    "--workers",
    type=int,
    metavar="N",
    help="have N processes of this machine do it, by Dask",
  )
  add(
    "--quiet", action="store_true", help="show no progress, nor what was made"
  )
  add(
    "--dry-run",
    action="store_true",
    help="say what would be made, of which size and in about which time, and "
    "write nothing",
  )
  add(
    "--print-completion",
    action=_Completion,
    choices=("bash", "zsh", "tcsh"),
    help="print what has this shell complete the command, for its start file",
  )


def require_checkpoint(name: str) -> None:
  """Refuses what `infer.load` could not take, before all that is imported.

  Raises:
    FileNotFoundError: it is no run, no file and no interpolation.
  """
  inside = (f"{name}/config.json", f"{name}/checkpoints")
  is_there = os.path.isfile(name) or any(map(os.path.exists, inside))
  known = (*INTERPOLATIONS, *shipped.names())
  if not is_there and name not in known:
    raise FileNotFoundError(
      f"{name!r} is not a workdir (it holds no config.json), nor a file of a "
      f"network, nor an interpolation; {naming.hint(name, known)}"
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
  """Reads the arguments; JAX is not needed for it.

  Raises:
    ValueError: they cannot be read.
  """
  arguments = list(arguments)
  # argparse takes "-5,5" for a flag.
  for i in reversed(range(len(arguments) - 1)):
    if arguments[i] in ("--clip", "--range"):
      arguments[i : i + 2] = [f"{arguments[i]}={arguments[i + 1]}"]
  asked = _parser().parse_intermixed_args(arguments)
  if len(asked.files) < 2:
    raise ValueError("give the input and the output; see hinote-upscale --help")
  # A file is perhaps of one scale.
  is_file = os.path.isfile(shipped.resolved(asked.checkpoint or ""))
  if not is_file and not has_grid(asked):
    raise ValueError(NO_GRID)
  low, high = asked.clip or (None, None)
  if low is not None and high is not None and low > high:
    raise ValueError(f"--clip {low:g},{high:g} leaves nothing: swap them")
  black, white = asked.range or (0.0, 1.0)
  if not black < white:
    raise ValueError("--range wants two numbers, the smaller one first")
  if asked.workers is not None and asked.workers < 1:
    raise ValueError(f"--workers must be at least 1, got {asked.workers}")
  if asked.workers is not None and asked.scheduler is not None:
    raise ValueError("give --scheduler or --workers and not both")
  if asked.option and (asked.scheduler or asked.workers):
    raise ValueError(
      "--option is not passed on to other processes: leave out --workers and "
      "--scheduler"
    )
  return asked
