"""Networks are told apart by what they were built from, in any process."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from hinote_jax import models
from hinote_jax.infer import fingerprint

_LIIF = dict(hidden=(8,), encoder_options=dict(width=4, blocks=1))
_CODE = f"""
from hinote_jax import models
from hinote_jax.infer import fingerprint
print(fingerprint.of(models.build("liif", **{_LIIF})))
"""


def test_it_is_the_same_in_another_process():
  done = subprocess.run(
    [sys.executable, "-c", _CODE], capture_output=True, text=True, check=True
  )
  module = models.build("liif", **_LIIF)
  assert done.stdout.strip() == fingerprint.of(module)
  assert fingerprint.of(module) == fingerprint.of(module.clone(name="part"))


@pytest.mark.parametrize(
  "changed",
  [
    dict(hidden=(8, 8)),
    dict(encoder_options=dict(width=4, blocks=2)),
    dict(feat_unfold=False),
    dict(dtype=jnp.bfloat16),
  ],
)
def test_every_setting_counts(changed):
  one, other = (models.build("liif", **_LIIF | d) for d in ({}, changed))
  assert fingerprint.of(one) != fingerprint.of(other)


def test_the_kind_counts_and_functions_go_by_name():
  kinds = [models.build(name) for name in ("edsr", "rdn", "bicubic", "nearest")]
  assert len({fingerprint.of(module) for module in kinds}) == len(kinds)
  assert "jax" in fingerprint._plain(jax.nn.gelu)
  assert " at 0x" not in fingerprint._plain(jax.nn.relu)
