"""Runs of the sciences, by one path.

    python -m hinote_jax.main --config=configs/sciences.py:turbulence,small \
      --workdir=DIR

turbulence  generated two-dimensional turbulence: vorticity
weather     ERA5: temperature and wind of the sample that is installed; of your
            own files with --config.data.path=FILES and --config.data.variables
radar       SEVIR: vertically integrated liquid; wants --config.data.path=FOLDER
rain        radar of your own in any format, a file a place or an event, which
            are never divided; wants --config.data.path=FILES
mri         T1-weighted heads that are installed; NIfTI or fastMRI's files with
            --config.data.path=FILES

images      photographs in colour, PNG, JPEG or TIFF; wants
            --config.data.path=FOLDER, and at `paper` is DIV2K

each at a size:

smoke       a minute, to see that everything works
small       on 2 cores ten minutes; its peers take up to ten times that
paper       the sizes of the paper, for an accelerator

With model=NAME a peer of `configs/baselines.py` learns the same: the same
fields, windows, steps and seed, and with model=srno, liif, lte or metasr at
`smoke` and `small` the trunk of hinote's size S.
"""

from configs import baselines, common, hinote
from hinote_jax.core import naming

SIZES = ("smoke", "small", "paper")


def _by_area(config):
  """Means over cells; where fine and coarse ones line up they blur less."""
  config.degradation = "area"
  config.windows.whole = 0.25


def _turbulence(config, size):
  known = dict(kind="forced", seed=0)
  if size == "smoke":
    known |= dict(grid=64, reynolds=50.0, trajectories=5, snapshots=2)
  config.data = common.data(
    "turbulence2d",
    ("omega",),
    size="paper" if size == "paper" else "tiny" if size == "smoke" else "small",
    **known,
  )
  if size == "smoke":
    config.split = common.split(validation=1, test=1, gap=0)
  else:
    config.split = common.split(validation=2, test=3, gap=0)
  _by_area(config)
  if size == "paper":
    config.degradation = "truncate"
  config.evaluate.against = ("nearest", "bilinear", "bicubic", "spectral")


def _weather(config, size):
  # Without a path, the sample.
  if size == "paper":
    config.data = common.data("era5", ())
    config.split = common.split(validation=0.1, test=0.1, gap=4)
  else:
    config.data = common.data("era5", ("t2m", "u10", "v10"))
  _by_area(config)


def _radar(config, size):
  config.data = common.data(
    "sevir", ("vil",), every=12 if size == "smoke" else 6
  )
  config.split = common.split(validation=0.1, test=0.2, gap=0)
  _by_area(config)


def _rain(config, size):
  del size
  config.data = common.data("files", (), grouped=True, domain="radar")
  config.split = common.split(validation=0.1, test=0.2, gap=0)
  _by_area(config)


def _mri(config, size):
  every = 16 if size == "smoke" else 2
  config.data = common.data(
    "mri", ("intensity",), every=every, scaling="maximum", plane="axial"
  )
  config.split = common.split(validation=1, test=1, gap=0)
  config.degradation = "kspace"


def _images(config, size):
  colours = ("red", "green", "blue")
  if size == "paper":
    config.data = common.data("div2k", colours, shape=(512, 512))
    config.split = common.split(
      train="train/*", validation=0.01, test="validation/*", gap=0
    )
  else:
    shape = (96, 96) if size == "smoke" else (256, 256)
    config.data = common.data("images", colours, shape=shape, tiles=2)
    config.split = common.split(validation=1, test=1, gap=0)
  config.degradation = "imresize"


SCIENCES = {
  "turbulence": _turbulence,
  "weather": _weather,
  "radar": _radar,
  "rain": _rain,
  "mri": _mri,
  "images": _images,
}


def _model(config, name, size):
  if name == "hinote":
    is_paper = size == "paper"
    config.model = hinote.model(config)
    if is_paper:
      config.model.update(size="B", preset="paper")
      config.loss.name = "frequency_prior"
    return
  config.loss = dict(name="l1", terms=common.unset(""))
  baselines.model(config, name)
  if size != "paper" and "encoder_options" in config.model:
    config.model.encoder_options.update(width=32, blocks=6)


def _sized(config, size):
  config.optim.learning_rate = 4e-3 if config.model.name == "hinote" else 3e-3
  if size == "smoke":
    common.shorten(config, 40)
    config.windows.window = (16, 16)
    config.windows.queries = (24, 24)
    config.evaluate.scales = (2.0, 4.0)
  elif size == "small":
    config.steps = 6000
  else:
    hinote.recipe(config, 32, 32)


def get_config(arg="turbulence,smoke"):
  """Returns the config of a run: "SCIENCE,SIZE" and perhaps "model=NAME"."""
  parts = [part.strip() for part in arg.split(",") if part.strip()]
  models = [p.removeprefix("model=") for p in parts if p.startswith("model=")]
  rest = [p for p in parts if not p.startswith("model=")]
  if not 1 <= len(rest) <= 2 or len(models) > 1:
    raise ValueError(
      "a run is 'SCIENCE,SIZE', e.g. 'weather,small', with ',model=NAME' for "
      f"a peer; got {arg!r}"
    )
  science, size = rest[0], rest[1] if len(rest) > 1 else "smoke"
  naming.look_up("science", science, SCIENCES)
  naming.look_up("size", size, dict.fromkeys(SIZES))
  config = common.base()
  SCIENCES[science](config, size)
  _model(config, models[0] if models else "hinote", size)
  _sized(config, size)
  return config.lock()
