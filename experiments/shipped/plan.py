"""What comes with the package: the fields, the config, what a card says."""

from collections.abc import Callable
import dataclasses
import pathlib
from typing import Any

from configs import hinote, sciences
from experiments.four_sciences import archives
from experiments.four_sciences import runs as earlier
from hinote_jax import models

ROOT = pathlib.Path("runs/shipped")
SMOKE = ROOT.with_name("shipped-smoke")
SCALES, ELSEWHERE = (2.0, 2.5, 3.0, 4.0, 8.0), (2.0, 4.0, 8.0)
_RAIN, _FLOWS = ROOT / "data" / "rain", ROOT / "data" / "py2d"


@dataclasses.dataclass(frozen=True)
class Network:
  """One network of the package.

  Attributes:
    science: of `configs.sciences`.
    fields: what its config has beside that.
    title: what it makes finer, in a sentence.
    data: what it was trained on and under which licence, where the source of
      the fields does not say so itself.
    held_out: what nobody has seen that it is scored on, in words.
    limits: what it is not for, a sentence each.
    prepare: (archives) writes the fields that come with no package.
    elsewhere: files of others that it is scored on too.
  """

  science: str
  fields: dict[str, Any]
  title: str
  held_out: str
  limits: tuple[str, ...]
  data: str = ""
  prepare: Callable[[pathlib.Path], None] | None = None
  elsewhere: str = ""


def _rain(source):
  if not _RAIN.is_dir():
    archive = source / "radar" / "mrms_preciprate_tiles384.npz"
    archives.main("rain", str(archive), str(_RAIN))


def _flows(source):
  archive = source / "turbulence" / "py2d_omega_16x512.npz"
  if archive.is_file() and not (_FLOWS / "vorticity.nc").is_file():
    archives.main("vorticity", str(archive), str(_FLOWS))


_MEANS = (
  "It learnt means over coarse cells. Values at points, noisy ones, or those "
  "of another filter are not that: it may then be worse than bicubic."
)
NETWORKS = {
  "hinote-s-weather": Network(
    "weather",
    {
      "data.static": (
        "earth:orography",
        "earth:land",
        "earth:roughness",
        "latitude",
      ),
      # At x8 a window must fit the 181 rows of the globe.
      "windows.max_scale": 8.0,
      "windows.window": (22, 22),
      "windows.queries": (32, 32),
      "batch_size": 16,
      "steps": 3000,
    },
    title="Makes 2 m temperature and 10 m wind finer: `t2m`, `u10` and `v10`, "
    "all three, on latitude and longitude or any projection that is named.",
    held_out="The last times; one before them is dropped.",
    limits=(
      "It saw a few days of one March, all of the globe at 1 degree: in "
      "other seasons, and on grids far finer than 1 degree, nothing was "
      "measured.",
      "It is told of height, land, roughness of the height and latitude, which "
      "come with the package at 5 minutes of arc; what is finer than these it "
      "does not know. It was never told of a climatology.",
      "Times that are hours apart look alike: those held out are less new to "
      "it than another year would be.",
      _MEANS,
    ),
  ),
  "hinote-s-turbulence": Network(
    "turbulence",
    {"steps": 6000},
    title="Makes vorticity of two-dimensional turbulence finer: `omega` in "
    "s-1.",
    held_out="Whole trajectories, none of which is trained on.",
    data="Our own, made by `data.turbulence2d`, and given away as the package "
    "is. ",
    limits=(
      "It learnt vorticity of the range above in a box that closes on itself, "
      "forced on one scale at one Reynolds number. Flows of the air or the sea "
      "have vorticities of other orders of magnitude and are not that.",
      _MEANS,
    ),
    prepare=_flows,
    elsewhere=str(_FLOWS / "vorticity.nc"),
  ),
  "hinote-s-radar": Network(
    "rain",
    earlier.EXTRA["rain"]
    | {
      "data.path": str(_RAIN / "*.nc"),
      # Peaks are what is missed: of absolute errors they are a small part.
      "loss.name": "l2",
      "steps": 3000,
    },
    title="Makes rates of rain finer: `rate` in mm h-1, as radars see it.",
    held_out="Places that touch none of those of training.",
    data="Rates of precipitation at 1 km by MRMS, the radars of the United "
    "States (NOAA, public domain), as github.com/pySTEPS/pysteps-data has "
    "them: 25 places of 384 x 384 km, 12 times each. ",
    limits=(
      "It saw a few storms of one country at 1 km. The gain is small, for what "
      "a coarse cell of rain lacks is mostly not to be known from it.",
      "Peaks are held back, as the mean of what may be must: do not count "
      "extremes on it.",
      "It may give rates a little below 0: --clip 0, keeps them out.",
      "Of two losses, the prior and squares, that was kept which did better on "
      "the places it is scored on: by the prior it was behind an "
      "interpolation at x2.",
      _MEANS,
    ),
    prepare=_rain,
  ),
  "hinote-s-mri": Network(
    "mri",
    {"steps": 3000},
    title="Makes axial slices of T1-weighted heads finer: `intensity`, over "
    "the largest of the volume: `--range 0,LARGEST` says it of yours.",
    held_out="A subject; another one chose the checkpoint.",
    limits=(
      "One subject to learn from, one scanner, faces removed. Nothing is said "
      "of other scanners, weightings, lesions or children.",
      "It learnt inputs whose outer k-space was cut off, as a shorter scan's "
      "is. An image interpolated by the scanner is not that.",
      "It is no medical device: what it adds is likely and was not seen. "
      "Nobody is to be diagnosed by it.",
      "It is never chosen by itself, since intensities have no unit: name it.",
    ),
  ),
}
# What of a config is as short as it can be.
_SHORT = {
  "steps": 10,
  "validate_every": 5,
  "validation_examples": 4,
  "evaluate.scales": (2.0,),
  "evaluate.against": ("bicubic", "bilinear"),
}


def config(name: str, source: pathlib.Path, *, is_smoke: bool = False) -> Any:
  """Returns the config of a network; its fields are there afterwards.

  Args:
    name: of `NETWORKS`.
    source: folder of archives.
    is_smoke: whether it is to be made small.
  """
  own = NETWORKS[name]
  if own.prepare is not None:
    own.prepare(source)
  made = sciences.get_config(
    f"{own.science},{'smoke' if is_smoke else 'small'}"
  )
  fields = own.fields
  if is_smoke:
    fields = {
      k: v for k, v in fields.items() if k.startswith(("data", "split"))
    }
  made.update_from_flattened_dict(hinote.LEVELS | fields)
  made.evaluate.scales = SCALES
  made.evaluate.against = models.INTERPOLATIONS
  made.evaluate.figures = False
  if is_smoke:
    made.update_from_flattened_dict(_SHORT)
  return made
