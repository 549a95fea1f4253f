"""Pages: what the browser adds up is what was given, and it opens anywhere."""

import pathlib
import re
import shutil

import numpy as np
import pytest

from hinote_jax import fields, io, upscale
from hinote_jax.evaluate import scores
from tests import evaluations, upscale_command

pytest.importorskip("bokeh")
pytest.importorskip("matplotlib")

from hinote_jax.pages import (  # noqa: E402
  of_evaluation,
  of_files,
  samples,
  viewer,
)
from hinote_jax.plots import looks, maps  # noqa: E402

_VARIABLES = ({"name": "t2m", "units": "K", "long_name": ""},)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# No connection of the browser's own.
_ALONE = (
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
  """The page of an evaluation of three noisy fields at two scales."""
  dataset = evaluations.dataset()
  predictors = {
    "hinote": evaluations.nearest,
    "bicubic": evaluations.bicubic,
    "bilinear": evaluations.nearest,
  }
  evaluation = evaluations.run(predictors, dataset, scales=(2.0, 4.0))
  records = [{"step": i, "loss": 1.0 / (i + 1)} for i in range(9)]
  path = tmp_path_factory.mktemp("page") / "report.html"
  of_evaluation.write(path, evaluation, records)
  return path


def _sample(shape=(6, 9), coarse=(3, 4), y=None, seed=0):
  rng = np.random.default_rng(seed)
  base = rng.normal(280, 9, (*shape, 1)).astype(np.float32)
  other = base + rng.normal(0, 0.3, base.shape).astype(np.float32)
  low = rng.normal(280, 9, (*coarse, 1)).astype(np.float32)
  frame = maps.frame(shape, y)
  return samples.Sample("a", "x2", low, base, {"b": other}, frame, frame)


def _shown(packed, looks, name):
  """Returns what the browser makes of a part."""
  first, step = looks["codes"][name]
  return first + step * packed.arrays[looks["parts"][name]]


@pytest.mark.parametrize(
  "values, kind",
  [
    ([0.0, 12.7, np.nan], np.int8),
    ([-12.75, 3.0, np.inf], np.int16),
    ([4000.0, np.nan, 0.0], np.int32),
    ([-1e30, 0.0, 1.0], np.int32),
  ],
)
def test_values_are_counted_in_the_least_type(values, kind):
  counts = samples.counts(np.float32(values), 0.0, 0.1)
  assert counts.dtype == kind
  least, known = np.iinfo(kind).min, np.isfinite(values)
  np.testing.assert_array_equal(counts == least, ~known)
  expected = np.maximum(np.round(np.divide(values, 0.1)), least + 1)
  np.testing.assert_array_equal(counts[known], expected[known])


@pytest.mark.parametrize("order", [1, -1, 0])
def test_base_and_difference_add_up_with_the_least_y_first(order):
  y = np.arange(6.0)[::order] if order else None
  sample = _sample(y=y)
  packed = samples.Packed([sample], _VARIABLES, base="truth")
  looks = packed.descriptions[0][0]
  parts = {name: _shown(packed, looks, name) for name in looks["parts"]}
  given = sample.others["b"][..., 0]
  # Without positions the first row is up, and counts downward from 0.
  given = given[::-1] if order == -1 else given
  step = (looks["high"] - looks["low"]) / 256 + looks["limit"] / 16
  np.testing.assert_allclose(parts["base"] + parts["0"], given, atol=step / 2)
  rms = np.sqrt(np.mean((sample.others["b"] - sample.base) ** 2))
  assert looks["titles"]["0"] == f"b − truth, RMS {rms:.3g} K"
  assert looks["unit"] == "K"


def test_one_truth_at_several_scales_is_held_once():
  both = [_sample(), _sample(coarse=(2, 3))]
  packed = samples.Packed(both, _VARIABLES, base="truth")
  one, other = (described[0]["parts"] for described in packed.descriptions)
  assert one["base"] == other["base"] and one["0"] == other["0"]
  assert len(packed.arrays) == 4


def test_missing_values_stay_missing_and_leave_the_colours_alone():
  sample = _sample()
  sample.base[1, 2] = np.nan
  (looks,) = samples.Packed([sample], _VARIABLES, base="truth").descriptions[0]
  assert np.isfinite([looks["low"], looks["high"], looks["limit"]]).all()


def test_a_large_field_is_shown_through_a_window_over_the_same_input():
  shape, coarse = (2400, 1600), (600, 400)
  frame = maps.frame(shape, np.arange(2400.0), np.arange(1600.0))
  base = np.zeros((*shape, 1), np.float32)
  error = base.copy()
  error[2300, 1500] = 1.0
  low = np.arange(600 * 400, dtype=np.float32).reshape(*coarse, 1)
  shown = samples.windowed(
    samples.Sample("a", "x4", low, base, {"b": error}, frame, frame)
  )
  assert shown.base.size <= 1_500_000 and shown.others["b"].max() == 1.0
  left, right, bottom, top = shown.frame.extent
  assert left <= 1500 <= right and bottom <= 2300 <= top
  rows, columns = shown.lowres.shape[:2]
  left, right, bottom, top = shown.coarse.extent
  # A cell of the input is 4 wide, and begins at its own number.
  assert (right - left, top - bottom) == (4 * columns, 4 * rows)
  assert shown.lowres[0, 0, 0] == 400 * (bottom + 0.5) / 4 + (left + 0.5) / 4
  assert "of 2400 x 1600" in shown.name


@pytest.mark.parametrize("order", [1, -1])
def test_the_input_under_a_window_is_found_by_its_position(order):
  y, x = np.arange(-89.5, 90)[::order], np.arange(0.5, 360)
  low = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1)
  fine = np.linspace(20, 38, 1200), np.linspace(100, 118, 1200)
  base = np.zeros((1200, 1200, 2), np.float32)
  error = base.copy()
  error[-5:, -5:] = 1.0
  shown = samples.windowed(
    samples.Sample(
      name="a",
      scale="x60",
      lowres=low,
      base=base,
      others={"b": error},
      frame=maps.frame((1200, 1200), *fine, is_geographic=True),
      coarse=maps.frame((180, 360), y, x, is_geographic=True),
    )
  )
  _require_in_place(shown)
  assert shown.base.size <= 1_500_000 and shown.others["b"].max() == 1.0
  assert shown.lowres.shape[0] < 20


def _require_in_place(sample):
  """Compares an input that holds its own (y, x) with where it is shown."""
  rows, columns = sample.lowres.shape[:2]
  for cell, (y, x) in (
    ((0, 0, 1, 1), sample.lowres[0, 0]),
    ((rows - 1, columns - 1, 1, 1), sample.lowres[-1, -1]),
  ):
    left, right, bottom, top = maps.box(sample.coarse, (rows, columns), cell)
    turns = ((left + right) / 2 - x) / 360
    np.testing.assert_allclose(turns, np.rint(turns), atol=1e-6)
    np.testing.assert_allclose((bottom + top) / 2, y, atol=1e-4)
  # It covers the result, and no cell lies wholly beyond it.
  for side, n in ((slice(2), columns), (slice(2, 4), rows)):
    low, high = sorted(sample.coarse.extent[side])
    least, most = sorted(sample.frame.extent[side])
    past, cell = np.array([least - low, high - most]), (high - low) / n
    assert (past > -1e-4).all() and (past < cell - 1e-4).all()


@pytest.mark.parametrize(
  "lat, lon",
  [
    ((30, 50, 2), (-60, -20, 2)),
    ((30, 50, 2), (-11, 11, 1)),
    ((50, 30, -2), (350, 371, 3)),
    ((30, 50, 2), (-180, 180, 2)),
    ((30, 50, 2), (11, -11, -2)),
  ],
)
def test_the_input_lies_under_the_grid_asked_for(
  tmp_path, monkeypatch, lat, lon
):
  pytest.importorskip("xarray")
  pytest.importorskip("netCDF4")

  def write(name, y, x):
    values = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1)
    variables = fields.Variable("y"), fields.Variable("x")
    y = fields.Axis.of("lat", y, "degrees_north")
    x = fields.Axis.of("lon", x, "degrees_east")
    header = fields.Header(variables, y, x)
    io.save(tmp_path / name, header, values[None].astype(np.float32))

  write("a.nc", np.arange(-88.0, 89, 4), np.arange(0.0, 360, 4))
  write("like.nc", np.arange(*map(float, lat)), np.arange(*map(float, lon)))
  shown, draw = [], viewer.viewer
  monkeypatch.setattr(
    of_files.viewer,
    "viewer",
    lambda given, *args, **kwargs: (
      shown.extend(given) or draw(given, *args, **kwargs)
    ),
  )
  command = [tmp_path / "a.nc", tmp_path / "b.nc"]
  command += ["--like", tmp_path / "like.nc", "--checkpoint", "bicubic"]
  assert upscale_command.run(*command, "--view", tmp_path / "v.html") == 0
  (sample,) = shown
  _require_in_place(sample)
  start, stop, step = lon
  ends = start - step / 2, stop - step / 2
  np.testing.assert_allclose(sample.frame.extent[:2], ends)


def test_values_beyond_the_levels_have_the_colours_of_the_figure():
  sample = _sample()
  sample.base[:], sample.base[2, 3], sample.base[4, 4] = 0.0, 120.0, 300.0
  vil = ({"name": "vil", "units": "", "long_name": ""},)
  packed = samples.Packed([sample], vil, base="truth", domain="radar")
  (described,) = packed.descriptions[0]
  look = looks.look(sample.base, name="vil", domain="radar")
  ends = look["cmap"](look["norm"]([0.0, 300.0]))
  calm, beyond = (
    f"#{bytes(e).hex()}" for e in np.uint8(np.round(255 * ends[:, :3]))
  )
  assert (described["under"], described["over"]) == (calm, beyond)
  _, show = viewer.viewer([sample], vil, base="truth", domain="radar")
  assert set(re.findall(r"now\.(\w+)", show.code)) == set(described)
  assert calm not in packed.palettes[described["palette"]]
  seen = _shown(packed, described, "base")
  assert seen[0, 0] < described["low"] and seen.max() > described["high"]


def test_colours_that_have_no_ends_go_on_beyond_the_limits():
  packed = samples.Packed([_sample()], _VARIABLES, base="truth")
  (described,) = packed.descriptions[0]
  palette = packed.palettes[described["palette"]]
  assert (described["under"], described["over"]) == (palette[0], palette[-1])


def test_the_gallery_takes_the_same_share_of_every_scale():
  truth = np.zeros((500, 1000, 1), np.float32)
  given = [
    scores.Example(s, str(i), truth, truth, {"a": truth, "b": truth})
    for s in (2.0, 4.0)
    for i in range(5)
  ]
  gallery = []
  passed = list(scores.kept(given, gallery, ["a"], [2.0, 4.0]))
  assert passed == given
  assert [(e.scale, e.name) for e in gallery] == [
    (s, str(i)) for s in (2.0, 4.0) for i in range(4)
  ]
  assert all(list(e.predictions) == ["a"] for e in gallery)


@pytest.mark.parametrize(
  "models, expected",
  [
    (["hinote", "bilinear", "bicubic", "spectral"], ["bicubic", "hinote"]),
    (["hinote", "liif"], ["hinote"]),
    (["bilinear", "bicubic"], ["bicubic"]),
  ],
)
def test_an_interpolation_stands_beside_the_run(models, expected):
  known = ("bilinear", "bicubic", "spectral")
  assert scores.pair(models, known) == expected


def test_a_file_just_made_finer_has_a_page(tmp_path, capsys):
  pixels = np.linspace(0, 1, 2 * 12 * 16 * 3).reshape(2, 12, 16, 3)
  np.save(tmp_path / "a.npy", pixels.astype(np.float32))
  view = tmp_path / "view.html"
  command = [tmp_path / "a.npy", tmp_path / "b.npy", "--scale", "2"]
  command += ["--checkpoint", "bicubic", "--view", view]
  assert upscale_command.run(*command) == 0
  text = view.read_text()
  assert "--checkpoint bicubic" in text and "bilinear" in text
  assert io.read(tmp_path / "b.npy").values.shape == (2, 24, 32, 3)
  for wrong, said in (
    ([tmp_path / "no" / "v.html"], "no folder"),
    ([tmp_path / "v.png"], "a .html"),
  ):
    code = upscale_command.run(*command[:-1], *wrong, "--overwrite")
    assert code == 2 and said in capsys.readouterr().err
  np.save(tmp_path / "c.npy", pixels)
  several = [command[0], tmp_path / "c.npy", f"{tmp_path}/out/", *command[2:]]
  code = upscale.main([*map(str, several)])
  assert code == 2 and "one input" in capsys.readouterr().err
  view.write_text("notes")
  other = [command[0], tmp_path / "d.npy", *command[2:]]
  assert upscale_command.run(*other) == 2
  assert "view.html exists" in capsys.readouterr().err
  assert view.read_text() == "notes" and not (tmp_path / "d.npy").exists()
  assert upscale_command.run(*other, "--overwrite") == 0
  assert "--checkpoint bicubic" in view.read_text()


@pytest.mark.parametrize("name", ["b.tif", "b.nii"])
def test_a_file_that_keeps_no_names_has_a_page(tmp_path, name):
  pytest.importorskip({"b.tif": "tifffile", "b.nii": "nibabel"}[name])
  np.savez(tmp_path / "a.npz", wave=np.eye(12, 16, dtype=np.float32))
  command = [tmp_path / "a.npz", tmp_path / name, "--scale", "2"]
  command += ["--checkpoint", "bicubic", "--view", tmp_path / "view.html"]
  assert upscale_command.run(*command) == 0
  assert '"wave"' in (tmp_path / "view.html").read_text()


# What the slider says, and the sum over the map of the model.
_SHOWN = """() => {
  const models = [...Bokeh.documents[0]._all_models.values()]
  const source = models.find((m) => m.name == "0 image")
  const image = source.get_column("image")[0]
  return {
    name: models.find((m) => m.name == "label").text,
    sum: image.reduce((a, b) => a + b),
  }
}"""

# The colours of the text of the page, and of a figure.
_INKS = """() => [
  getComputedStyle(document.body).color,
  [...Bokeh.documents[0]._all_models.values()].find(
    (m) => m.type == "LinearAxis").axis_label_text_color,
]"""


def _browser(playwright):
  """Returns a headless browser, or skips."""
  known = [shutil.which(name) for name in _BROWSERS]
  known.append(playwright.chromium.executable_path)
  there = [path for path in known if path and pathlib.Path(path).is_file()]
  if not there:
    pytest.skip(f"no browser: none of {', '.join(_BROWSERS)} is installed")
  return playwright.chromium.launch(executable_path=there[0], args=_ALONE)


def test_a_browser_opens_it_and_the_slider_moves(page):
  api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
  said = []
  with api.sync_playwright() as playwright:
    browser = _browser(playwright)
    tab = browser.new_page(color_scheme="light")
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on(
      "console",
      lambda m: m.type in ("error", "warning") and said.append(m.text),
    )
    tab.on(
      "request",
      lambda r: (
        r.url.startswith(("file:", "data:", "blob:")) or said.append(r.url)
      ),
    )
    tab.goto(page.as_uri())
    handle = tab.get_by_role("slider")
    handle.wait_for()
    first = tab.evaluate(_SHOWN)
    handle.focus()
    tab.keyboard.press("ArrowRight")
    second = tab.evaluate(_SHOWN)
    inks = [tab.evaluate(_INKS)]
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_function(f"({_INKS})()[1] != '{inks[0][1]}'")
    inks.append(tab.evaluate(_INKS))
    browser.close()
  assert said == []
  assert first["name"] == "2020-01-01" and second["name"] == "2020-01-02"
  assert first["sum"] != second["sum"]
  assert inks == [
    ["rgb(27, 31, 36)", "#1b1f24"],
    ["rgb(230, 232, 235)", "#e6e8eb"],
  ]
