"""Deep unfolding: networks that are told what blurred their input.

    python -m hinote_jax.main --config=configs/unfolding.py:fields \
      --workdir=runs/usrnet
    hinote-upscale in.nc out.nc --scale 2 --checkpoint runs/usrnet \
      --psf 'gaussian(1.2)' --noise 0.01

photographs  USRNet as published: blurs, noise and scales 1 to 4 are drawn;
             wants --config.data.path=FOLDER of photographs in colour
fields       USRNet on turbulence: the blur of --config.degradation, scales 2
             to 4, noise up to 2 % of the deviation of the field
files        the same of your own fields: --config.data.path=FILES
denoiser     FFDNet on photographs, for `infer.Unfolded`; its layers say what
             the noise is, which takes minutes to learn, not days
smoke        fields of a minute, to see that everything works

`,full` after it is the network of 17 million parameters in place of the tiny
one, on an accelerator. What a run is scored on, and what its network takes a
field for that comes without --psf, is --config.degradation.
"""

from ml_collections.config_dict import placeholder

from configs import baselines, common, hinote
from hinote_jax.core import naming


def _usrnet(config, scales, side, blurs=None, noise=None):
  baselines.model(config, "usrnet")
  config.model.size = "tiny"
  del config.model["scale"]  # which is that of the windows elsewhere
  config.model.scale = placeholder(object)
  for field in ("iterations", "hyper_width", "widths", "residual"):
    config.model[field] = None
  _drawn(config, scales, side, blurs, noise)


def _drawn(config, scales, side, blurs, noise):
  del config.windows["min_scale"], config.windows["max_scale"]
  config.windows.update(
    scales=scales,
    blurs=blurs,
    noise=noise,
    window=(side // max(scales),) * 2,
    queries=(side, side),
    min_scale=float(min(scales)),
    max_scale=float(max(scales)),
  )
  config.evaluate.scales = tuple(float(s) for s in scales)
  # As published, without the warm-up.
  config.optim.update(learning_rate=1e-3, clip=10.0)


def _photographs(config):
  colours = ("red", "green", "blue")
  config.data = common.data("images", colours, shape=(192, 192), tiles=3)
  config.split = common.split(validation="rocket*", test="coffee*", gap=0)
  config.degradation = "blur(0.8)|uniform"
  config.steps = 20_000


def _images(config):
  _photographs(config)
  # 25 of 255, in deviations of photographs, about a quarter of white.
  _usrnet(config, (1, 2, 3, 4), 96, ("gaussian", "motion"), 0.4)


def _denoiser(config):
  _photographs(config)
  config.degradation = "uniform"
  baselines.model(config, "ffdnet")
  del config.model["scale"]
  config.model.update(scale=1, residual=True)
  _drawn(config, (1,), 64, None, 0.8)


def _fields(config):
  config.data = common.data(
    "turbulence2d", ("omega",), size="small", kind="forced", seed=0
  )
  config.split = common.split(validation=2, test=3, gap=0)
  config.degradation = "blur(0.5)|uniform"
  config.steps = 6000
  # Walls of windows are none of the field: large ones have less of them.
  _usrnet(config, (2, 3, 4), 96, None, 0.02)
  config.batch_size = 2
  config.model.residual = True


def _files(config):
  _fields(config)
  hinote.files(config)
  config.model.size = "tiny"


def _smoke(config):
  _fields(config)
  config.data.update(
    size="tiny", grid=64, reynolds=50.0, trajectories=5, snapshots=2
  )
  config.split = common.split(validation=1, test=1, gap=0)
  _drawn(config, (2, 4), 24, ("gaussian", "motion"), 0.02)
  config.model.update(iterations=2, widths=(8, 8, 8, 8), hyper_width=8)
  common.shorten(config, 30)


RUNS = {
  "photographs": _images,
  "fields": _fields,
  "files": _files,
  "denoiser": _denoiser,
  "smoke": _smoke,
}


def get_config(arg="smoke"):
  """Returns the config of a run, called by its name, perhaps of its size."""
  name, _, rest = arg.partition(",")
  config = common.base()
  config.loss = dict(name="l1")
  naming.look_up("run", name, RUNS)(config)
  if rest:
    config.model.size = naming.look_up("size", rest, {"full": "full"})
  return config.lock()
