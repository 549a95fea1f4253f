"""What is trained: sets of fields, models, seeds, and their configs."""

from collections.abc import Mapping
import dataclasses
import functools
import pathlib
from typing import Any

from configs import hinote, sciences
from experiments.four_sciences import archives
from experiments.four_sciences import runs as earlier
from experiments.told import run as told
from hinote_jax.data import symmetries

ROOT = pathlib.Path("runs/peers")
SEEDS = (0, 1, 2)
# The last only where the one before it is the best of the others.
RATES = (5e-4, 1.5e-3, 4e-3, 1e-2)
SECONDS = 400.0
# Of a window of 32 x 32 cells; they are what takes the peers' time.
QUERIES = (32, 32)
# Of the time of a run, what a try of a learning rate takes.
TRIED = 0.15
WAYS = ("time", "steps")
# Other runs of hinote, tried where it does not reach its aim: larger networks,
# windows under the symmetries of the set, of which there are more, and more of
# a window asked for, 2.25 times the queries, which the peers could not afford.
OTHERS = {
  "hinote of size B": lambda _: {"model.size": "B"},
  "hinote of twice the blocks": lambda _: {"model.blocks": 12},
  "hinote on turned windows": lambda own: {
    "windows.symmetries": own.symmetries
  },
  "hinote by more queries": lambda _: {"windows.queries": (48, 48)},
}
INSIDE, OUTSIDE = (2.0, 2.5, 3.0, 4.0), (4.6, 8.2, 15.7, 32.0)


@dataclasses.dataclass(frozen=True)
class FieldSet:
  """Fields, and who learns them.

  Attributes:
    science: of `configs.sciences`.
    fields: what its config has beside that.
    models: who learns them; they have one trunk and are told the same.
    scales: they are scored at.
    redrawn: what its config has beside, for another test part, which shares
      nothing with that of the first nor with its validation.
    prepare: (archives, folder) writes the fields that come with no package.
    of: the set whose runs are scored on these fields; None trains its own.
    symmetries: under which its degradation stays what it is.
    tried_whole: models whose learning rates are tried for as long as a run.
      After less they are behind bicubic, and the best rate would be one at
      which a network learns to add nothing to what it begins at.
  """

  science: str
  fields: dict[str, Any]
  models: tuple[str, ...] = ("hinote", "srno", "liif")
  scales: tuple[float, ...] = INSIDE + OUTSIDE
  redrawn: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  prepare: Any = None
  of: str | None = None
  symmetries: tuple[str, ...] = symmetries.NAMES
  tried_whole: tuple[str, ...] = ()


def _hres(source, folder):
  told.prepare(source / "weather" / "hres_0p1deg.nc", folder / "hres.nc")


def _rain(source, folder):
  archive = source / "radar" / "mrms_preciprate_tiles384.npz"
  if not (folder / "rain").is_dir():
    archives.main("rain", str(archive), str(folder / "rain"))


def _vorticity(source, folder):
  archive = source / "turbulence" / "py2d_omega_16x512.npz"
  if not (folder / "py2d").is_dir():
    archives.main("vorticity", str(archive), str(folder / "py2d"))


def _images(source, folder):
  del folder
  if not (source / "natural" / "BSDS500_train200").is_dir():
    raise FileNotFoundError(f"{source} has no natural/BSDS500_train200")


def _flows(*numbers):
  return ",".join(f"trajectory {n}" for n in numbers)


_ALL = ("hinote", "srno", "liif", "lte", "metasr")
_DATA = ROOT / "data"
_FLOWS = {"data.trajectories": 10, "data.snapshots": 4}
SETS = {
  "weather": FieldSet(
    "weather",
    {"data.static": hinote.EARTH},
    models=_ALL,
    scales=INSIDE + OUTSIDE[:2],
    # The times before those that the first draw holds out.
    redrawn={
      "data.end": "2026-03-29T11:00",
      "split.test": 3,
      "split.validation": 2,
    },
  ),
  "forecast": FieldSet(
    "weather",
    {
      "data.variables": ("t2m", "tcwv", "u10", "v10"),
      "data.places": (*told.PLACES[:2], *told.PLACES[2].split(",")),
      "data.path": str(_DATA / "hres.nc"),
      "data.static": told.STATIC["earth"],
      "split.validation": 1,
      "split.test": 2,
      "split.gap": 0,
      "evaluate.consistent": False,  # hours, of a grid so large
    },
    scales=INSIDE + OUTSIDE[1:2],
    redrawn={
      "data.places": (
        "150:205,240:270,310:370,375:418",
        told.PLACES[1],
        "120:145",
        "210:235",
      )
    },
    prepare=_hres,
    tried_whole=("srno", "liif"),
  ),
  "turbulence": FieldSet(
    "turbulence",
    _FLOWS,
    models=_ALL,
    redrawn={"split.test": _flows(0, 1, 2), "split.validation": _flows(3, 4)},
  ),
  "py2d": FieldSet(
    "turbulence",
    _FLOWS | {"evaluate.path": str(_DATA / "py2d" / "vorticity.nc")},
    models=_ALL,
    scales=INSIDE,
    prepare=_vorticity,
    of="turbulence",
  ),
  "rain": FieldSet(
    "rain",
    earlier.EXTRA["rain"] | {"data.path": str(_DATA / "rain" / "*.nc")},
    # They touch no other place.
    redrawn={"split.test": "place_0384_2112,place_0576_2496,place_0384_2880"},
    prepare=_rain,
  ),
  "heads": FieldSet(
    "mri",
    {"evaluate.consistent": False},  # magnitudes of k-space are not undone
    symmetries=("transpose",),  # it keeps one more of waves of one sign
    scales=INSIDE + OUTSIDE[:2],
    redrawn={"split.test": "CSI1", "split.validation": "CSI3"},
  ),
  "photographs": FieldSet(
    "images",
    {"split.validation": 0.05, "split.test": 0.05},
    scales=INSIDE + OUTSIDE[:2],
    redrawn={"split.test": "10*"},
    prepare=_images,
  ),
}
_SMOKE = {
  "windows.window": (8, 8),
  "windows.queries": (12, 12),
  "log_every": 5,
  "validation_examples": 4,
}


@functools.cache
def prepared(name: str, source: pathlib.Path) -> None:
  """Writes the fields of a set where they are not there yet."""
  prepare = SETS[name].prepare
  if prepare is not None:
    _DATA.mkdir(parents=True, exist_ok=True)
    prepare(source, _DATA)


def config(
  name: str,
  model: str,
  *,
  source: pathlib.Path,
  steps: int,
  rate: float | None = None,
  seed: int = 0,
  is_redrawn: bool = False,
  is_smoke: bool = False,
  validations: int = 4,
):
  """Returns the config of a run.

  Args:
    name: of `SETS`.
    model: one of the set's, or of `OTHERS`.
    source: folder of archives.
    steps: of training.
    rate: learning rate; None is that of the science.
    seed: of parameters and windows.
    is_redrawn: whether another part is held out.
    is_smoke: whether it is to be made small.
    validations: how many there are in the run.
  """
  prepared(name, source)
  own, other = SETS[name], OTHERS.get(model)
  model = model if other is None else "hinote"
  made = sciences.get_config(f"{own.science},small,model={model}")
  if name == "forecast":
    with made.unlocked():
      made.data = hinote.get_config("files").data
  made.windows.queries, made.evaluate.consistent = QUERIES, True
  changes = own.fields | (hinote.DEFAULT if model == "hinote" else {})
  changes |= (other(own) if other else {}) | (_SMOKE if is_smoke else {})
  made.update_from_flattened_dict(changes)
  if is_redrawn:
    made.update_from_flattened_dict(dict(own.redrawn))
  if name == "photographs":
    made.data.path = str(source / "natural" / "BSDS500_train200")
  made.seed, made.steps = seed, steps
  made.validate_every = max(steps // validations, 1)
  made.optim.learning_rate = rate or made.optim.learning_rate
  made.optim.warmup = steps // 10
  made.evaluate.scales = own.scales[:1] if is_smoke else own.scales
  made.evaluate.figures = False
  # Its time is of the channels that it answers in.
  if model == "metasr" and made.data.get("static"):
    made.model.out_channels = len(made.data.variables)
  if model != "hinote" or seed:  # interpolations know no seed
    made.evaluate.against = ("bicubic",)
  return made
