"""Predicts how well runs would scale, and what breaks first.

python -m experiments.scaling.predict

A step of `batch` examples a device takes its operations at a share of the
device's rate, and then the gradients are summed by rings, in a node and between
nodes, with nothing overlapped. Nothing of this was run: the operations and the
share are those of `benchmarks/`, parameters are counted, and the rates are what
makers say.
"""

import functools
import json
import pathlib
from typing import NamedTuple

import jax

from benchmarks import case as cases
from hinote_jax import models
from hinote_jax.evaluate import markdown

ROOT = pathlib.Path(__file__).parents[2]
DEVICES = (8, 64, 512, 4096)
_BATCH = 8  # of the measured steps


class Network(NamedTuple):
  """Devices and what lies between them.

  Attributes:
    rate: of a device, operations a second, in bfloat16.
    node: devices that the inner links join.
    inner: bytes a second of a device within a node, one way.
    outer: the same between nodes.
    hop: seconds of a message.
  """

  rate: float
  node: int
  inner: float
  outer: float
  hop: float


NETWORKS = {
  "TPU v5p, ICI 600 GB/s": Network(459e12, 8960, 300e9, 300e9, 1e-6),
  "TPU v4, ICI 300 GB/s": Network(275e12, 4096, 150e9, 150e9, 1e-6),
  "H100, NVLink and InfiniBand NDR": Network(989e12, 8, 450e9, 50e9, 5e-6),
  "H100, NVLink and 100 Gb Ethernet": Network(989e12, 8, 450e9, 1.6e9, 2e-5),
}


def all_reduce(size: float, devices: int, network: Network) -> float:
  """Returns the seconds of a sum of `size` bytes over devices, by two rings."""
  inner = min(devices, network.node)
  outer = -(-devices // inner)
  # Between nodes each device sums the share that it has of its node's sum.
  rings = ((inner, size, network.inner), (outer, size / inner, network.outer))
  return sum(
    2 * (count - 1) * (part / count / speed + network.hop)
    for count, part, speed in rings
  )


def efficiency(
  operations: float,
  parameters: int,
  devices: int,
  network: Network,
  share: float,
) -> float:
  """Returns the part of a step that is not waiting for the sum of gradients.

  Args:
    operations: of a device's examples, forward and backward.
    parameters: of float32 gradients.
    devices: how many there are.
    network: what they are.
    share: of a device's rate that the step takes.
  """
  compute = operations / (share * network.rate)
  return compute / (compute + all_reduce(4 * parameters, devices, network))


@functools.cache
def parameters(name: str) -> int:
  """Returns how many numbers the network of a benchmark trains."""
  case = cases.CASES[name]
  module = models.build(**case.model)
  inputs = cases.inputs_of(case._replace(batch=1), 16, 16)
  shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)
  return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def table() -> str:
  """Returns the predictions as a table."""
  known = json.loads((ROOT / "benchmarks/results.json").read_text())["results"]
  known = {row["case"]: row for row in known}
  rows = []
  for name in ("step S batch 8", "step B batch 8"):
    count, row = parameters(name), known[name]
    for label, network in NETWORKS.items():
      parts = [
        efficiency(row["operations"], count, n, network, row["fraction"])
        for n in DEVICES
      ]
      needed = _BATCH * row["fraction"] * network.rate / row["operations"]
      rows.append(
        [
          name.split()[1],
          label,
          *(f"{part:.0%}" for part in parts),
          f"{needed:,.0f}",
        ]
      )
  head = ["size", "devices", *map(str, DEVICES), "examples/s a device eats"]
  return markdown.table([head, *rows], left=2)


if __name__ == "__main__":
  print(table())
