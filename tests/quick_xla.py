"""XLA's flags for tests: as many CPU devices as asked for, quickly compiled.

Most of a cold run is XLA, and tiny programs gain nothing by its best: the
simplest code, one module a program, takes a fifth of the time to compile.
"""

from importlib import metadata

_QUICK = {
  "xla_backend_optimization_level": "0",
  "xla_cpu_parallel_codegen_split_count": "1",
}
# XLA ends the process for a flag that it does not know any more.
if metadata.version("jaxlib").startswith("0.10."):
  _QUICK["xla_cpu_use_fusion_emitters"] = "false"


def flags(devices: int, given: str = "") -> str:
  """Returns a value of XLA_FLAGS; what is `given` there already stays."""
  wanted = {"xla_force_host_platform_device_count": str(devices), **_QUICK}
  added = [f"--{k}={v}" for k, v in wanted.items() if k not in given]
  return " ".join([*given.split(), *added])
