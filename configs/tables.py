"""Networks that become look-up tables, and tables that are trained on.

    python -m experiments.tables.photographs photographs
    python -m hinote_jax.main --config=configs/tables.py:sr_lut \\
      --config.data.path=photographs --workdir=runs/s4
    python -m hinote_jax.infer.tabulating runs/s4 s4.npz --which=latest

Runs, each of minutes on 2 cores, short ones: the one photograph of validation
says little of others, so the latest step is taken.

sr_lut    pattern S at x4: --config.model.scale=2, --config.model.pattern=V
im_lut    IM-LUT of NLCZ at x1.5 to 4: --config.model.interpolators=NL
weather   IM-LUT of NLC on the demo's weather
smoke     IM-LUT of a few steps, to see that everything works

With `,table` after the run the entries of a table are trained, from a file:
im_lut,table --config.start=im.npz.
"""

from configs import baselines, common
from hinote_jax.core import naming


def _recipe(config):
  config.batch_size = 16
  config.loss = dict(name="l2")
  config.optim.learning_rate = 2e-3


def _photographs(config):
  # Evenly many windows of each photograph, the last ones held out.
  config.data = common.data(
    "images", ("grey",), shape=(192, 192), tiles=3, bits=8
  )
  config.split = common.split(validation="rocket*", test="coffee*", gap=0)
  config.degradation = "decimate(cubic, antialias)"


def _sr_lut(config):
  _photographs(config)
  baselines.model(config, "sr_lut")
  config.model.scale = 4
  config.steps = 10000
  config.windows.window = (24, 24)
  config.windows.queries = (96, 96)
  config.evaluate.scales = (4.0,)


def _im_lut(config):
  _photographs(config)
  baselines.model(config, "im_lut")
  config.steps = 6000
  config.windows.min_scale = 1.5
  config.windows.whole = 0.5
  _window(config)
  config.evaluate.scales = (2.0, 2.5, 3.0, 4.0)


def _window(config):
  config.windows.window = (24, 24)
  config.windows.queries = (36, 36)


def _weather(config):
  baselines.model(config, "im_lut")
  config.model.interpolators = "NLC"
  config.steps = 1000
  _window(config)
  config.evaluate.scales = (2.0, 2.5, 3.0, 4.0)


def _smoke(config):
  _weather(config)
  config.model.interpolators, config.model.width = "NL", 8
  common.shorten(config, 30)
  config.evaluate.scales = (2.0,)


def _table(config):
  config.model.is_table = True
  config.steps = max(config.steps // 4, 10)
  config.optim.warmup = 0


RUNS = {
  "sr_lut": _sr_lut,
  "im_lut": _im_lut,
  "weather": _weather,
  "smoke": _smoke,
}


def get_config(arg="smoke"):
  """Returns the config of a run, called by its name, perhaps of its table."""
  name, _, rest = arg.partition(",")
  config = common.base()
  _recipe(config)
  naming.look_up("run", name, RUNS)(config)
  if rest:
    naming.look_up("kind of run", rest, {"table": _table})(config)
  return config.lock()
