import json
import re
import subprocess

import jax
import numpy as np
import pytest

from configs import baselines, hinote
from experiments import readme
from experiments.four_sciences import show
from hinote_jax import fields, infer, interop, io, models
from hinote_jax.core import grids
from hinote_jax.evaluate import markdown


def test_every_table_is_what_its_script_prints():
  text = readme.README.read_text()
  assert readme.filled(text) == text, "run python -m experiments.readme"


def test_the_tree_of_the_house_is_what_the_folders_say():
  text = readme.CONTRIBUTING.read_text(encoding="utf-8")
  filled = markdown.filled(text, {"tree": readme.tree()})
  assert filled == text, "run python -m experiments.readme"


def test_the_page_of_four_sciences_is_what_its_script_prints():
  text = show.README.read_text()
  assert show.filled(text) == text, (
    "run python -m experiments.four_sciences.show"
  )


def test_blocks_are_filled_by_name_and_nothing_else_is_touched():
  text = "a\n<!-- one -->\n<!-- end -->\nb\n<!-- two -->\nold\n<!-- end -->\n"
  made = markdown.filled(text, {"one": r"\1 | x"})
  assert made == text.replace("one -->\n", "one -->\n\\1 | x\n")
  assert markdown.filled(made, {"two": "new"}) == made.replace("old", "new")
  with pytest.raises(ValueError, match="0 blocks for three"):
    markdown.filled(text, {"three": ""})


def test_pictures_and_files_that_are_linked_exist():
  text = readme.README.read_text()
  links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
  assert links
  for link in links:
    assert (readme.README.parent / link).exists(), link


def _python(index):
  text = readme.README.read_text()
  return re.findall(r"```python\n(.*?)```", text, flags=re.S)[index]


def test_example_of_published_files_runs(tmp_path, monkeypatch):
  kwargs = dict(
    encoder_options=dict(width=4, blocks=1, residual_scale=1.0), hidden=(8,)
  )
  module = models.build("liif", **kwargs)
  inputs = (
    np.zeros((1, 4, 4, 3), np.float32),
    grids.axes((8, 8)),
    grids.cell_size((8, 8))[None],
  )
  variables = jax.jit(module.init)(jax.random.key(0), *inputs)
  monkeypatch.chdir(tmp_path)
  interop.save_torch("liif.pth", "liif", kwargs, variables)
  scope = {}
  exec(_python(2), scope)
  assert scope["module"] == module.clone(
    local_ensemble=True, feat_unfold=True, cell_decode=True
  )
  assert scope["predictor"](np.ones((4, 5, 3)), scale=2).shape == (8, 10, 3)
  assert (tmp_path / "back.pth").read_bytes() == (
    tmp_path / "liif.pth"
  ).read_bytes()


def test_python_example_runs(tmp_path, monkeypatch):
  code = _python(0)
  code = code.replace('infer.load("runs/untold")', 'infer.load("bicubic")')
  monkeypatch.chdir(tmp_path)
  np.save("coarse.npy", np.ones((10, 12, 3), np.float32))
  scope = {}
  exec(code, scope)
  np.testing.assert_allclose(scope["fine"], 1.0, atol=1e-5)
  assert scope["fine"].shape == (37, 44, 3)
  assert scope["highres"].shape == (1, 77, 90, 1)


def test_example_of_a_file_runs(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  y = io.Axis.of("lat", np.linspace(10, -10, 6), "degrees_north")
  x = io.Axis.of("lon", np.arange(7.0), "degrees_east")
  names = ("t2m", "u10", "v10")
  variables = tuple(fields.Variable(name, "K") for name in names)
  header = io.Header(variables, y, x)
  values = np.random.default_rng(0).normal(size=(6, 7, 3)).astype(np.float32)
  io.write("coarse.nc", io.Field(header, values))
  code = _python(1).replace('infer.load("runs/demo")', 'infer.load("bicubic")')
  exec(code, {})
  fine = io.read("fine.nc", variables=names)
  assert fine.header.shape == (22, 26)
  assert [v.units for v in fine.header.variables] == ["K"] * 3
  want = infer.load("bicubic")(values, scale=3.7)
  np.testing.assert_allclose(fine.values, want, atol=1e-5)


def test_commands_name_configs_that_exist():
  text = readme.README.read_text()
  named = re.findall(r"configs/hinote\.py:(\w+)", text)
  assert named and set(named) <= set(hinote.RUNS)
  peers = re.findall(r"configs/baselines\.py:([\w=,]+)", text)
  assert peers and all(baselines.get_config(peer) for peer in peers)


def test_results_hold_no_machine_paths():
  files = subprocess.run(
    ["git", "ls-files"],
    cwd=readme.README.parent,
    capture_output=True,
    text=True,
    check=True,
  ).stdout.split()
  for name in (f for f in files if f.endswith(".json")):
    content = json.dumps(json.loads((readme.README.parent / name).read_text()))
    assert not re.search(r'"/(home|root|work|tmp|Users)/', content), name
