"""What makes a file finer where nobody says: what fits, and nothing else."""

import numpy as np
import pytest

from hinote_jax import fields, infer, io, shipped
from hinote_jax.cli import upscale_arguments
from hinote_jax.fields import axes
from hinote_jax.infer import choosing, cutting, requests
from tests import runs, upscale_command

pytest.importorskip("netCDF4")
pytest.importorskip("pint")

_WIND = "m s-1"


def _meta(units, mean, std, roughness=9.0, **more):
  """Returns what belongs with a network of variables, by their units."""
  count = len(units)
  return {
    "variables": list(units),
    "quantities": [{"units": u, "white": None} for u in units.values()],
    "normaliser": {
      "mean": [mean] * count,
      "std": [std] * count,
      "minimum": [mean - 3 * std] * count,
      "maximum": [mean + 3 * std] * count,
    },
    "roughness": [roughness] * count,
    **more,
  }


_NETWORKS = {
  "flow": _meta({"omega": "s-1"}, 0.0, 2.0),
  "flow-too": _meta({"omega": "s-1"}, 0.0, 4.0),
  "head": _meta({"intensity": ""}, 0.5, 0.2),
  "smooth": _meta({"tide": "m"}, 0.0, 2.0, roughness=0.01),
  "weather": _meta(
    {"t2m": "K", "u10": _WIND}, 280.0, 100.0, static={"sources": ["latitude"]}
  ),
}


@pytest.fixture(autouse=True)
def networks(monkeypatch):
  """Stands for what comes with the package."""
  monkeypatch.setattr(shipped, "networks", lambda: tuple(_NETWORKS))
  monkeypatch.setattr(choosing, "_meta", _NETWORKS.__getitem__)


def _write(path, variables, *, mean=0.0, std=2.0, on_earth=True, count=1):
  """Writes fields of variables, name -> units; returns their path."""
  if on_earth:
    y = axes.Axis.of("lat", np.linspace(70, 20, 50), "degrees_north")
    x = axes.Axis.of("lon", np.linspace(0, 60, 61), "degrees_east")
  else:
    y, x = (axes.counted(name, n) for name, n in (("y", 50), ("x", 61)))
  wave = np.sin(np.arange(50.0) / 5)[:, None] * np.cos(np.arange(61.0) / 5)
  values = np.repeat(mean + 2 * std * wave[None, ..., None], count, 0)
  values = np.repeat(values, len(variables), -1).astype(np.float32)
  named = tuple(fields.Variable(*pair) for pair in variables.items())
  leads = (fields.Dimension("time", count),)
  io.write(path, io.Field(fields.Header(named, y, x, leads), values))
  return str(path)


def _choice(*sources, **options):
  return choosing.choose(
    [requests.Request(s, "fine.nc", "bicubic", **options) for s in sources]
  )


@pytest.mark.parametrize(
  ("variables", "options", "name", "why"),
  [
    ({"omega": "s-1"}, {}, "flow", "omega [s-1]; flow-too would fit, too"),
    ({"omega": "h-1"}, {"std": 7200.0}, "flow", "omega [s-1]"),
    ({"omega": "s-1", "p": "Pa"}, {}, "flow", "; left out: p"),
    (
      {"t2m": "degC", "u10": "km/h"},
      {"std": 30.0},
      "weather",
      "t2m [K], u10 [m s-1]",
    ),
    # What is open is a guess, and none is made.
    ({"omega": ""}, {}, "", "the file gives omega no unit"),
    ({"omega": "Pa s-1"}, {}, "", "omega is in 'Pa s-1' and the network"),
    ({"omega": "s-1"}, {"std": 1e-5}, "", "omega has from -2e-05 to 2e-05"),
    ({"omega": "s-1"}, {"mean": 90.0}, "", "omega has from 86"),
    ({"vorticity": "s-1"}, {}, "", "no network of the package (flow, flow-to"),
    ({"intensity": ""}, {}, "", "head learnt intensity without a unit"),
    ({"intensity": "1"}, {}, "", "head learnt intensity without a unit"),
    ({"tide": "m"}, {}, "", "times as rough"),
    ({"t2m": "K"}, {"mean": 280.0}, "", "t2m, u10 together, and the file lac"),
    (
      {"t2m": "K", "u10": _WIND},
      {"mean": 280.0, "std": 50.0, "on_earth": False},
      "",
      "weather was told of the place, and the file does not say where it",
    ),
  ],
)
def test_names_units_values_and_place_must_fit(
  tmp_path, variables, options, name, why
):
  path = _write(tmp_path / "a.nc", variables, **options)
  choice = _choice(path)
  assert choice.checkpoint == (name or shipped.FALLBACK)
  assert why in choice.why and "\n" not in choice.why
  assert choice.why.startswith(f"{path}: made finer by {choice.checkpoint}")


def test_what_is_asked_for_must_be_what_it_is_of(tmp_path):
  variables = {"u10": _WIND, "t2m": "K"}
  path = _write(tmp_path / "a.nc", variables, mean=280.0, std=50.0)
  for names, name in (
    (None, "weather"),
    (("t2m", "u10"), "weather"),
    (("u10", "t2m"), "bicubic"),
    (("t2m",), "bicubic"),
  ):
    assert _choice(path, variables=names).checkpoint == name, names


def test_all_files_and_several_times_are_looked_at(tmp_path):
  one = _write(tmp_path / "a.nc", {"omega": "s-1"}, count=3)
  other = _write(tmp_path / "b.nc", {"omega": "m"})
  assert _choice(one, one).checkpoint == "flow"
  choice = _choice(one, other)
  assert choice.checkpoint == "bicubic" and "in 'm' and the" in choice.why
  assert f"{one} and 1 more: " in choice.why and other in choice.why


def test_fields_without_values_are_no_guess_either(tmp_path):
  y, x = axes.counted("y", 9), axes.counted("x", 9)
  header = fields.Header((fields.Variable("omega", "s-1"),), y, x)
  empty = np.full((9, 9, 1), np.nan, np.float32)
  io.write(tmp_path / "a.nc", io.Field(header, empty))
  assert _choice(str(tmp_path / "a.nc")).checkpoint == "bicubic"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
  """A folder of networks with one, of psi in m, and the run it is cut from."""
  folder = tmp_path_factory.mktemp("package")
  values = np.load(runs.write_fields(folder / "psi.npy"))[..., None] - 280.0
  y, x = (
    axes.Axis.of(name, np.arange(n) + 0.5, "km")
    for name, n in (("y", 40), ("x", 48))
  )
  variables = (fields.Variable("psi", "m"),)
  leads = (fields.Dimension("time", 12),)
  header = fields.Header(variables, y, x, leads)
  io.write(folder / "psi.nc", io.Field(header, values))
  config = runs.tiny_config(folder / "psi.nc", folder / "cache")
  runs.train_lightly(config, folder / "run")
  (folder / "shipped").mkdir()
  cutting.cut(folder / "run", folder / "shipped" / "hinote-s-psi")
  return folder


def test_the_command_takes_what_fits_and_says_so(
  tmp_path, monkeypatch, capsys, package
):
  monkeypatch.undo()
  monkeypatch.setattr(shipped, "FOLDER", package / "shipped")
  assert shipped.networks() == ("hinote-s-psi",)
  upscale_arguments.require_checkpoint("hinote-s-psi")
  source, grid = package / "psi.nc", ("--scale", 2)
  for out, more in (
    ("a.nc", ()),
    ("b.nc", ("--checkpoint", "hinote-s-psi")),
    ("c.nc", ("--checkpoint", package / "run")),
  ):
    assert upscale_command.run(source, tmp_path / out, *grid, *more) == 0
    said = capsys.readouterr().err
    assert ("made finer by hinote-s-psi, a network" in said) == (not more)
  chosen, named, whole = (io.read(tmp_path / f"{n}.nc").values for n in "abc")
  np.testing.assert_array_equal(chosen, whole)
  np.testing.assert_array_equal(named, whole)
  bare = ("--consistent=", "--dry-run")
  assert upscale_command.run(source, tmp_path / "d.nc", *grid, *bare) == 0
  np.save(tmp_path / "plain.npy", np.ones((5, 6), np.float32))
  plain = (tmp_path / "plain.npy", tmp_path / "fine.npy")
  assert upscale_command.run(*plain, *grid) == 0
  said = capsys.readouterr().err
  assert "by bicubic interpolation, for no network of the package (hin" in said
  want = infer.load("bicubic")(np.ones((5, 6), np.float32), scale=2)
  np.testing.assert_array_equal(np.load(plain[1]).squeeze(), want)


def test_a_path_wins_over_a_name(tmp_path, monkeypatch, package):
  monkeypatch.undo()
  monkeypatch.setattr(shipped, "FOLDER", package / "shipped")
  monkeypatch.chdir(tmp_path)
  assert (
    shipped.resolved("hinote-s-psi") == package / "shipped" / "hinote-s-psi"
  )
  assert infer.load("hinote-s-psi").names == ("psi",)
  (tmp_path / "hinote-s-psi").mkdir()
  assert shipped.resolved("hinote-s-psi") == "hinote-s-psi"
  with pytest.raises(FileNotFoundError, match="hinote-s-psi' is not a workdir"):
    infer.load("hinote-s-psi")
