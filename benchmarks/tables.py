"""Tables over pictures of bytes, beside Pillow's bicubic in the same process.

python -m benchmarks.tables NAME
"""

import json
import sys
import time
from typing import Any

import numpy as np
from PIL import Image
from skimage import data

from benchmarks import case
from hinote_jax import models
from hinote_jax.evaluate import markdown
from hinote_jax.models.lut import ensemble, host, host_mix, taps

# And three colours.
_SHAPE: tuple[int, int] = (180, 320)
_FINE: tuple[int, int] = (720, 1280)
CASES: dict[str, dict[str, Any]] = {
  **{
    f"SR-LUT {pattern}, 320x180 -> 1280x720": dict(
      name="sr_lut", scale=4, pattern=pattern, interval=interval
    )
    for pattern, interval in (("V", 1), ("F", 16), ("S", 16))
  },
  **{
    f"IM-LUT {letters}, 320x180 -> 1280x720": dict(
      name="im_lut", interpolators=letters
    )
    for letters in ("NL", "NLC", "NLCZ")
  },
}


def _picture() -> np.ndarray:
  """Returns a photograph of scikit-image's, [h w 3] uint8."""
  image = Image.fromarray(data.coffee()[:337])  # 337 x 600, about 9 to 16
  h, w = _SHAPE
  return np.asarray(image.resize((w, h), Image.Resampling.BICUBIC))


def _tables(part: ensemble.Ensemble) -> dict[str, np.ndarray]:
  random = np.random.default_rng(0)
  count = ensemble.levels(part.interval)
  shape = part.outputs * part.side**2
  return {
    f"table_{p}": random.normal(size=(count ** len(taps.of(p)), shape)) / 4
    for p in part.patterns
  }


def _call(arguments: dict[str, Any], picture: np.ndarray):
  module: Any = models.build(**arguments, is_table=True)
  if arguments["name"] == "sr_lut":
    params = {"turns": _tables(module.part())}
    enlarge = host.Enlarger(module, {"params": params})
    return lambda: enlarge(picture)
  params: dict[str, Any] = {
    name: _tables(part) for name, part in module.parts().items()
  }
  params["scales"] = np.ones((141, len(module.interpolators)))
  mix = host_mix.Mixer(module, {"params": params})
  return lambda: mix(picture, _FINE)


def _seconds(call, repeats: int = 20) -> float:
  call()
  times = []
  for _ in range(repeats):
    begun = time.perf_counter()
    call()
    times.append(time.perf_counter() - begun)
  return float(np.median(times))


def measure(name: str) -> dict[str, Any]:
  """Returns seconds of a table and of Pillow, and what the table takes."""
  picture = _picture()
  image, size = Image.fromarray(picture), (_FINE[1], _FINE[0])
  call = _call(CASES[name], picture)
  call()  # compiled
  before = case.peak_gb()
  seconds = _seconds(call)
  return {
    "case": name,
    "seconds": seconds,
    "pillow": _seconds(lambda: image.resize(size, Image.Resampling.BICUBIC)),
    "results": (case.peak_gb() - before) * 1e9 / np.prod([*_FINE, 3]),
  }


def section(results: list[dict[str, Any]]) -> str:
  """Returns what was measured, as Markdown."""
  lines = [["case", "ms", "Pillow's bicubic", "times Pillow's"]]
  for r in results:
    own, pillow = 1e3 * r["seconds"], 1e3 * r["pillow"]
    row = [r["case"], f"{own:.1f}", f"{pillow:.1f}", f"{own / pillow:.1f}"]
    lines.append(row)
  return (
    "Look-up tables over a photograph of bytes, in colour, compiled by "
    "Numba, beside Pillow's bicubic in the same process:\n\n"
    + markdown.table(lines)
  )


if __name__ == "__main__":
  print(json.dumps(measure(sys.argv[1])))
