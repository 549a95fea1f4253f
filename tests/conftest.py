"""Sets the stage before jax is imported: eight CPU devices, one cache."""

import gc
import os
from pathlib import Path
import sys

from absl import flags
import hypothesis
import jaxtyping
import pytest

from tests import quick_xla
import tests.typechecker  # noqa: F401, found by name by jaxtyping's hook

ROOT = Path(__file__).resolve().parents[1]

# Eight devices let one CPU run what a pod runs. XLA and jax read these once,
# and worker processes inherit them; what the user has set stays.
os.environ["XLA_FLAGS"] = quick_xla.flags(8, os.environ.get("XLA_FLAGS", ""))
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
from hinote_jax import pages  # noqa: E402
from tests import compiled  # noqa: E402

compiled.install()


def pytest_collection_finish():
  """What is imported stays: the collector need not go over it again."""
  gc.collect()
  gc.freeze()


@pytest.fixture(autouse=True)
def _without_pages(request, monkeypatch):
  """Writes no report.html where nobody looks at it: each takes its second."""
  if "pages" not in request.path.parts:
    monkeypatch.setattr(pages, "is_available", lambda: False)


# Nothing else parses absl's flags under pytest; grain and absltest read them.
flags.FLAGS(sys.argv[:1])

# The same examples on every run, and no deadline: a first call compiles.
hypothesis.settings.register_profile(
  "hinote_jax", deadline=None, derandomize=True, max_examples=25
)
hypothesis.settings.load_profile("hinote_jax")
