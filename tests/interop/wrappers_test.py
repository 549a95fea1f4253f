"""What training puts around a network, and files that are no checkpoint."""

import gzip
import io
import tarfile

import jax
import ml_dtypes
import numpy as np
import pytest

from hinote_jax import infer, interop
from hinote_jax.interop import checkpoints, torch_writer
from tests import upscale_command
from tests.interop import streams


@pytest.fixture(scope="module")
def network(tmp_path_factory):
  """Returns the tensors of a small network, and its parameters."""
  path = tmp_path_factory.mktemp("net") / "a.pth"
  _, variables, kwargs = upscale_command.network(path, channels=3)
  return interop.to_tensors("liif", kwargs, variables), variables["params"]


def _put(prefix, tensors):
  return {prefix + name: tensor for name, tensor in tensors.items()}


_OTHER = {"0.weight": np.zeros((3, 3), np.float32)}


@pytest.mark.parametrize(
  "prefix",
  ["_orig_mod.", "module.", "net.", "generator.", "model.", "net_g.", "netG."]
  + [
    "module._orig_mod.",
    "_orig_mod.module.",
    "model.net.",
    "ema_model.module.",
  ],
)
def test_names_of_wrappers_are_taken_off(network, prefix):
  tensors, params = network
  beside = {
    "n_averaged": np.array(5),
    **_put("loss.vgg.", _OTHER),
    **_put("criterion.", _OTHER),
    **_put("net_d.", _OTHER),
  }
  for more in ({}, beside):
    found = interop.from_tensors(_put(prefix, tensors) | more)
    assert found.name == "liif"
    jax.tree.map(
      np.testing.assert_array_equal, found.variables["params"], params
    )


def test_what_lies_beside_plain_names_is_left_out(network):
  tensors, _ = network
  interop.from_tensors({"n_averaged": np.array(5)} | tensors)
  with pytest.raises(ValueError, match="head.weight .* no place for it"):
    interop.from_tensors(tensors | {"head.weight": np.zeros(3)})
  with pytest.raises(ValueError, match="of no network known here"):
    interop.from_tensors(_put("net.", tensors) | {"head.weight": np.zeros(3)})


def test_of_an_average_and_what_it_is_of_the_average_is_taken(network):
  tensors, params = network
  others = {name: tensor + 1 for name, tensor in tensors.items()}
  both = _put("net_g.", others) | _put("net_g_ema.", tensors)
  found = interop.from_tensors(both)
  jax.tree.map(np.testing.assert_array_equal, found.variables["params"], params)
  both = _put("net_a.", others) | _put("net_b.", tensors)
  with pytest.raises(ValueError, match=r"2 networks, under net_a\., net_b\."):
    interop.from_tensors(both)


def test_names_without_end_are_no_network():
  deep = {"net." * 2000 + "w": np.zeros(3)}
  with pytest.raises(ValueError, match="of no network known here"):
    checkpoints.from_tensors(deep)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_is_used_as_it_is(network, tmp_path, dtype):
  tensors, params = network
  half = {name: tensor.astype(dtype) for name, tensor in tensors.items()}
  torch_writer.write(tmp_path / "a.pth", half)
  found = infer.load(tmp_path / "a.pth").variables["params"]
  want = jax.tree.map(lambda p: np.asarray(p, dtype).astype(np.float32), params)
  jax.tree.map(np.testing.assert_array_equal, found, want)


@pytest.mark.parametrize("args", ["liif", ["--lr", "1"], 3, {"local": 1}])
def test_arguments_that_are_none_of_a_network_lie_beside(
  network, tmp_path, args
):
  tensors, _ = network
  spec = {"args": args, "cell_decode": True}
  torch_writer.write(tmp_path / "a.pth", tensors, spec=spec, held_in="sd")
  assert interop.load_checkpoint(tmp_path / "a.pth").name == "liif"


def _tar():
  stream = io.BytesIO()
  with tarfile.open(fileobj=stream, mode="w") as archive:
    archive.addfile(tarfile.TarInfo("a.txt"))
  return stream.getvalue()


@pytest.mark.parametrize(
  ("content", "reason"),
  [
    (
      b"version https://git-lfs.github.com/spec/v1\n",
      "is a pointer of Git LFS",
    ),
    (b"\n<!DOCTYPE HTML>\n<p>Sign in", "is a page of HTML and no checkpoint"),
    (b"\x89PNG\r\n\x1a\n", "npz, but like a PNG picture"),
    (b"\x89HDF\r\n\x1a\n", "npz, but like HDF5"),
    (gzip.compress(b"a", mtime=0), "npz, but like a gzip archive"),
    (_tar(), "npz, but like a tar archive"),
  ],
)
def test_other_files_are_called_by_their_kind(tmp_path, content, reason):
  (tmp_path / "a.pth").write_bytes(content)
  streams.refused(tmp_path / "a.pth", reason)
