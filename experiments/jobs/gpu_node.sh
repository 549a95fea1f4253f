#!/bin/bash
# One machine of 8 GPUs: one process drives them all.
#   WORKDIR=runs/demo ./gpu_node.sh
set -euo pipefail

pip install --quiet 'hinote_jax[demo,cuda]'
python -m hinote_jax.main --config=configs/hinote.py:demo --mode=plan \
  --workdir="$WORKDIR"
exec python -m hinote_jax.main --config=configs/hinote.py:demo \
  --config.batch_size=64 --workdir="$WORKDIR"
