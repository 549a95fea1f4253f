"""What a stopped job has left, damaged or of something else: not used."""

import dataclasses
import json
import os

import numpy as np
import pytest

from hinote_jax import io
from hinote_jax.infer import partial_result, tile_store
from tests import trials
from tests.infer import stopped

pytest.importorskip("netCDF4")
pytest.importorskip("zarr")


@pytest.mark.parametrize(
  ("name", "change", "said"),
  trials.apart_from(
    lambda case: case[0] == "out.zarr" or case[1] == "scale",
    [
      (name, *case)
      for name in ("out.nc", "out.zarr")
      for case in (
        ("scale", "grid"),
        ("clip", "clip"),
        ("touch", "input"),
        ("periodic", "axes"),
        ("damage", "manifest"),
        ("side", "side"),
      )
    ],
  ),
)
def test_what_is_of_something_else_is_not_used(
  tmp_path, source, capsys, name, change, said
):
  out, fresh = tmp_path / name, tmp_path / f"fresh.{name}"
  stopped.stop(stopped.request(source, out), out, 8)
  options = {
    "scale": dict(shape=None, scale=3),
    "clip": dict(
      options=dataclasses.replace(stopped.OPTIONS, clip=(None, 260.0))
    ),
    "periodic": dict(periodic=(False, False)),
    "side": dict(options=dataclasses.replace(stopped.OPTIONS, side=13)),
  }.get(change, {})
  if change == "touch":
    os.utime(source, ns=(0, 1))
  if change == "damage":
    (tmp_path / f"{name}.partial" / "manifest.json").write_text("[")
  stopped.run(stopped.request(source, out, **options))
  line = capsys.readouterr().err
  assert line.count("\n") == 1 and "starting over" in line
  assert said in line.split(" is of other ")[1]
  stopped.run(stopped.request(source, fresh, **options))
  np.testing.assert_array_equal(io.read(out).values, io.read(fresh).values)


def test_other_tiles_than_this_machine_makes(tmp_path, source, capsys):
  out = tmp_path / "out.zarr"
  stopped.stop(stopped.request(source, out), out, 8)
  layout = tmp_path / "out.zarr.partial" / "store" / "layout.json"
  assert json.loads(layout.read_text()) == [11, 16]
  layout.write_text("[24, 24]")
  stopped.run(stopped.request(source, out))
  assert "one of another kind: starting over" in capsys.readouterr().err
  assert not np.isnan(io.read(out).values).any()


def _flip(path, random):
  """Flips a random bit of a file."""
  data = bytearray(path.read_bytes())
  data[random.integers(len(data))] ^= 1 << random.integers(8)
  path.write_bytes(data)


@pytest.mark.parametrize("name", ["out.nc", "out.zarr"])
@pytest.mark.parametrize("what", ["c/*", "*.json", "done", "layout.json"])
def test_a_flipped_bit_is_made_again(tmp_path, source, capsys, name, what):
  out, fresh = tmp_path / name, tmp_path / f"fresh.{name}"
  stopped.run(stopped.request(source, fresh))
  random = np.random.default_rng(len(name) + len(what))
  stopped.stop(stopped.request(source, out), out, 8)
  folder = tmp_path / f"{name}.partial"
  paths = {
    "c/*": (p for p in folder.rglob("c/**/*") if p.is_file()),
    "*.json": (folder / "store" / "fields.zarr").rglob("*.json"),
    "done": folder.glob("done/*/*"),
    "layout.json": folder.rglob("layout.json"),
  }[what]
  _flip(random.choice(sorted(paths)), random)
  with pytest.MonkeyPatch.context() as patch:
    written = stopped.stopping(patch, 18, stopped.Stop())
    stopped.run(stopped.request(source, out))
  # What was left to do, and the tile that is made again; or all.
  left = {"c/*": 11, "done": 11, "*.json": 10, "layout.json": 18}
  assert len(written) == left[what]
  assert ("again" in capsys.readouterr().err) == (left[what] == 11)
  np.testing.assert_array_equal(io.read(out).values, io.read(fresh).values)


@pytest.mark.parametrize("name", ["out.nc", "out.zarr"])
def test_damage_done_on_the_way_is_seen_at_the_end(
  tmp_path, source, capsys, monkeypatch, name
):
  out, fresh = tmp_path / name, tmp_path / f"fresh.{name}"
  stopped.run(stopped.request(source, fresh))
  write, random = tile_store.TileStore.write, np.random.default_rng(0)
  lost = []

  def damaging(self, i, rows, columns, values):
    digest = write(self, i, rows, columns, values)
    if len(lost) < lost_count:
      lost.append(i)
      _flip(next(self._chunks(i, rows, columns)), random)
    return digest

  monkeypatch.setattr(tile_store.TileStore, "write", damaging)
  lost_count = 2
  stopped.run(stopped.request(source, out))
  assert "2 of the tiles in" in capsys.readouterr().err
  np.testing.assert_array_equal(io.read(out).values, io.read(fresh).values)
  lost_count = 1000
  request = stopped.request(source, out, overwrite=True)
  with pytest.raises(OSError, match="does not keep what is written"):
    stopped.run(request)
  np.testing.assert_array_equal(io.read(out).values, io.read(fresh).values)


@pytest.mark.parametrize("name", ["out.nc", "out.zarr"])
def test_a_bit_of_the_whole_file_before_it_is_in_its_place(
  tmp_path, source, name
):
  out, fresh = tmp_path / name, tmp_path / f"fresh.{name}"
  stopped.run(stopped.request(source, fresh))

  def stop(partial, path):
    if path == out:
      raise stopped.Stop
    os.replace(partial, path)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(partial_result.files, "replace", stop)
    with pytest.raises(stopped.Stop):
      stopped.run(stopped.request(source, out))
  folder = tmp_path / f"{name}.partial"
  whole = folder / "result.nc"
  if name == "out.zarr":
    whole = next(p for p in folder.rglob("c/**/*") if p.is_file())
  _flip(whole, np.random.default_rng(1))
  stopped.run(stopped.request(source, out))
  np.testing.assert_array_equal(io.read(out).values, io.read(fresh).values)
