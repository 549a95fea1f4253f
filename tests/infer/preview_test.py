"""What is said of a result before it is made is what it then is."""

import dataclasses
import os
import subprocess

import numpy as np
import pytest

from hinote_jax import infer, io, upscale
from hinote_jax.infer import jobs, preview
from tests import era5, upscale_command

pytest.importorskip("netCDF4")


def _facts(text):
  head, *rest = text.splitlines()
  return head, {line[:8].strip(): line[8:] for line in rest}


def test_a_dry_run_says_what_is_made_and_makes_nothing(tmp_path, capsys):
  source = era5.write(tmp_path / "in.nc", era5.dataset(3, 15.0))
  out = tmp_path / "out.zarr"
  arguments = ("--scale", "2.5", "--checkpoint", "bicubic")
  assert upscale_command.run(source, out, *arguments, "--dry-run") == 0
  head, said = _facts(capsys.readouterr().out)
  assert head == f"{source} -> {out} (nothing is written)"
  assert sorted(os.listdir(tmp_path)) == ["in.nc"]
  assert said["fields"] == "3 (time 3) of t2m [K], d2m [K]"
  assert said["memory"] == "within 2GB"
  assert said["time"].startswith("about ") and "ns a point" in said["time"]
  assert upscale_command.run(source, out, *arguments) == 0
  made = io.open(out).header
  shape = " x ".join(map(str, made.shape))
  assert said["grid"].startswith(f"13 x 24 -> {shape}, ")
  # 16 bits of one variable and 32 of the other.
  size = 3 * np.prod(made.shape) * 6 / 1000
  assert said["size"] == f"{size:.3g} kB before compression"


def test_chunks_are_those_of_the_store(tmp_path):
  zarr = pytest.importorskip("zarr")
  np.save(tmp_path / "a.npy", np.zeros((8, 9), np.float32))
  request = jobs.Request(
    str(tmp_path / "a.npy"), str(tmp_path / "b.zarr"), "nearest", scale=2
  )
  predictor = infer.load("nearest")
  _, said = _facts("\n".join(preview.lines(request, predictor)))
  arguments = ("--scale", 2, "--checkpoint", "nearest")
  assert upscale_command.run(request.source, request.path, *arguments) == 0
  group = zarr.open_group(request.path)
  (array,) = (a for _, a in group.arrays() if a.ndim > 1)
  rows, columns = array.chunks[-2:]
  assert said["chunks"] == f"1 x {rows} x {columns} of a variable"


def test_a_dry_run_refuses_what_the_command_refuses(tmp_path):
  np.save(tmp_path / "a.npy", np.zeros((8, 9), np.float32))
  request = jobs.Request(
    str(tmp_path / "a.npy"), str(tmp_path / "b.npy"), "nearest", scale=2
  )
  np.save(tmp_path / "b.npy", np.zeros((2, 2), np.float32))
  with pytest.raises(FileExistsError, match="b.npy exists"):
    preview.lines(request, infer.load("nearest"))
  other = dataclasses.replace(request, scale=0.5)
  with pytest.raises(ValueError, match="scale must be"):
    preview.lines(other, infer.load("nearest"))


def test_shells_complete_the_flags(capsys):
  pytest.importorskip("shtab")
  with pytest.raises(SystemExit):
    upscale.main(["--print-completion", "bash"])
  script = capsys.readouterr().out
  assert "--checkpoint" in script and "hinote-upscale" in script
  checked = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
  assert checked.returncode == 0
