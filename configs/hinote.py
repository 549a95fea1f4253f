"""Runs of HiNOTE (arXiv 2405.12202).

    python -m hinote_jax.main --config=configs/hinote.py:demo --workdir=DIR

demo    ERA5 at 1 degree: 2 m temperature and 10 m wind, told of height, land,
        latitude and of what is usual there; minutes on 2 cores
untold  the same, told nothing
smoke   the same for a minute, to see that everything works
demo,encoder=hat  another trunk, of `models.encoders`
files   your own: --config.data.path=FILE --config.data.variables='("a","b")'

The paper's runs, by data set; each wants --config.data.path (npy, npz, NetCDF
or Zarr of [time, y, x]) and an accelerator: vorticity_re16000,
vorticity_re32000, kinetic_energy, temperature, water_vapor, baryon_density,
sevir, mri.
"""

from ml_collections.config_dict import placeholder

from configs import common
from hinote_jax.core import naming


def model(config, encoder="edsr"):
  """Every attribute of the model; None is what size and preset say."""
  whole = ("width", "blocks", "upsample", "heads")
  whole += ("head_width", "head_depth", "head_heads")
  return dict(
    name="hinote",
    size="S",
    preset="local",
    dtype="float32",
    consistent=placeholder(bool),  # answers degrade to the input
    residual_scale="auto",  # measured on the training part
    max_scale=config.windows.get_ref("max_scale"),
    # None stands for EDSR.
    encoder=placeholder(str) if encoder == "edsr" else encoder,
    encoder_options=common.encoder(encoder),
    domain=placeholder(str),
    skip=placeholder(str),
    level_widths=placeholder(tuple),
    level_blocks=placeholder(tuple),
    level_convs=placeholder(tuple),
    is_alias_free=placeholder(bool),
    sees_scale=placeholder(bool),
    sees_detail=placeholder(bool),
    **{name: placeholder(int) for name in whole},
  )


# What of the paper costs little, and its loss, which older runs had by default;
# and what all have now.
LEVELS = {"model.preset": "levels", "loss.name": "frequency_prior"}
DEFAULT = {"model.preset": "local", "loss.name": "l1"}
# What everybody knows of the earth, and what is usual where the fields lie.
EARTH = (
  "earth:orography",
  "earth:land",
  "earth:roughness",
  "latitude",
  "climatology",
)


def _untold(config):
  config.steps = 700
  config.optim.learning_rate = 4e-3
  config.evaluate.scales = (2.0, 4.0, 8.0, 2.5)


def _demo(config):
  _untold(config)
  config.data.static = EARTH


def _smoke(config):
  config.optim.learning_rate = 4e-3
  common.shorten(config, 60)
  config.batch_size = 8
  config.windows.window = (16, 16)
  config.windows.queries = (24, 24)
  config.model.width = 16
  config.model.blocks = 2
  config.model.head_width = 32
  if config.model.encoder:
    common.shrink_encoder(config.model)
  config.evaluate.scales = (2.0, 4.0, 2.5)


def files(config):
  """The user's own files, in the size B."""
  config.data = common.data("files", ())
  config.split = common.split(validation=0.1, test=0.1, gap=1)
  config.steps = 20_000
  config.batch_size = 16
  if "size" in config.model:
    config.model.size = "B"
  config.validate_every = 1000


def recipe(config, window, batch_size):
  """The training of the paper's released configurations, corrected."""
  config.batch_size = batch_size
  config.steps = 80_000
  config.validate_every = 1000
  config.windows.window = (window, window)
  config.windows.queries = (window, window)
  if "scale" not in config.model:  # networks of one scale train at it alone
    config.windows.min_scale = 1.0
  config.optim.weight_decay = 1e-5


def _paper(window, batch_size):
  """The paper's run on files of one of its data sets."""

  def change(config):
    files(config)
    config.degradation = "decimate(cubic_torch)"
    recipe(config, window, batch_size)
    config.model.preset = "paper"
    config.loss.name = "frequency_prior"

  return change


RUNS = {
  "demo": _demo,
  "untold": _untold,
  "smoke": _smoke,
  "files": files,
  "vorticity_re16000": _paper(64, 16),
  "vorticity_re32000": _paper(32, 16),
  "kinetic_energy": _paper(32, 32),
  "temperature": _paper(32, 32),
  "water_vapor": _paper(32, 32),
  "baryon_density": _paper(32, 32),
  "sevir": _paper(32, 32),
  "mri": _paper(32, 32),
}


def get_config(arg="demo"):
  """Returns the config of a run, by its name."""
  run, encoder = common.part(arg, "encoder", "edsr")
  config = common.base()
  config.model = model(config, encoder)
  naming.look_up("run", run or "demo", RUNS)(config)
  return config.lock()
