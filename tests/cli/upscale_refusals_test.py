"""What the command refuses: one sentence, exit code 2, and nothing left."""

import os
import pathlib
import resource

import numpy as np
import pytest

from hinote_jax import infer, upscale
from tests import era5, upscale_command

pytest.importorskip("netCDF4")
pytest.importorskip("zarr")

_BICUBIC = ("--scale", "3.7", "--checkpoint", "bicubic")


def _bad(name, data):
  """Returns a dataset that cannot be upscaled."""
  if name == "unsorted":
    return data.isel(latitude=[0, 2, 1, *range(3, 61)])
  if name == "uneven":
    return data.isel(longitude=[0, 1, 2, 4, 5])
  if name == "grids":
    turned = data.d2m.isel(latitude=slice(2)).rename(latitude="lat")
    return data.assign(d2m=turned)
  if name == "tight":
    tight = dict(data.t2m.attrs, scale_factor=0.0005, add_offset=280.0)
    values = np.where(data.latitude.values[:, None] > 0, 32000, -32000)
    values = np.broadcast_to(values, data.t2m.shape).astype(np.int16)
    return data[["t2m"]].assign(
      t2m=data.t2m.copy(data=values).assign_attrs(tight)
    )
  return data


@pytest.mark.parametrize(
  ("name", "arguments", "message"),
  [
    ("", ("--scale", 0.5), "at least 1, got 0.5"),
    ("", ("--scale", "2,0.9"), "at least 1, got 0.9"),
    ("", ("--scale", "x"), "--scale: one number, or one for y and one for x"),
    ("", ("--shape", "30,60"), "(30, 60) is coarser than the field's (6"),
    ("", ("--shape", "30"), "--shape: rows and columns"),
    ("", ("--shape", "30,"), "--shape: rows and columns, as 721,1440, got '30"),
    ("", ("--scale", "2,"), "--scale: one number, or one for y and one for x"),
    ("", ("--scale", ",2"), "--scale: one number, or one for y and one for x"),
    ("", ("--scale", 2, "--noise", "1,"), "--noise: a number, or one of each"),
    ("", ("--scale", 2, "--range", "0,"), "--range: LOW,HIGH, got '0,'"),
    ("", ("--scale", 2, "--static", "z.nc:z"), "no use for the static field z"),
    ("", ("--scale", 2, "--option", "foo=3"), "no use for foo=3: leave it out"),
    ("", ("--scale", 2, "--shape", "99,99"), "not allowed with"),
    ("", (), "one of the arguments --scale --shape --like is required"),
    ("", ("--like", "like.nc"), "reaches beyond the input"),
    ("", ("--scale", 2, "--variable", "t2"), "has no 't2'; did you mean 't2m'"),
    ("grids", ("--scale", 2, "--variable", "t2m,d2m"), "different grids"),
    ("unsorted", ("--scale", 2), "latitude is unsorted"),
    ("uneven", ("--scale", 2), "longitude is uneven"),
    ("", ("--scale", 2, "--checkpoint", "liif.pth"), "takes 1 channels"),
    ("", ("--scale", 2, "--checkpoint", "bicubi"), "not a workdir"),
    ("", ("--scale", 2, "--memory", "2 cows"), "such as 2GB"),
    ("", ("--scale", 2, "--devices", "99"), "99 were asked for and 8 are here"),
    ("", ("--scale", 2, "--clip", "3,1"), "leaves nothing"),
    ("", ("--scale", 2, "--clip", ","), "LOW,HIGH of which one may be empty"),
    ("", ("--scale", 2, "--consistent=aera"), "unknown stage 'aera'"),
    ("", ("--scale", 2, "--registration", "node"), "did you mean 'nodes'"),
  ],
)  # fmt: skip
def test_bad_input(tmp_path, capsys, name, arguments, message):
  source = era5.write(tmp_path / "era5.nc", _bad(name, era5.dataset()))
  if "like.nc" in arguments:
    south = era5.dataset(step=1.5).isel(latitude=slice(10, 100))
    north = era5.dataset().isel(latitude=slice(3, 20))
    era5.write(tmp_path / "like.nc", south)
    source = era5.write(tmp_path / "north.nc", north)
  if "liif.pth" in arguments:
    upscale_command.network(tmp_path / "liif.pth")
  before = {p.name for p in tmp_path.iterdir()}
  arguments = [tmp_path / a if a in before else a for a in arguments]
  if "--checkpoint" not in arguments:
    arguments += ["--checkpoint", "bicubic"]
  assert upscale_command.run(source, tmp_path / "fine.nc", *arguments) == 2
  _require_sentence(capsys, message)
  assert {p.name for p in tmp_path.iterdir()} == before


def _require_sentence(capsys, message):
  said = capsys.readouterr().err.splitlines()
  assert message in said[0] and said[0].startswith("hinote_jax: ")
  assert len(said) == 1


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_values_that_do_not_fit_the_type(tmp_path, capsys, suffix):
  source = era5.write(tmp_path / "era5.nc", _bad("tight", era5.dataset()))
  out = tmp_path / f"fine.{suffix}"
  assert upscale_command.run(source, out, *_BICUBIC) == 2
  message = "does not fit int16, which holds 263.616 to 296.384"
  _require_sentence(capsys, message)
  assert [p.name for p in tmp_path.iterdir()] == ["era5.nc"]
  assert upscale_command.run(source, out, *_BICUBIC, "--clip", "264,296") == 0
  assert era5.raw(out).t2m.dtype == np.int16
  assert (
    upscale_command.run(
      source, out, *_BICUBIC, "--dtype=float32", "--overwrite"
    )
    == 0
  )
  raw = era5.raw(out).t2m
  assert raw.dtype == np.float32 and raw.values.max() > 296.4
  assert "scale_factor" not in raw.attrs


def test_files_of_another_type_are_not_taken_for_those_asked_for(
  tmp_path, capsys
):
  for name, kind in (("a.nc", ""), ("b.nc", "tight")):
    era5.write(tmp_path / name, _bad(kind, era5.dataset(step=15.0)))
  files = [tmp_path / name for name in ("a.nc", "b.nc")]
  out = tmp_path / "out"
  asked = (*files, f"{out}/", *_BICUBIC, "--variable", "t2m")
  assert upscale_command.run(*asked) == 2
  _require_sentence(capsys, "--dtype float32)")
  assert era5.raw(out / "a.nc").t2m.dtype == np.int16
  for other in ("--dtype=float32", "--clip=200,300"):
    assert upscale_command.run(*asked, other) == 2
    _require_sentence(capsys, "a.nc exists")
  assert upscale_command.run(*asked, "--dtype=float32", "--overwrite") == 0
  for name in ("a.nc", "b.nc"):
    assert era5.raw(out / name).t2m.dtype == np.float32


@pytest.mark.parametrize(
  ("files", "arguments", "message"),
  [
    (("a.npy",), (), "give the input and the output"),
    (("a.npy", "b.npy"), ("--checkpoint=",), "''"),
    (("none.npy", "b.npy"), _BICUBIC, "no file at"),
    (("n*.npy", "b/"), _BICUBIC, "no file at n*.npy"),
    (("a.npy", "none/b.npy"), _BICUBIC, "none: create it first"),
    (("a.npy", "a.npy"), _BICUBIC, "a.npy is an input"),
    (("a.npy", "there.npy"), _BICUBIC, "there.npy exists"),
    (("a.npy", "there.npy", "c.npy"), _BICUBIC, "write c.npy/ for c.npy"),
    (("?.npy", "c.npy"), _BICUBIC, "several inputs need a folder"),
    (("a.npy", "in/a.npy", "c/"), _BICUBIC, "2 inputs would become"),
    (("a.npy", "b.jpg"), _BICUBIC, "read and not written"),
    (("a.npy", "b.png"), _BICUBIC, "PNG holds one picture and there are 5"),
    (("a.npy", "b.xyz"), _BICUBIC, "cannot tell the format"),
    (
      ("a.npy", "b.npy"),
      (*_BICUBIC, "--consistent", "a.npy"),
      "--consistent takes a.npy for a degradation",
    ),
    (("a.npy", "b.npy"), (*_BICUBIC, "--workers", 0), "at least 1, got 0"),
    (("a.npy", "b.npy"), (*_BICUBIC, "--wat"), "unrecognized arguments"),
  ],
)
def test_bad_names(tmp_path, monkeypatch, capsys, files, arguments, message):
  monkeypatch.chdir(tmp_path)
  for name in ("a", "there"):
    np.save(f"{name}.npy", np.ones((5, 6, 7), np.float32))
  os.mkdir("in")
  np.save("in/a.npy", np.ones((5, 6)))
  before = {str(p) for p in pathlib.Path().rglob("*")}
  scale = () if _BICUBIC[0] in arguments else ("--scale", 2)
  assert upscale_command.run(*files, *scale, *arguments) == 2
  _require_sentence(capsys, message)
  assert {str(p) for p in pathlib.Path().rglob("*")} == before


def test_a_full_disk(tmp_path, capsys):
  source = era5.write(tmp_path / "era5.nc", era5.dataset())
  # No file may be larger: what the system says is as of a full disk.
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
  try:
    code = upscale_command.run(
      source, tmp_path / "fine.nc", *_BICUBIC, "--variable", "t2m"
    )
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
  assert code == 2
  _require_sentence(capsys, "File too large")
  assert [p.name for p in tmp_path.iterdir()] == ["era5.nc"]


def test_a_range_that_comes_last_is_said_to(tmp_path, capsys):
  field = np.maximum(np.random.default_rng(0).normal(size=(6, 8)), 0.0)
  np.save(tmp_path / "rain.npy", field.astype(np.float32))
  asked = (tmp_path / "rain.npy", tmp_path / "fine.npy", "--scale", 2)
  asked += ("--checkpoint", "bicubic", "--clip", "0,", "--consistent", "area")
  assert upscale_command.run(*asked) == 0
  assert "--clip comes last" in capsys.readouterr().err
  assert np.load(tmp_path / "fine.npy").min() == 0.0


def test_what_needs_no_network_is_refused_before_it_is_loaded(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(infer, "load", None)
  monkeypatch.chdir(tmp_path)
  for name in ("a", "there"):
    np.save(f"{name}.npy", np.ones((5, 6), np.float32))
  os.mkdir("run")
  os.mkdir("run/checkpoints")
  asked = ("a.npy", "b.npy", "--scale", 2, "--checkpoint")
  for arguments, message in (
    ((*asked, "run", "--clip", "3,1"), "leaves nothing"),
    ((*asked, "run", "--memory", "2 cows"), "such as 2GB"),
    (("a.npy", "b.xyz", *asked[2:], "run"), "cannot tell the format"),
    ((*asked[:2], "--shape", "4,9", *asked[4:], "bicubic"), "coarser than"),
  ):
    assert upscale_command.run(*arguments) == 2
    _require_sentence(capsys, message)
  # Not even what reads files is there yet.
  monkeypatch.setattr(upscale, "_requests", None)
  assert upscale_command.run("a.npy", "there.npy", *asked[2:], "run") == 2
  _require_sentence(capsys, "there.npy exists")


def test_what_was_made_is_said_in_one_line(tmp_path, capsys):
  np.save(tmp_path / "a.npy", np.ones((2, 10, 12), np.float32))
  asked = [tmp_path / "a.npy", tmp_path / "b.npy", "--checkpoint", "nearest"]
  assert upscale.main([*map(str, asked), "--scale", "1.54"]) == 0
  said = "b.npy: 2 fields of 15 x 18, 1.54 times finer by nearest, in 1 s\n"
  assert capsys.readouterr().err == f"hinote_jax: {tmp_path}/{said}"
