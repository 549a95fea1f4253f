"""Published networks, or your own, on images by the published protocols.

    python -m hinote_jax.main --config=configs/images.py --mode=evaluate \
      --config.data.path=FOLDER --config.checkpoint=FILE --workdir=DIR

FILE is a published PyTorch file, the workdir of a run or an interpolation, or
several: --config.checkpoint='("liif.pth","runs/mine")'. Other protocols of
hinote_jax/evaluate/protocols.py go by --config=configs/images.py:div2k_rgb; the
published numbers at x2, x3 and x4 are of those that end in _matlab. On a CPU
five images at three scales take seconds for an interpolation, a minute or two
for LIIF.
"""

import ml_collections
from ml_collections.config_dict import placeholder


def get_config(protocol="benchmark_luma"):
  """Returns the config of an evaluation by a protocol, called by its name."""
  config = ml_collections.ConfigDict()
  config.task = "images"
  # "folder" of png, jpg, tif or bmp, or "div2k" as tensorflow-datasets has
  # prepared it in `path`; `limit` takes the first images only.
  config.data = dict(
    name="folder", path=placeholder(str), limit=placeholder(int)
  )
  config.protocol = protocol or "benchmark_luma"
  config.scales = (2, 3, 4)
  config.checkpoint = ()
  config.against = ("bicubic",)
  # Around published files: "centred" takes (v - 0.5) / 0.5, "unit" v in [0, 1];
  # None is what the network was published with.
  config.normalisation = placeholder(str)
  # What a published file cannot tell of its network, as
  # hinote_jax.interop.inspect lists it: ("res_scale=0.1",).
  config.options = ()
  return config.lock()
