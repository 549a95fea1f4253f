import json
import re
import subprocess

import numpy as np

from configs import hinote
from experiments import readme


def test_every_table_is_what_its_script_prints():
  text = readme.README.read_text()
  assert readme.filled(text) == text, "run python -m experiments.readme"


def test_pictures_and_files_that_are_linked_exist():
  text = readme.README.read_text()
  links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
  assert links
  for link in links:
    assert (readme.README.parent / link).exists(), link


def test_python_example_runs(tmp_path, monkeypatch):
  text = readme.README.read_text()
  (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.S)
  code = code.replace('infer.load("runs/demo")', 'infer.load("bicubic")')
  monkeypatch.chdir(tmp_path)
  np.save("coarse.npy", np.ones((10, 12, 3), np.float32))
  scope = {}
  exec(code, scope)
  np.testing.assert_allclose(scope["fine"], 1.0, atol=1e-5)
  assert scope["fine"].shape == (37, 44, 3)
  assert scope["highres"].shape == (1, 77, 90, 1)


def test_commands_name_configs_that_exist():
  text = readme.README.read_text()
  named = re.findall(r"configs/hinote\.py:(\w+)", text)
  assert named and set(named) <= set(hinote.RUNS)


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
