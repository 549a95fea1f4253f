"""What the pages say is so: tables, links, commands, lines of Python."""

import importlib.util
import json
import re
import shlex
import subprocess

import jax
import numpy as np
import pytest

from experiments import readme
from experiments.four_sciences import show
from hinote_jax import fields, infer, interop, io, models
from hinote_jax.cli import command_line, upscale_arguments
from hinote_jax.core import grids
from hinote_jax.evaluate import markdown

_MAX_README_LINES = 150


def _name(page):
  return page.relative_to(readme.ROOT).as_posix()


def _blocks(language):
  """Returns (page and index, block) of every fenced block of a language."""
  fence = re.compile(rf"```{language}\n(.*?)```", flags=re.S)
  return [
    pytest.param(block, id=f"{_name(page)}-{i}")
    for page in readme.pages()
    for i, block in enumerate(fence.findall(page.read_text(encoding="utf-8")))
  ]


def _commands():
  """Returns every command of the pages: fenced, or indented by four."""
  params = []
  for page in readme.pages():
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"```sh\n(.*?)```", text, flags=re.S)
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    fenced.append("\n".join(re.findall(r"^    (\S.*|  .*)$", prose, re.M)))
    lines = "\n".join(fenced).replace("\\\n", " ").split("\n")
    for line in lines:
      # $(...) and the like are of no command here.
      words = shlex.split(line.strip(), comments=True)
      if words and re.match(r"(.*/)?(hinote-|python|make)", words[0]):
        params.append(pytest.param(words, id=f"{_name(page)}: {line[:50]}"))
  return params


def test_every_block_is_what_its_script_prints():
  for page, text in readme.filled().items():
    assert page.read_text(encoding="utf-8") == text, (
      f"{_name(page)}: run python -m experiments.readme"
    )


def test_the_page_of_four_sciences_is_what_its_script_prints():
  text = show.README.read_text()
  assert show.filled(text) == text, (
    "run python -m experiments.four_sciences.show"
  )


def test_the_readme_is_short():
  lines = readme.README.read_text().splitlines()
  assert len(lines) <= _MAX_README_LINES


def test_blocks_are_filled_by_name_and_nothing_else_is_touched():
  text = "a\n<!-- one -->\n<!-- end -->\nb\n<!-- two -->\nold\n<!-- end -->\n"
  made = markdown.filled(text, {"one": r"\1 | x"})
  assert made == text.replace("one -->\n", "one -->\n\\1 | x\n")
  assert markdown.filled(made, {"two": "new"}) == made.replace("old", "new")
  with pytest.raises(ValueError, match="0 blocks for three"):
    markdown.filled(text, {"three": ""})


def test_pictures_pages_and_sections_that_are_linked_exist():
  for page in readme.pages():
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!http)([^)#]+)(#[^)]+)?\)", text)
    for link, anchor in links:
      target = page.parent / link
      assert target.exists(), f"{_name(page)}: {link}"
      text = target.read_text(encoding="utf-8") if anchor else ""
      titles = re.findall(r"^#+ (.*)$", text, re.M)
      known = {"#" + re.sub(r"\W+", "-", t.lower()).strip("-") for t in titles}
      assert anchor in {"", *known}, f"{_name(page)}: {link}{anchor}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """A folder with the files that the pages name."""
  folder = tmp_path_factory.mktemp("pages")
  y = io.Axis.of("lat", np.linspace(10, -10, 6), "degrees_north")
  x = io.Axis.of("lon", np.arange(7.0), "degrees_east")
  names = ("t2m", "u10", "v10")
  header = io.Header(tuple(fields.Variable(name, "K") for name in names), y, x)
  values = np.random.default_rng(0).normal(size=(6, 7, 3)).astype(np.float32)
  io.write(folder / "coarse.nc", io.Field(header, values))
  np.save(folder / "coarse.npy", np.ones((10, 12, 3), np.float32))
  kwargs = dict(
    encoder_options=dict(width=4, blocks=1, residual_scale=1.0), hidden=(8,)
  )
  inputs = (
    np.zeros((1, 4, 4, 3), np.float32),
    grids.axes((8, 8)),
    grids.cell_size((8, 8))[None],
  )
  small = dict(width=8, depth=3, channels=3)
  for path, name, given in (
    ("liif.pth", "liif", kwargs),
    ("ffdnet_color.pth", "ffdnet", small),
  ):
    module = models.build(name, **given)
    variables = jax.jit(module.init)(jax.random.key(0), *inputs)
    interop.save_torch(folder / path, name, given, variables)
  np.save(folder / "psf.npy", np.outer([1.0, 2.0, 1.0], [1.0, 2.0, 1.0]))
  np.save(folder / "photo.npy", np.ones((8, 10, 3), np.float32))
  return folder


def _run(code, folder, monkeypatch):
  """Runs lines of a page, with bicubic for the runs; returns their names."""
  monkeypatch.chdir(folder)
  for made in ("back.pth", "fine.nc"):
    (folder / made).unlink(missing_ok=True)
  if "io.write(" in code and "io.read(" not in code:
    (folder / "coarse.nc").rename(folder / "kept.nc")
  scope = {"__name__": "page"}
  exec(re.sub(r'"runs/\w+"', '"bicubic"', code), scope)
  if (folder / "kept.nc").exists():
    (folder / "kept.nc").rename(folder / "coarse.nc")
  return scope


@pytest.mark.parametrize("code", _blocks("python"))
def test_lines_of_python_run(code, folder, monkeypatch):
  _run(code, folder, monkeypatch)


def _block(page, index):
  text = (readme.ROOT / page).read_text(encoding="utf-8")
  return re.findall(r"```python\n(.*?)```", text, flags=re.S)[index]


def test_example_of_published_files_gives_them_back(folder, monkeypatch):
  scope = _run(_block("docs/published.md", 0), folder, monkeypatch)
  assert scope["predictor"](np.ones((4, 5, 3)), scale=2).shape == (8, 10, 3)
  kept = (folder / "liif.pth").read_bytes()
  assert (folder / "back.pth").read_bytes() == kept


def test_example_of_arrays_has_the_values_it_should(folder, monkeypatch):
  scope = _run(_block("docs/upscale.md", 2), folder, monkeypatch)
  np.testing.assert_allclose(scope["fine"], 1.0, atol=1e-5)
  assert scope["fine"].shape == (37, 44, 3)
  assert scope["highres"].shape == (1, 77, 90, 1)


@pytest.mark.parametrize("page", ["README.md", "docs/upscale.md"])
def test_example_of_a_file_has_the_values_it_should(page, folder, monkeypatch):
  _run(_block(page, 0), folder, monkeypatch)
  field, fine = io.read("coarse.nc"), io.read("fine.nc")
  assert fine.header.shape == (22, 26)
  assert [v.units for v in fine.header.variables] == ["K"] * 3
  want = infer.load("bicubic")(field.values, scale=3.7)
  np.testing.assert_allclose(fine.values, want, atol=1e-5)


def test_example_of_a_format_reads_what_it_writes(tmp_path):
  module = {}
  exec(_block("docs/extend.md", 3), module)
  values = np.arange(6, dtype=np.float32).reshape(2, 3)
  np.savetxt(tmp_path / "depth.txt", values)
  reader = module["open"](tmp_path / "depth.txt", None)
  np.testing.assert_array_equal(reader.read(0)[..., 0], values)
  field = io.Field.of(reader)
  module["save"](tmp_path / "b.txt", field.header, field.values[None])
  np.testing.assert_array_equal(np.loadtxt(tmp_path / "b.txt"), values)


@pytest.mark.parametrize("words", _commands())
def test_commands_are_understood(words):
  program, *arguments = words
  if program.endswith("hinote-upscale"):
    upscale_arguments.parse(arguments)
  elif program.endswith("make"):
    targets = (readme.ROOT / "Makefile").read_text()
    for target in arguments:
      assert re.search(rf"^{target}:", targets, re.M), target
  elif arguments[:1] == ["-m"] and arguments[1] != "venv":
    assert importlib.util.find_spec(arguments[1]), arguments[1]
    if arguments[1] == "hinote_jax.main":
      command_line.check(arguments[2:])


def test_commands_that_are_wrong_are_not_understood():
  with pytest.raises(ValueError, match="config field"):
    command_line.check(
      ["--config=configs/hinote.py:demo", "--config.dat.path="]
    )
  with pytest.raises(ValueError, match="unknown run|did you mean"):
    command_line.check(["--config=configs/hinote.py:dmo"])


def test_results_hold_no_machine_paths():
  files = subprocess.run(
    ["git", "ls-files"],
    cwd=readme.ROOT,
    capture_output=True,
    text=True,
    check=True,
  ).stdout.split()
  for name in (f for f in files if f.endswith(".json")):
    content = json.dumps(json.loads((readme.ROOT / name).read_text()))
    assert not re.search(r'"/(home|root|work|tmp|Users)/', content), name
