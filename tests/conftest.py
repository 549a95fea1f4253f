"""Sets the stage before jax is imported: eight CPU devices, one cache."""

import os
from pathlib import Path
import sys

from absl import flags
import hypothesis
import jaxtyping

import tests.typechecker  # noqa: F401, found by name by jaxtyping's hook

ROOT = Path(__file__).resolve().parents[1]

# Eight devices let one CPU run what a pod runs. XLA and jax read these once,
# and worker processes inherit them; what the user has set stays.
DEVICE_COUNT = "--xla_force_host_platform_device_count"
if DEVICE_COUNT not in os.environ.get("XLA_FLAGS", ""):
  os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} {DEVICE_COUNT}=8".strip()
  )
# Most of a cold run is XLA, and tiny programs gain nothing by its best: the
# simplest code, one module a program, takes a fifth of the time to compile.
QUICK_COMPILATION = {
  "xla_backend_optimization_level": "0",
  "xla_cpu_use_fusion_emitters": "false",
  "xla_cpu_parallel_codegen_split_count": "1",
}
for option, value in QUICK_COMPILATION.items():
  if option not in os.environ["XLA_FLAGS"]:
    os.environ["XLA_FLAGS"] += f" --{option}={value}"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache/jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

# Where shapes are written they are checked at every call; elsewhere pyright's
# look at the types has to do, since a check of every call costs time.
SHAPED = "core fields infer io lazy losses metrics models nn".split()
jaxtyping.install_import_hook(
  [f"hinote_jax.{name}" for name in SHAPED], "tests.typechecker.check"
)

# After jax has read what is above.
from tests import compiled  # noqa: E402

compiled.install()

# Nothing else parses absl's flags under pytest; grain and absltest read them.
flags.FLAGS(sys.argv[:1])

# The same examples on every run, and no deadline: a first call compiles.
hypothesis.settings.register_profile(
  "hinote_jax", deadline=None, derandomize=True, max_examples=25
)
hypothesis.settings.load_profile("hinote_jax")
