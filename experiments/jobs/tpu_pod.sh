#!/bin/bash
# A TPU pod slice: the same command on each of its hosts.
#   NAME=demo ZONE=us-east5-a TYPE=v5p-32 WORKDIR=/mnt/share/demo ./tpu_pod.sh
# WORKDIR lies on a file system that all hosts have mounted.
set -euo pipefail

gcloud compute tpus tpu-vm create "$NAME" --zone="$ZONE" \
  --accelerator-type="$TYPE" --version="${IMAGE:-v2-alpha-tpuv5}"
gcloud compute tpus tpu-vm ssh "$NAME" --zone="$ZONE" --worker=all --command="
  pip install --quiet 'hinote_jax[demo,tpu]'
  until python -m hinote_jax.main --config=configs/hinote.py:demo \
    --workdir='$WORKDIR' --distributed --wait=600; do
    code=\$?  # 75: a host was lost or did not come; 143: told to stop
    [ \$code -eq 75 ] || exit \$code
  done"
