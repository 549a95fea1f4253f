"""One case of a network's published PyTorch code: prints JSON.

    python benchmarks/pytorch.py CODE NAME LOWRES QUERIES BATCH [step]

Of an environment with PyTorch and what the authors import (OpenCV, Matplotlib),
not with this package. CODE has their repositories, as they are, in folders
named as in `NETWORKS`. Networks are built at their published sizes; a step is
theirs too: L1, Adam.
"""

from collections.abc import Callable
import json
import pathlib
import resource
import statistics
import sys
import time
import types
from typing import Any, NamedTuple

import torch

_EDSR = {"name": "edsr-baseline", "args": {"no_upsampling": True}}


def _mlp(layers: int) -> dict[str, Any]:
  return {"name": "mlp", "args": {"out_dim": 3, "hidden_list": [256] * layers}}


def _registered(name: str, **arguments: Any) -> torch.nn.Module:
  """Returns a network of the registry that LIIF's code brought."""
  import models

  spec = {"name": name, "args": {"encoder_spec": _EDSR, **arguments}}
  return models.make(spec)


def _hat(**arguments: Any) -> torch.nn.Module:
  # Of BasicSR the file takes a registry and two functions.
  registry = types.ModuleType("basicsr.utils.registry")
  registry.ARCH_REGISTRY = types.SimpleNamespace(register=lambda: lambda c: c)
  util = types.ModuleType("basicsr.archs.arch_util")
  util.to_2tuple = lambda x: x if isinstance(x, tuple) else (x, x)
  util.trunc_normal_ = torch.nn.init.trunc_normal_
  for name in ("basicsr", "basicsr.utils", "basicsr.archs"):
    sys.modules[name] = types.ModuleType(name)
  sys.modules[registry.__name__] = registry
  sys.modules[util.__name__] = util
  from hat.archs.hat_arch import HAT

  shared = dict(
    upscale=4,
    img_size=64,
    window_size=16,
    conv_scale=0.01,
    overlap_ratio=0.5,
    depths=(6,) * 6,
    num_heads=(6,) * 6,
    mlp_ratio=2,
    upsampler="pixelshuffle",
    resi_connection="1conv",
  )
  return HAT(**shared, **arguments)


def _swinir() -> torch.nn.Module:
  from models.network_swinir import SwinIR

  return SwinIR(
    upscale=4,
    img_size=64,
    window_size=8,
    depths=[6] * 6,
    embed_dim=180,
    num_heads=[6] * 6,
    mlp_ratio=2,
    upsampler="pixelshuffle",
    resi_connection="1conv",
  )


def _hinote() -> torch.nn.Module:
  from models.HiNOTE import HiNOTE_net

  return HiNOTE_net(attention_width=256, attention_head=16)


def _points(n: int, batch: int) -> torch.Tensor:
  """Returns the centres of n x n cells, [b n n 2], rows first."""
  ends = (torch.arange(n) + 0.5) * 2 / n - 1
  y, x = torch.meshgrid(ends, ends, indexing="ij")
  return torch.stack([y, x], -1).expand(batch, n, n, 2).contiguous()


def _grid(queries: int, batch: int) -> list[torch.Tensor]:
  return [_points(queries, batch), torch.full((batch, 2), 2 / queries)]


def _flat(queries: int, batch: int) -> list[torch.Tensor]:
  points = _points(queries, batch).reshape(batch, -1, 2)
  return [points, torch.full_like(points, 2 / queries)]


def _none(queries: int, batch: int) -> list[torch.Tensor]:
  return []


class Network(NamedTuple):
  """How a published network is built and asked.

  Attributes:
    folder: of its repository.
    build: returns it.
    points: (queries, batch) -> what it takes beside the field.
    channels: of the field.
  """

  folder: str
  build: Callable[[], torch.nn.Module]
  points: Callable[[int, int], list[torch.Tensor]]
  channels: int = 3


NETWORKS = {
  "hinote_official": Network("hinote", _hinote, _grid, 1),
  "srno": Network(
    "srno", lambda: _registered("sronet", width=256, blocks=16), _grid
  ),
  "liif": Network(
    "liif", lambda: _registered("liif", imnet_spec=_mlp(4)), _flat
  ),
  "lte": Network(
    "lte",
    lambda: _registered("lte", imnet_spec=_mlp(3), hidden_dim=256),
    _flat,
  ),
  "metasr": Network("liif", lambda: _registered("metasr"), _flat),
  "hat": Network(
    "hat",
    lambda: _hat(embed_dim=180, compress_ratio=3, squeeze_factor=30),
    _none,
  ),
  "hat S": Network(
    "hat",
    lambda: _hat(embed_dim=144, compress_ratio=24, squeeze_factor=24),
    _none,
  ),
  "swinir": Network("swinir", _swinir, _none),
}


def _call(
  name: str, lowres: int, queries: int, batch: int, is_step: bool
) -> Callable[[], Any]:
  """Returns what runs the network once, or takes a step."""
  network = NETWORKS[name]
  torch.manual_seed(0)
  module = network.build()
  inputs = [torch.randn(batch, network.channels, lowres, lowres)]
  inputs += network.points(queries, batch)
  if not is_step:
    module.eval()

    def forward():
      with torch.inference_mode():
        return module(*inputs)

    return forward
  with torch.no_grad():
    target = torch.zeros_like(module(*inputs))
  optimizer = torch.optim.Adam(module.parameters(), lr=1e-4)

  def step():
    optimizer.zero_grad()
    torch.nn.functional.l1_loss(module(*inputs), target).backward()
    optimizer.step()

  return step


def _seconds(call: Callable[[], Any]) -> float:
  begun = time.perf_counter()
  call()
  return time.perf_counter() - begun


def main() -> None:
  """Measures the case."""
  code, name, lowres, queries, batch, *kind = sys.argv[1:]
  sys.path.insert(0, str(pathlib.Path(code) / NETWORKS[name].folder))
  # The published code moves tensors to a GPU by name.
  torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore
  sizes = int(lowres), int(queries), int(batch)
  call = _call(name, *sizes, is_step=kind == ["step"])
  call()
  result = {
    "case": name,
    "seconds": statistics.median(_seconds(call) for _ in range(7)),
    "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
  }
  print(json.dumps(result))


if __name__ == "__main__":
  main()
