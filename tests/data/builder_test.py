"""Tests of the cache: the tfds builder, the memory map, and interruptions."""

import dataclasses
import importlib.util
import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from hinote_jax import data
from hinote_jax.data import builder
from hinote_jax.data.sources import files

pytest.importorskip("tensorflow_datasets")


@pytest.fixture
def source(tmp_path):
  """Three fields of two variables in a file."""
  values = np.random.default_rng(0).normal(size=(3, 5, 7, 2))
  np.save(tmp_path / "made.npy", values.astype(np.float32))
  return files.files(tmp_path / "made.npy", ("u", "v"), citation="nobody")


def _broken(source):
  def fail(i):
    raise AssertionError("the source was read again")

  return dataclasses.replace(source, reader=fail)


def _is_source(dataset, source):
  fields = np.stack([source.read(i) for i in range(len(source.times))])
  return np.array_equal(dataset.values, fields)


def test_values_and_description_pass_through(source, tmp_path, capfd):
  dataset = builder.cached(source, tmp_path / "cache")
  assert isinstance(dataset.values, np.memmap) and _is_source(dataset, source)
  assert (dataset.shape, dataset.channels, len(dataset)) == ((5, 7), 2, 3)
  assert dataset.names == ("u", "v") and dataset.times == ("0", "1", "2")
  assert dataset.citation == "nobody"
  assert capfd.readouterr() == ("", "")


def test_cache_is_read_instead_of_the_source(source, tmp_path):
  builder.cached(source, tmp_path / "cache")
  again = builder.cached(_broken(source), tmp_path / "cache")
  assert _is_source(again, source)


def test_records_are_a_tfds_dataset_of_array_records(source, tmp_path):
  import tensorflow_datasets as tfds

  source = dataclasses.replace(source, groups=("", "a", "b"))
  builder.cached(source, tmp_path / "cache")
  (records,) = (tmp_path / "cache").rglob("*.array_record-*")
  stored = tfds.builder_from_directory(records.parent).as_data_source("series")
  assert [example["time"] for example in stored] == [b"0", b"1", b"2"]
  assert [example["group"] for example in stored] == [b"", b"a", b"b"]
  for i in range(3):
    np.testing.assert_array_equal(stored[i]["values"], source.read(i))


@pytest.mark.parametrize("victim", ["meta.json", "values.npy"])
def test_lost_file_is_made_again_from_the_records(source, tmp_path, victim):
  builder.cached(source, tmp_path / "cache")
  (found,) = (tmp_path / "cache").glob(f"*/{victim}")
  found.unlink()
  assert _is_source(builder.cached(_broken(source), tmp_path / "cache"), source)
  assert found.exists()


def test_truncated_values_are_made_again(source, tmp_path):
  builder.cached(source, tmp_path / "cache")
  (found,) = (tmp_path / "cache").glob("*/values.npy")
  whole = found.read_bytes()
  found.unlink()
  found.write_bytes(whole[:-9])
  assert _is_source(builder.cached(source, tmp_path / "cache"), source)
  assert found.read_bytes() == whole


def test_meta_of_another_source_is_not_trusted(source, tmp_path):
  builder.cached(source, tmp_path / "cache")
  (found,) = (tmp_path / "cache").glob("*/meta.json")
  meta = json.loads(found.read_text())
  found.write_text(json.dumps(meta | {"fingerprint": "other"}))
  assert _is_source(builder.cached(source, tmp_path / "cache"), source)
  assert json.loads(found.read_text()) == meta


@pytest.mark.parametrize("victims", [["values.npy"], ["values.npy", "tfds"]])
def test_one_flipped_bit_is_made_again(source, tmp_path, victims):
  builder.cached(source, tmp_path / "cache")
  for victim in victims:
    (folder,) = (tmp_path / "cache").iterdir()
    for path in [folder / victim, *(folder / victim).rglob("*record*")]:
      if path.is_file():
        content = bytearray(path.read_bytes())
        content[-5] ^= 1
        path.write_bytes(content)
  assert _is_source(builder.cached(source, tmp_path / "cache"), source)


@pytest.mark.parametrize("stage", ["records", "values"])
def test_killed_build_is_repaired(source, tmp_path, stage):
  # The process dies without cleaning up, at the second field.
  code = f"""
    import dataclasses, os
    import numpy as np
    from hinote_jax.data import builder
    from hinote_jax.data.sources import files
    source = files.files({str(tmp_path / "made.npy")!r}, ("u", "v"))
    reader = source.reader
    def die(i):
      return os._exit(9) if i else reader(i)
    if {stage!r} == "records":
      source = dataclasses.replace(source, reader=die)
    else:
      os.replace = lambda *_: os._exit(9)
    builder.cached(source, {str(tmp_path / "cache")!r})
  """
  died = subprocess.run([sys.executable, "-c", textwrap.dedent(code)])
  assert died.returncode == 9
  assert list((tmp_path / "cache").rglob("*")) != []
  assert not list((tmp_path / "cache").rglob("meta.json"))
  assert _is_source(builder.cached(source, tmp_path / "cache"), source)
  left = [p.name for p in (tmp_path / "cache").rglob("*")]
  assert not [n for n in left if "incomplete" in n or n.endswith(".tmp")]


def test_nothing_is_kept_of_bad_fields(tmp_path):
  values = np.ones((3, 4, 5), np.float32)
  values[2, 1, :2] = np.inf
  np.save(tmp_path / "bad.npy", values)
  source = files.files(tmp_path / "bad.npy", ("u",))
  for _ in range(2):
    with pytest.raises(ValueError, match="'u' has 2 infinite .* time index 2"):
      builder.cached(source, tmp_path / "cache")


def test_cache_that_cannot_be_written_says_so(source, tmp_path):
  (tmp_path / "file").write_text("in the way")
  with pytest.raises(
    OSError, match="cannot write the cache .* HINOTE_JAX_CACHE"
  ):
    builder.cached(source, tmp_path / "file" / "cache")


@pytest.mark.parametrize("stage", ["records", "values"])
def test_full_disk_is_an_error_that_a_later_run_mends(tmp_path, stage):
  values = np.random.default_rng(0).normal(size=(4, 64, 64, 2))
  np.save(tmp_path / "made.npy", values.astype(np.float32))
  source = files.files(tmp_path / "made.npy")
  if stage == "values":
    builder.cached(source, tmp_path / "cache")
    next((tmp_path / "cache").glob("*/values.npy")).unlink()
  # A limit on the size of a file stands for the end of the disk.
  code = f"""
    import resource, signal
    from hinote_jax.data import builder
    from hinote_jax.data.sources import files
    source = files.files({str(tmp_path / "made.npy")!r})
    builder.inputs.require("tensorflow_datasets", "data")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    try:
      builder.cached(source, {str(tmp_path / "cache")!r})
    except OSError as error:
      print(error)
  """
  run = subprocess.run(
    [sys.executable, "-c", textwrap.dedent(code)],
    capture_output=True,
    text=True,
    check=True,
  )
  folder = f"{tmp_path}/cache/made-{source.fingerprint[:16]}"
  (message,) = run.stdout.splitlines()
  assert message.startswith(f"cannot write the cache at {folder} (")
  assert "set HINOTE_JAX_CACHE to a folder" in message
  assert not list((tmp_path / "cache").rglob("*.tmp"))
  if stage == "values":
    source = _broken(source)
  assert np.array_equal(
    builder.cached(source, tmp_path / "cache").values, values.astype("f4")
  )


def test_default_cache_follows_the_environment(monkeypatch, tmp_path):
  monkeypatch.setenv("HINOTE_JAX_CACHE", str(tmp_path / "mine"))
  assert builder.default_cache_dir() == tmp_path / "mine"
  monkeypatch.delenv("HINOTE_JAX_CACHE")
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
  assert builder.default_cache_dir() == tmp_path / "xdg" / "hinote_jax"


def test_load_by_name_never_imports_a_framework(source, tmp_path):
  code = f"""
    import sys
    from hinote_jax import data
    lazy = {{"tensorflow_datasets", "zarr", "xarray"}}
    never = {{"tensorflow", "torch", "matplotlib"}}
    assert not (lazy | never) & set(sys.modules)
    data.load(
      "files", variables=("u", "v"), path={str(tmp_path / "made.npy")!r},
      cache_dir={str(tmp_path / "cache")!r},
    )
    assert not never & set(sys.modules)
    assert "tensorflow_datasets" in sys.modules
  """
  subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
  assert list((tmp_path / "cache").rglob("*.array_record-*"))


def test_load_refuses_unknown_names():
  with pytest.raises(ValueError, match="'era'; did you mean 'era5'"):
    data.load("era")
  with pytest.raises(
    ValueError, match="'mri' takes no 'plan'; .*plane, slices"
  ):
    data.load("mri", plan="axial")


def test_every_name_stands_for_a_source():
  for name in data.SOURCES:
    if name == "turbulence2d" and not importlib.util.find_spec("exponax"):
      continue
    # What is asked for is refused by the source itself, by its own name.
    with pytest.raises(ValueError, match=f"{name!r}.*'nonsense'|needs a path"):
      data.source(name, nonsense=1)


@pytest.mark.parametrize("name", ["files", "images", "sevir", "superbench"])
def test_load_of_files_needs_a_path(name):
  with pytest.raises(
    ValueError, match=f"{name}' needs a path .*config.data.pat"
  ):
    data.load(name)


def test_groups_domain_and_low_resolution_pass_through(tmp_path):
  rng = np.random.default_rng(0)
  for k in range(3):
    np.save(tmp_path / f"high_{k}.npy", rng.normal(size=(2, 8, 12)))
    np.save(tmp_path / f"low_{k}.npy", rng.normal(size=(2, 4, 6)))
  dataset = data.load(
    "files",
    path=str(tmp_path / "high_*.npy"),
    lowres=str(tmp_path / "low_*.npy"),
    grouped=True,
    domain="turbulence",
    cache_dir=tmp_path / "cache",
  )
  assert dataset.domain == "turbulence"
  assert dataset.groups == ("high_0",) * 2 + ("high_1",) * 2 + ("high_2",) * 2
  assert isinstance(dataset.lowres.values, np.memmap)
  np.testing.assert_allclose(
    dataset.lowres.values[3, ..., 0], np.load(tmp_path / "low_1.npy")[1], 1e-6
  )
  (meta,) = (tmp_path / "cache").glob("high-*/meta.json")
  assert json.loads(meta.read_text())["groups"] == list(dataset.groups)


@pytest.mark.parametrize("path", [None, "", ()])
def test_load_of_files_says_how_to_give_them(path):
  with pytest.raises(ValueError, match=r"needs a path .*--config.data.path="):
    data.load("files", variables=(), path=path)


@pytest.mark.parametrize(
  "variables, expected",
  [
    ((), ("channel0", "channel1")),
    (("",), ("channel0", "channel1")),
    (("u", "v"), ("u", "v")),
    (("u, v",), ("u", "v")),
    ("u,v", ("u", "v")),
  ],
)
def test_load_takes_variables_as_flags_give_them(tmp_path, variables, expected):
  np.save(tmp_path / "made.npy", np.ones((3, 5, 7, 2), np.float32))
  dataset = data.load(
    "files",
    variables=variables,
    path=str(tmp_path / "made.npy"),
    cache_dir=tmp_path / "cache",
  )
  assert dataset.names == expected
