"""What a user meets before any numerics: install, import, notebook, CI."""

import ast
import configparser
import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
import zipfile

from absl.testing import absltest
import numpy as np
import pytest

import hinote_jax

ROOT = Path(__file__).resolve().parents[1]


def read_setup() -> configparser.ConfigParser:
  setup = configparser.ConfigParser()
  setup.read(ROOT / "setup.cfg")
  return setup


def read_notebook() -> dict:
  path = ROOT / "notebooks" / "hinote_jax_colab.ipynb"
  return json.loads(path.read_text(encoding="utf-8"))


_HEAVY = (
  "absl",
  "dask",
  "flax",
  "jax",
  "matplotlib",
  "ml_collections",
  "numpy",
  "orbax",
  "scipy",
  "tensorflow",
  "torch",
  "xarray",
)


@pytest.mark.parametrize(
  "code",
  [
    "import hinote_jax",
    "from hinote_jax import upscale",
    "from hinote_jax import upscale; upscale.main(['--help'])",
    "from hinote_jax import upscale; upscale.main(['a', 'b', '--scale', 'c'])",
    "from hinote_jax import upscale; upscale.main(['README.md', 'b.nc', "
    "'--scale', '2', '--checkpoint', 'runs/no'])",
    "from hinote_jax import upscale; upscale.main(['README.md', 'LICENSE', "
    "'--scale', '2', '--checkpoint', 'bicubic'])",
    "from hinote_jax import upscale; upscale.main(['no.nc', 'b.nc', "
    "'--scale', '2', '--checkpoint', 'bicubic'])",
  ],
)
def test_nothing_heavy_is_imported_to_say_a_word(code):
  # Not the clock, which other work on the machine moves.
  script = (
    "import sys\n"
    f"try:\n  {code}\n"
    "except SystemExit:\n  pass\n"
    f"loaded = [name for name in {_HEAVY} if name in sys.modules]\n"
    "print('loaded', *loaded)"
  )
  done = subprocess.run(
    [sys.executable, "-c", script],
    cwd=ROOT,
    check=True,
    capture_output=True,
    text=True,
  )
  assert done.stdout.splitlines()[-1] == "loaded"


class SetupTest(absltest.TestCase):
  def test_extras_are_those_documented(self):
    self.assertEqual(
      set(read_setup()["options.extras_require"]),
      {"data", "io", "dask", "interop", "plots", "tests", "demo", "cuda", "tpu"}
      | {"all", "docs", "fast", "shell"},
    )

  def test_console_scripts_name_functions_that_exist(self):
    scripts = read_setup()["options.entry_points"]["console_scripts"]
    for line in scripts.split("\n"):
      if not line:
        continue
      module, function = line.split("=")[1].strip().split(":")
      path = ROOT / f"{module.replace('.', '/')}.py"
      self.assertTrue(path.is_file(), f"{line}: no file {path}")
      tree = ast.parse(path.read_text(encoding="utf-8"))
      names = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
      self.assertIn(function, names, line)

  def test_citation_names_the_version(self):
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    self.assertIn(f"version: {hinote_jax.__version__}", citation.splitlines())

  def test_every_folder_of_modules_is_a_package(self):
    # `find:` leaves a folder without __init__.py out of the wheel, silently.
    for path in (ROOT / "hinote_jax").rglob("*.py"):
      self.assertTrue((path.parent / "__init__.py").is_file(), str(path))

  def test_files_beside_modules_are_in_the_wheel(self):
    folder = ROOT / "hinote_jax"
    given = read_setup()["options.package_data"]["hinote_jax"].split()
    shipped = {path for pattern in given for path in folder.glob(pattern)}
    there = {p for p in folder.rglob("*.*") if p.is_file()}
    there = {p for p in there if "__pycache__" not in p.parts}
    self.assertEqual({p for p in there if p.suffix != ".py"}, shipped)

  def test_ci_runs_what_make_test_runs(self):
    path = ROOT / ".ci" / "run"
    self.assertTrue(path.stat().st_mode & 0o100, "not executable")
    self.assertIn("make test", path.read_text().splitlines())


@pytest.mark.trial
def test_a_wheel_works_from_an_empty_folder(tmp_path):
  """Installed beside what it needs, offline, it has its command and configs."""
  python = [sys.executable, "-m"]
  source, site, empty = (tmp_path / n for n in ("source", "site", "empty"))
  ignored = shutil.ignore_patterns(".*", "runs", "build", "*.egg-info")
  shutil.copytree(ROOT, source, ignore=ignored)
  pip = [*python, "pip", "-q", "--disable-pip-version-check"]
  build = ["wheel", "--no-deps", "-w", tmp_path, source]
  subprocess.run([*pip, *build], check=True)
  (wheel,) = tmp_path.glob("hinote_jax-*.whl")
  with zipfile.ZipFile(wheel) as archive:
    names = set(archive.namelist())
    archive.extractall(site)
  assert "hinote_jax/py.typed" in names
  configs = {path.name for path in (ROOT / "configs").glob("*.py")}
  shipped = "hinote_jax/shipped/configs/"
  assert configs == {n.removeprefix(shipped) for n in names if shipped in n}
  empty.mkdir()
  np.save(empty / "a.npy", np.ones((4, 5), np.float32))
  environment = {**os.environ, "PYTHONPATH": str(site)}
  for command, code in (
    ("upscale a.npy b.npy --scale 3.7 --checkpoint bicubic --quiet", 0),
    # It finds the config, and says of a field what it has not.
    (
      "main --config=configs/sciences.py:mri,smoke --workdir=w --config.no=1",
      2,
    ),
  ):
    done = subprocess.run(
      [*python, *f"hinote_jax.{command}".split()],
      cwd=empty,
      env=environment,
      capture_output=True,
      text=True,
    )
    assert done.returncode == code, done.stderr
  assert "unknown config field" in done.stderr
  assert np.load(empty / "b.npy").shape == (15, 19)


class NotebookTest(absltest.TestCase):
  def test_nothing_is_left_to_be_filled_in(self):
    text = json.dumps(read_notebook())
    for word in ("OWNER", "TODO", "FIXME", "<your"):
      self.assertNotIn(word, text)

  def test_notebook_holds_no_outputs(self):
    for cell in read_notebook()["cells"]:
      if cell["cell_type"] == "code":
        self.assertEqual(cell["outputs"], [])
        self.assertIsNone(cell["execution_count"])

  def test_notebook_code_parses(self):
    for cell in read_notebook()["cells"]:
      if cell["cell_type"] == "code":
        lines = "".join(cell["source"]).split("\n")
        # Shell commands and magics are IPython's, not Python's.
        ast.parse("\n".join(x for x in lines if not x.startswith(("!", "%"))))


@pytest.mark.trial
def test_the_notebook_runs_from_top_to_bottom(tmp_path):
  """Its cells as they stand, but for those that install."""
  copy = tmp_path / "copy"
  ignored = shutil.ignore_patterns(".*", "runs", "build", "*.egg-info")
  shutil.copytree(ROOT, copy, ignore=ignored)
  lines = [
    # What IPython knows and Python does not.
    "import subprocess, sys, types",
    "show = types.SimpleNamespace(display=print, IFrame=str, Markdown=str)",
    "show.IFrame = lambda path, **size: pathlib.Path(path).stat()",
    "sys.modules['IPython'] = sys.modules['IPython.display'] = show",
  ]
  for cell in read_notebook()["cells"]:
    text = "".join(cell["source"]) if cell["cell_type"] == "code" else ""
    for line in text.split("\n"):
      if line.startswith("!"):
        line = f"subprocess.run(f{line[1:]!r}, shell=True, check=True)"
      lines.append("" if line.startswith("%pip") else line)
  paths = [os.path.dirname(sys.executable), os.environ["PATH"]]
  done = subprocess.run(
    [sys.executable, "-c", "\n".join(lines)],
    cwd=copy / "notebooks",
    env={**os.environ, "PATH": os.pathsep.join(paths), "PYTHONPATH": str(copy)},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  assert "(167, 333)" in done.stdout
  assert "Warning" not in done.stderr
