"""Networks that a loss compares by, and runs that are trained with them.

    python -m hinote_jax.main --config=configs/perceptual.py:inn_turbulence \\
      --workdir=runs/inn
    python -m hinote_jax.main --config=configs/sciences.py:turbulence,small \\
      --config.loss.terms='0.1*mghf_c(network="runs/inn")' --workdir=runs/sharp

inn_turbulence   generated two-dimensional turbulence
inn_photographs  photographs; wants --config.data.path=FOLDER
smoke            a few steps, to see that everything works

An `inn` is trained to give its input back, by squared error, dissimilarity and
error of the slopes, as the first stage of CDDFuse; ours, since the authors of
MGHF say nothing of theirs. Its validation error is a fraction of the variance.
Runs take minutes on 2 cores.
"""

from configs import common, sciences
from hinote_jax.core import naming


def _inn(config):
  # The field itself: windows of one cell a cell.
  config.degradation = "decimate(cubic)"
  config.windows.min_scale = config.windows.max_scale = 1.0
  config.windows.whole = 0.0
  config.windows.window = config.windows.queries = (32, 32)
  config.windows.symmetries = ("flip_y", "flip_x", "transpose")
  config.model = dict(
    name="inn",
    width=8,  # so that a term costs no more than a step of size S
    heads=2,
    blocks=1,
    decoder_blocks=1,
    nodes=3,
    factor=2,
    residual=False,
  )
  config.loss = dict(
    name="autoencode",
    similarity=common.unset(5.0),
    slopes=common.unset(5.0),
    window=common.unset(11),
    data_range=4.0,  # of normalised fields: most lie within two deviations
    terms=common.unset(""),
  )
  config.batch_size = 8
  config.steps = 3000
  config.optim.learning_rate = 2e-3
  config.evaluate.scales = (1.0,)
  return config


def _turbulence():
  return _inn(sciences.get_config("turbulence,small").unlock())


def _photographs():
  config = common.base()
  config.data = common.data(
    "images", ("grey",), shape=(192, 192), tiles=3, bits=8
  )
  config.split = common.split(validation="rocket*", test="coffee*", gap=0)
  return _inn(config)


def _smoke():
  config = _inn(sciences.get_config("turbulence,smoke").unlock())
  config.model.update(width=4)
  config.windows.window = config.windows.queries = (16, 16)
  common.shorten(config, 30)
  return config


RUNS = {
  "inn_turbulence": _turbulence,
  "inn_photographs": _photographs,
  "smoke": _smoke,
}


def get_config(arg="smoke"):
  """Returns the config of a run, called by its name."""
  return naming.look_up("run", arg, RUNS)().lock()
