"""The implicit networks against recorded runs of the published ones."""

import numpy as np
import pytest

from hinote_jax import interop
from tests.parity import reference

pytestmark = reference.needs_reference
_CASES = [
  *(("liif", name) for name in reference.cases("liif", "[lm]i*")),
  *(("liif", name) for name in reference.cases("liif", "metasr*")),
  *(("lte", name) for name in reference.cases("lte")),
  *(("srno", name) for name in reference.cases("srno")),
  *(
    ("hinote_baselines", name)
    for name in ("LIIF", "LTE", "MetaSR", "SRNO")
    if reference.ROOT.is_dir()
  ),
]


def _options(meta):
  known = ("local_ensemble", "feat_unfold", "cell_decode")
  is_liif = meta["model"] == "LIIF"
  return {k: meta["config"][k] for k in known if k in meta["config"] and is_liif}


@pytest.mark.parametrize(("folder", "name"), _CASES)
def test_output_is_the_published_one(folder, name):
  case = reference.case(folder, name)
  got = reference.run(case, **_options(case.meta))
  want = reference.to_ours(case.arrays["out"])
  reference.assert_close(got, want, reference.tolerance(case, want))
