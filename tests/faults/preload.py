"""What the processes of `kills` have imported when they are forked."""

# ruff: noqa: F401
import array_record.python.array_record_data_source
import tensorflow_datasets
import zarr

from hinote_jax import upscale
from hinote_jax.infer import batch, jobs, progress
from hinote_jax.train import loop
