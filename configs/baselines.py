"""Runs of HiNOTE's peers, each by the same path.

    python -m hinote_jax.main \\
      --config=configs/baselines.py:model=liif,demo --workdir=DIR

`model=` is a name of `hinote_jax.models`, or "module:name" of your own; every
attribute of the model is a field, --config.model.blocks=8, and None stands for
its default. `model=liif,encoder=hat` is HAT-LIIF: any encoder of
`models.encoders`, its attributes --config.model.encoder_options.size=S.
`model=usrnet` unfolds the degradation of the run: its kernel and noise are
those of --config.degradation at the network's scale. Runs:

demo    the data, what is known of the place and the length of
        configs/hinote.py:demo; networks of one variable are told nothing
untold  the same, told nothing
smoke   a small network for a minute, to see that everything works
files   your own fields, the size and the step count of the papers

With --config.model.consistent=True any of them, and hinote, ends in the data
step: degraded as in training, its answers are its input, while it trains too.

Networks of one scale train at it alone, 4 unless --config.model.scale says
otherwise, and are read between its points at the others. Tables of several:
--config.evaluate.against='("bicubic","runs/srno","runs/liif")', all of them
trained on the same --config.data.variables; hinote_official takes one.
"""

from typing import Any

import ml_collections
from ml_collections.config_dict import placeholder

from configs import common, hinote
from hinote_jax import models
from hinote_jax.core import naming

# What of an attribute makes a network small enough for a smoke run.
_SMALL = common.SMALL | dict(
  layers=2,
  growth=8,
  heads=2,
  hidden=(16,),
  head_width=16,
  waves=8,
  attention_width=16,
  attention_head=2,
  features=16,
  fourier_width=8,
  modes1=4,
  modes2=4,
  widths=(8, 8, 8, 8),
  iterations=2,
  hyper_width=8,
)


def model(config, name, encoder="edsr"):
  """Every attribute of a model as a field; None is the model's default."""
  own = {"parent", "name", "channels", "periodic", "dtype"}
  defaults = models.build(name)
  fields: dict[str, Any] = {
    field: common.unset(getattr(defaults, field))
    for field in defaults.__dataclass_fields__
    if field not in own
  }
  if "encoder_options" in fields:
    fields["encoder_options"] = common.encoder(encoder)
    fields["encoder"].set(None if encoder == "edsr" else encoder)
  elif encoder != "edsr":
    raise ValueError(f"{name} takes no encoder, got {encoder!r}")
  own = dict(name=name, dtype="float32", consistent=placeholder(bool))
  model = ml_collections.ConfigDict(own | fields)
  if "scale" in fields:
    model.scale = defaults.scale or 4
    scale = model.get_ref("scale")
    del config.windows["min_scale"], config.windows["max_scale"]
    config.windows.update(min_scale=scale, max_scale=scale)
  if models.spec(name).is_of_one_variable:
    config.data.variables = config.data.variables[:1]
  if "max_scale" in fields:
    model.max_scale = config.windows.get_ref("max_scale")
  config.model = model


def _untold(config):
  config.steps = 1000
  config.optim.learning_rate = 1e-3


def _demo(config):
  _untold(config)
  if not models.spec(config.model.name).is_of_one_variable:
    config.data.static = hinote.EARTH


def _smoke(config):
  _untold(config)
  common.shorten(config, 60)
  config.windows.window = (16, 16)
  config.windows.queries = (24, 24)
  config.evaluate.scales = (2.0, 4.0)
  for field, value in _SMALL.items():
    if field in config.model:
      config.model[field] = value
  common.shrink_encoder(config.model)


def _files(config):
  hinote.files(config)
  config.optim.learning_rate = 1e-4
  config.optim.clip = 10.0


PEERS = tuple(
  name
  for name in models.names()
  if name != "hinote" and name not in models.INTERPOLATIONS
)
RUNS = {"demo": _demo, "untold": _untold, "smoke": _smoke, "files": _files}


def get_config(arg="model=srno,demo"):
  """Returns the config of a peer's run: "model=NAME,RUN"."""
  arg, encoder = common.part(arg, "encoder", "edsr")
  parts = [part.strip() for part in arg.split(",") if part.strip()]
  chosen = [p.removeprefix("model=") for p in parts if p.startswith("model=")]
  runs = [p for p in parts if not p.startswith("model=")] or ["demo"]
  if len(chosen) != 1 or len(runs) != 1:
    raise ValueError(
      f"a peer's run is 'model=NAME,RUN', e.g. 'model=srno,demo', got {arg!r}"
    )
  if ":" not in chosen[0]:  # a model of another package, "module:name"
    naming.look_up("peer", chosen[0], dict.fromkeys(PEERS))
  config = common.base()
  # The peers' own loss; no learned prior, no decay.
  config.loss = dict(name="l1", terms=common.unset(""))
  model(config, chosen[0], encoder)
  naming.look_up("run", runs[0], RUNS)(config)
  return config.lock()
