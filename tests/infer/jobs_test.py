"""One file to one file: what is kept of a run that stops, and what is not."""

import dataclasses
import itertools
import shutil
import types

import numpy as np
import pytest

from hinote_jax import fields, infer, io
from hinote_jax.infer import (
  batch,
  jobs,
  partial_result,
  progress,
  tile_store,
  upscaling,
)
from hinote_jax.models.spec import Spec
from hinote_jax.train import static_run
from tests import era5, trials
from tests.infer import networks, stopped

pytest.importorskip("netCDF4")
zarr = pytest.importorskip("zarr")


def _names(folder):
  return {p.name for p in folder.iterdir()}


_NAMES = ("out.nc", "out.zarr", "out.npy", "out.h5")


# Tiles wait in the same store whatever they become.
@pytest.mark.parametrize(
  ("count", "name"),
  trials.apart_from(
    lambda case: case[0] == 8 or case[1] in ("out.nc", "out.zarr"),
    itertools.product([0, 1, 6, 8, 17], _NAMES),
  ),
)
def test_stopped_anywhere_it_goes_on(tmp_path, source, name, count):
  pytest.importorskip("h5py")
  out = tmp_path / name
  request = stopped.request(source, out)
  first, _ = stopped.stop(request, out, count)
  assert len(first) == count
  kept = {f"{name}.partial"} if count else set()
  assert _names(tmp_path) == {"in.nc"} | kept
  with pytest.MonkeyPatch.context() as patch:
    second = stopped.stopping(patch, 18, stopped.Stop())
    stopped.run(request)
  # Each of 3 x 2 x 3 tiles, and none twice.
  assert len({*first, *second}) == len(first) + len(second) == 18
  assert _names(tmp_path) == {"in.nc", name}
  want = stopped.load("bicubic")(io.read(source), shape=(22, 48)).values
  found = io.read(out).values.reshape(want.shape)
  np.testing.assert_allclose(found, want, rtol=1e-6)


def test_fields_that_are_there_are_not_read(tmp_path, source, monkeypatch):
  out, seen, opened = tmp_path / "out.nc", [], io.open
  stopped.stop(stopped.request(source, out), out, 8)

  def watched(*args, **kwargs):
    reader = opened(*args, **kwargs)

    def read(i):
      seen.append(i)
      return reader.read(i)

    return dataclasses.replace(reader, read=read)

  monkeypatch.setattr(io, "open", watched)
  stopped.run(stopped.request(source, out))
  assert seen == [1, 2]


@pytest.mark.parametrize(
  ("options", "count"),
  [
    (stopped.OPTIONS, 4 + 6),
    # The mean is that of all tiles.
    (dataclasses.replace(stopped.OPTIONS, keeps_mean=True), 6 + 6),
    (dataclasses.replace(stopped.OPTIONS, is_ensemble=True), 8 * (4 + 6)),
  ],
)
def test_tiles_that_are_there_are_not_computed(
  tmp_path, source, monkeypatch, options, count
):
  out, told = tmp_path / "out.zarr", []
  request = stopped.request(source, out, options=options)
  stopped.stop(request, out, 8)
  bar = progress.Progress(is_quiet=True)
  monkeypatch.setattr(bar, "report", lambda what, *_: told.append(what))
  batch.run([request], infer.load("bicubic"), bar)
  assert told == ["answer"] * count
  fresh = stopped.request(source, tmp_path / "fresh.zarr", options=options)
  stopped.run(fresh)
  want = io.read(fresh.path).values
  np.testing.assert_array_equal(io.read(out).values, want)


def test_passes_over_a_field_are_told(tmp_path, source, monkeypatch):
  bar, told = progress.Progress(is_quiet=True), []
  monkeypatch.setattr(bar, "report", lambda *what: told.append(what))
  request = stopped.request(source, tmp_path / "out.nc")
  batch.run([request], infer.load("bicubic"), bar)
  assert told == [("answer", k + 1, 6) for k in range(6)] * 3


def test_a_copy_of_the_input_is_the_input(tmp_path, source, capsys):
  out = tmp_path / "out.nc"
  stopped.stop(stopped.request(source, out), out, 8)
  (tmp_path / "other").mkdir()
  copy = shutil.move(source, tmp_path / "other")
  stopped.run(stopped.request(copy, out))
  assert not capsys.readouterr().err and out.exists()


@pytest.mark.parametrize("name", ["out.nc", "out.zarr"])
def test_one_process_makes_a_file(tmp_path, source, name):
  out = tmp_path / name
  request = stopped.request(source, out)
  job = jobs.Job(request, stopped.load("bicubic"))
  with job.partial.locked():
    with pytest.raises(FileExistsError, match="being made by another process"):
      stopped.run(request)
  stopped.run(request)
  assert out.exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path, source):
  folder = tmp_path / "out.nc.partial"
  folder.mkdir()
  (folder / "mine.txt").write_text("mine")
  with pytest.raises(FileExistsError, match=r"out.nc.partial is in the way"):
    stopped.run(stopped.request(source, tmp_path / "out.nc"))
  assert (folder / "mine.txt").read_text() == "mine"
  # What a thread wrote while the folder was removed is nobody's.
  (folder / "mine.txt").unlink()
  late = folder / f"store.{'0f' * 16}" / "fields.hinote-14032.tmp.zarr"
  late.mkdir(parents=True)
  stopped.run(stopped.request(source, tmp_path / "out.nc"))
  assert not folder.exists()


def test_who_nobody_waits_for_writes_no_more(tmp_path, source):
  request = stopped.request(source, tmp_path / "out.nc")
  predictor = stopped.load("bicubic")
  asks, works = (jobs.Job(request, predictor) for _ in range(2))
  with asks.partial.locked():
    asks.partial.begin(asks.manifest())
    works.partial.attempt = asks.partial.attempt
    assert works.make([2]) == 6 and works.make([2]) == 0
    asks.partial.give_up()
    with pytest.raises(partial_result.GivenUp):
      works.make([1])
    # What was given up may be gone on with; another attempt is not the same.
    assert asks.partial.begin(asks.manifest()) is None
    assert works.make([1]) == 6
    assert asks.partial.begin({"input": "other"})
    with pytest.raises(partial_result.GivenUp):
      works.make([0])
    assert not asks.partial.has_tiles


@pytest.mark.parametrize(
  ("error", "kind", "what", "cure"),
  [
    (OSError(28, "No space left on device"), OSError, "No space left", "goes"),
    (ValueError("300 does not fit"), jobs.Overflow, "300 does", "--dtype"),
  ],
)
def test_what_is_kept_after_an_error(tmp_path, source, error, kind, what, cure):
  out, names = tmp_path / "out.nc", ("in.nc", "out.nc.partial")
  for count in (0, 8):
    with pytest.MonkeyPatch.context() as patch:
      stopped.stopping(patch, count, error)
      with pytest.raises(kind, match=what) as raised:
        stopped.run(stopped.request(source, out))
    message = str(raised.value)
    is_kept = "is kept in" in message and f"{cure}" in message
    assert is_kept == bool(count)
    assert _names(tmp_path) == {*names[: 2 if count else 1]}


def test_a_zarr_of_values_that_do_not_fit_is_not_kept(tmp_path, source):
  out = tmp_path / "out.zarr"
  with pytest.MonkeyPatch.context() as patch:
    stopped.stopping(patch, 8, ValueError("300 does not fit int16"))
    with pytest.raises(jobs.Overflow, match="in.nc, time 1: 300 does not fit"):
      stopped.run(stopped.request(source, out))
  assert _names(tmp_path) == {"in.nc"}


def test_a_field_that_is_infinite_later_on(tmp_path):
  data = era5.dataset(3, 15.0)[["d2m"]].isel(latitude=slice(1, 12))
  data.d2m.values[2] = np.inf
  source = era5.write(tmp_path / "in.nc", data)
  message = r"in.nc, time 2: d2m is infinite at row 0, column 0"
  with pytest.raises(ValueError, match=message):
    stopped.run(stopped.request(source, tmp_path / "out.nc"))
  assert _names(tmp_path) == {"in.nc"}


def test_a_format_that_cannot_hold_them_is_known_before(tmp_path, source):
  out = tmp_path / "out.png"
  with pytest.MonkeyPatch.context() as patch:
    written = stopped.stopping(patch, 0, AssertionError)
    with pytest.raises(ValueError, match="PNG holds one picture"):
      stopped.run(stopped.request(source, out))
  assert not written and _names(tmp_path) == {"in.nc"}


def test_a_file_that_stands_is_replaced_at_the_end(tmp_path, source):
  for name in ("out.nc", "out.zarr"):
    out = tmp_path / name
    if name == "out.nc":
      out.write_text("old")
    else:
      out.mkdir()
      (out / "old").write_text("old")
    request = stopped.request(source, out)
    with pytest.raises(FileExistsError, match=f"{name} exists"):
      stopped.run(request)
    request = dataclasses.replace(request, overwrite=True)
    stopped.stop(request, out, 17)
    old = out if name == "out.nc" else out / "old"
    assert old.read_text() == "old"
    stopped.run(request)
    assert io.read(out).values.shape == (3, 22, 48, 1)
    assert not (out / "old").exists()


def test_no_room_for_scratch_values(tmp_path, source, monkeypatch):
  def full(*args, **kwargs):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(upscaling.stores, "Store", full)
  options = dataclasses.replace(stopped.OPTIONS, keeps_mean=True)
  with pytest.raises(OSError, match=r"scratch values in .*No space.*TMPDIR"):
    stopped.run(stopped.request(source, tmp_path / "out.nc", options=options))
  assert _names(tmp_path) == {"in.nc"}


@pytest.mark.parametrize("name", ["out.nc", "out.zarr"])
def test_stopped_between_the_last_tile_and_the_end(tmp_path, source, name):
  out = tmp_path / name
  request, replace = stopped.request(source, out), partial_result.files.replace

  def stop(partial, path):
    if path == out:
      raise stopped.Stop
    replace(partial, path)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(partial_result.files, "replace", stop)
    with pytest.raises(stopped.Stop):
      stopped.run(request)
  assert not out.exists()
  with pytest.MonkeyPatch.context() as patch:
    written = stopped.stopping(patch, 0, AssertionError)
    patch.setattr(io, "save", None)
    stopped.run(request)
  assert not written and _names(tmp_path) == {"in.nc", name}


def test_many_devices_answer_as_one(tmp_path, source):
  for devices in (1, 0):
    out = tmp_path / f"{devices}.nc"
    plain = upscaling.Options()
    stopped.run(stopped.request(source, out, devices=devices, options=plain))
  one, eight = (io.read(tmp_path / f"{n}.nc").values for n in (1, 0))
  np.testing.assert_allclose(eight, one, rtol=1e-6)


def _told_of_the_place():
  """Returns a predictor that adds 10 times the latitude and the longitude."""
  known = types.SimpleNamespace(
    on=lambda y, x: (
      lambda when: np.add.outer(10.0 * y.values, x.values)[..., None]
    ),
    timed=(),
    months=(),
  )

  def extras_of(*grids):
    at = static_run.extras(known, *grids)
    return lambda index: {**at(index), "shift": np.float32(0.0)}

  told = Spec("told", "", extras=("static", "shift"))
  return infer.Predictor(
    networks.WithExtras(), {}, spec=told, extras_of=extras_of
  )


def test_what_is_known_of_the_place_is_turned_with_the_grid(tmp_path, source):
  predictor, made, grids = _told_of_the_place(), [], set()
  fine = stopped.load("nearest")(io.read(source), scale=2)
  y, x = fine.header.y.values[4:14], fine.header.x.values[6:20]
  bar = progress.Progress(is_quiet=True)
  for k, (rows, columns) in enumerate(itertools.product((1, -1), repeat=2)):
    places = y[::rows], x[::columns]
    header = fine.header.on(
      *(
        dataclasses.replace(axis, values=values)
        for axis, values in zip(
          (fine.header.y, fine.header.x), places, strict=True
        )
      )
    )
    values = np.zeros((3, 10, 14, 1), np.float32)
    like, out = tmp_path / f"like{k}.nc", tmp_path / f"out{k}.nc"
    io.write(like, fields.Field(header, values))
    request = stopped.request(source, out, shape=None, like=str(like))
    grids.add(jobs.Job(request, predictor).manifest()["grid"])
    batch.run([request], predictor, bar)
    want = predictor(io.read(source), like=header).values
    np.testing.assert_allclose(io.read(out).values, want, rtol=1e-6)
    made.append(want[:, ::rows, ::columns])
  for other in made[1:]:
    np.testing.assert_array_equal(other, made[0])
  assert len(grids) == 4


def test_rows_are_turned(tmp_path):
  values = np.random.default_rng(0).normal(size=(2, 5, 4, 3))
  for turns in ((False, False), (True, False), (False, True), (True, True)):
    rows = tile_store.Rows(values, turns)
    want = values[:, ::-1] if turns[0] else values
    want = want[:, :, ::-1] if turns[1] else want
    assert rows.shape == values.shape
    for part in (slice(0, 5), slice(1, 3), slice(4, 5)):
      np.testing.assert_array_equal(rows[1, part], want[1, part])
