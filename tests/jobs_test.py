"""The job files: their syntax, and that their flags are those there are."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from hinote_jax import main

ROOT = pathlib.Path(__file__).parents[1]
JOBS = ROOT / "experiments" / "jobs"
_SHELL = sorted([*JOBS.glob("*.sh"), *JOBS.glob("*.sbatch")])


@pytest.mark.parametrize("path", _SHELL, ids=lambda path: path.name)
@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not here")
def test_shell_reads_it(path):
  done = subprocess.run(
    ["bash", "-n", path], capture_output=True, text=True, check=False
  )
  assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
  "path", [p for p in JOBS.iterdir() if p.suffix != ".md"], ids=str
)
def test_flags_are_those_of_the_command(path):
  known = {"config", "workdir", "mode", "distributed", "wait"}
  assert known <= set(main.flags.FLAGS)
  text = path.read_text(encoding="utf-8")
  text = text[text.index("hinote_jax.main") :]
  given = set(re.findall(r"--([a-z_]+)(?:=|\b(?![.-]))", text))
  allowed = known | {"config.batch_size"}
  assert {name for name in given if name in main.flags.FLAGS} <= allowed
  assert "config" in given and "workdir" in given


def test_kubernetes_has_a_service_and_an_indexed_job():
  text = (JOBS / "kubernetes.yaml").read_text(encoding="utf-8")
  service, job = yaml.safe_load_all(text)
  assert (service["kind"], job["kind"]) == ("Service", "Job")
  spec = job["spec"]
  assert spec["completionMode"] == "Indexed"
  assert spec["completions"] == spec["parallelism"] == 4
  (container,) = spec["template"]["spec"]["containers"]
  environment = {entry["name"]: entry for entry in container["env"]}
  assert environment["JAX_NUM_PROCESSES"]["value"] == str(spec["completions"])
  address = environment["JAX_COORDINATOR_ADDRESS"]["value"]
  name, domain = job["metadata"]["name"], spec["template"]["spec"]["subdomain"]
  assert address == f"{name}-0.{domain}:8476"
  assert service["metadata"]["name"] == domain
  ignored, failed = spec["podFailurePolicy"]["rules"]
  assert ignored["onExitCodes"]["values"] == [75, 137, 143]
  assert failed["onExitCodes"]["values"] == [2]


def test_slurm_asks_for_a_task_a_gpu_and_a_signal_before_the_end():
  text = (JOBS / "several_nodes.sbatch").read_text(encoding="utf-8")
  asked = dict(re.findall(r"^#SBATCH --([\w-]+)=?(\S*)$", text, flags=re.M))
  assert asked["gpus-per-task"] == "1"
  assert asked["signal"].startswith("TERM@")
  assert "requeue" in asked


def test_colab_is_a_notebook():
  text = (JOBS / "README.md").read_text(encoding="utf-8")
  path = JOBS / re.search(r"\]\((\S+\.ipynb)\)", text)[1]
  assert json.loads(path.read_text(encoding="utf-8"))["cells"]
