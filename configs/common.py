"""What every config shares: the fields, their defaults, and how to shrink one.

A config is a published run. It is locked: a field that does not exist is an
error that names the nearest one that does. A field that is None stands for the
default of the part it belongs to.
"""

import ml_collections
from ml_collections import config_dict
from ml_collections.config_dict import placeholder

from hinote_jax import data as datasets
from hinote_jax.models import encoders


def unset(default):
  """Returns a field at None that takes what is of the type of `default`."""
  kind = type(default)
  return placeholder(object if kind is type(None) else kind)


def encoder(name):
  """Returns what an encoder is told: every attribute, None for its default.

  Those of EDSR and RDN are there for all: --config.model.encoder=rdn.
  """
  own = {"parent", "name", "channels", "periodic", "dtype", "scale"}
  made = encoders.make(name, {})
  fields = set(made.__dataclass_fields__) - own
  fields = {field: unset(getattr(made, field)) for field in sorted(fields)}
  sizes = ("width", "blocks", "layers", "growth")
  return {"size": unset(""), **{size: unset(0) for size in sizes}, **fields}


# What of an encoder makes it small enough for a smoke run.
SMALL = dict(
  width=16,
  blocks=2,
  depths=(2,),
  num_heads=(2,),
  embed_dim=16,
  window_size=4,
  num_feat=16,
  overlap_ratio=0.5,
)


def shrink_encoder(model):
  """Makes the encoder of a model small, if it has one."""
  if "encoder_options" in model:
    made = encoders.make(model.encoder or "edsr", {})
    for field, value in SMALL.items():
      if field in made.__dataclass_fields__:
        model.encoder_options[field] = value


def shorten(config, steps):
  """Makes a run one of a minute: so many steps, validated twice."""
  config.steps = steps
  config.log_every = 10
  config.validate_every = steps // 2
  config.validation_examples = 8


def part(arg, name, default):
  """Returns the words of an argument without "NAME=...", and what that is."""
  words = [word.strip() for word in arg.split(",") if word.strip()]
  given = [word for word in words if word.startswith(f"{name}=")]
  values = [word.removeprefix(f"{name}=") for word in given] or [default]
  if len(values) > 1:
    raise ValueError(f"one {name} is asked for, got {arg!r}")
  return ",".join(word for word in words if word not in given), values[0]


def split(validation, test, gap, train=None):
  """Returns how a run divides its fields; see `splits.stored_or_new`.

  A part is a number of times, or groups, a fraction of them, from which date on
  ("2018-01-01") or patterns of the names of groups ("CSI2,CSI3").
  """

  def size(value):
    return config_dict.FieldReference(value, field_type=object)

  return dict(
    validation=size(validation),
    test=size(test),
    train=size(train),  # of groups; None is what is left
    seed=placeholder(int),  # draws the order of groups
    gap=gap,
  )


def data(name, variables, **chosen):
  """Returns where fields come from: every option of a source as a field.

  None is the source's default; see the function of that name in
  `hinote_jax/data`.
  """
  options = datasets.options(name)
  if unknown := chosen.keys() - options:
    raise ValueError(f"{name} takes no {', '.join(sorted(unknown))}")
  fields = {option: unset(default) for option, default in options.items()}
  fields |= dict(path=placeholder(str), cache_dir=placeholder(str))
  # What is known of the place, see `hinote_jax.data.static`.
  fields["static"] = placeholder(tuple)
  if "lowres" in fields:
    fields["lowres"] = placeholder(str)  # a pattern, even where it is a number
  for option, value in chosen.items():
    fields[option].set(value)
  return dict(name=name, variables=variables, **fields)


def base() -> ml_collections.ConfigDict:
  """Returns the fields that every run has, with the demo's data."""
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.steps = 1000
  config.batch_size = 8  # of all devices and processes together
  config.accumulate = 1  # parts a batch is taken in, to save memory
  config.parallel = "pmap"  # or "shard_map", "jit"
  # Devices that share the query points of an example, with "jit" alone; None
  # is 1. The others share the examples.
  config.query_devices = placeholder(int)
  config.remat = placeholder(bool)  # computes again rather than remembers
  config.saves_behind = placeholder(bool)  # writes while training goes on
  # What the loss is multiplied by for the gradient, for float16; None is 1.
  config.loss_scale = placeholder(float)
  # Steps in a row that are left out where the gradient is no number; None is 3.
  config.skip_limit = placeholder(int)
  config.ema_decay = 0.998

  config.data = data("era5_sample", ("t2m", "u10", "v10"))
  # Times of each part, in time order, with a gap dropped between them.
  config.split = split(validation=3, test=5, gap=1)
  config.degradation = "decimate(cubic, antialias)"
  config.windows = dict(
    window=(32, 32),  # low-resolution cells
    queries=(48, 48),  # high-resolution cells asked for
    min_scale=1.5,
    max_scale=4.0,
    whole=0.0,  # share of the examples at a whole scale
    # Under which training windows are seen: "flip_y", "flip_x", "transpose".
    symmetries=(),
    # Scales s are drawn with a density of s**-power; None is 0, uniform.
    power=placeholder(float),
    # Whole scales, of which a batch has one: windows then have the queries over
    # it. Blurs of an example, "gaussian", "motion" or files of kernels, and the
    # largest noise are drawn too, in deviations of the fields; None leaves
    # those of the degradation. See configs/unfolding.py.
    scales=placeholder(tuple),
    blurs=placeholder(tuple),
    noise=placeholder(float),
  )

  config.model = dict(name="hinote")
  # A file of that network, whose parameters are the first; None draws them.
  config.start = placeholder(str)
  # See hinote_jax/losses for what each takes; None is its default. The paper's
  # is frequency_prior.
  config.loss = dict(
    name="l1",
    static=placeholder(bool),
    dynamic=placeholder(bool),
    resize=placeholder(str),
    learned=placeholder(bool),
    power=placeholder(float),
    epsilon=placeholder(float),
    # What is added to it: '0.1*mghf_c(network="runs/inn")'; see
    # losses/terms.py.
    terms=placeholder(str),
  )
  config.optim = dict(
    learning_rate=1e-3,
    warmup=100,
    final=0.01,
    weight_decay=0.0,
    clip=1.0,
    b2=0.99,
    # Regular expressions of parameters that stay as they are:
    # ("model/encoder",).
    frozen=placeholder(tuple),
  )

  config.log_every = 20
  config.validate_every = 250  # also when checkpoints are written
  config.validation_examples = 32
  config.evaluate = dict(
    scales=(2.0, 3.0, 4.0, 6.0, 8.0, 2.5),
    # Interpolations, and workdirs of other runs on the same variables.
    against=("nearest", "bilinear", "bicubic", "spectral"),
    # Files that nothing was trained on: with --mode=evaluate they are scored
    # in place of the run's own held-out fields.
    path=placeholder(str),
    # Every row once more, with the answer made to degrade to its input.
    consistent=False,
    # Beside the numbers, pictures of them.
    figures=True,
    # A score of your own, "module:function" of (pred, target), fields [H W c]
    # in physical units, that returns {name: one number, or one a variable}.
    metrics=placeholder(str),
  )
  return config
