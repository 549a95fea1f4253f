"""A network is trained, tabulated, and its tables are trained on."""

import jax
import numpy as np
import pytest

from hinote_jax import infer, interop, shipped
from hinote_jax.infer import tabulating
from hinote_jax.interop import reader
from hinote_jax.train import loop
from tests import runs, upscale_command

_SMALL = dict(name="im_lut", interpolators="NL", width=4, depth=1, refiner="S")


def test_a_run_becomes_a_file_that_a_run_begins_with(tmp_path):
  fields = runs.write_fields(tmp_path / "fields.npy")
  config = runs.tiny_config(fields, tmp_path / "cache")
  config.model = _SMALL
  runs.train_lightly(config, tmp_path / "net")
  network = infer.load(tmp_path / "net")
  lowres = np.load(fields)[-1][::2, ::2]
  ((low, high),) = network.module.limits
  known = network.normaliser
  np.testing.assert_allclose(
    known.denormalise(np.float64([[low], [high]]))[:, 0],
    [*known.minimum, *known.maximum],
  )
  assert tabulating.main([str(tmp_path / "net"), str(tmp_path / "t.npz")]) == 0
  table = interop.load_checkpoint(tmp_path / "t.npz")
  assert table.kwargs["is_table"] and "limits" not in table.kwargs
  near = infer.load(tmp_path / "t.npz")(lowres, shape=(30, 31))
  want = network(lowres, shape=(30, 31))
  assert np.abs(near - want).mean() < 0.1 * want.std()

  config = runs.tiny_config(fields, tmp_path / "cache")
  config.model = {**_SMALL, "is_table": True}
  config.start = str(tmp_path / "t.npz")
  config.optim.learning_rate = 1e-9
  loop.train(config, tmp_path / "table")
  begun = infer.load(tmp_path / "table").variables["params"]
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
    dict(begun),
    table.variables["params"],
  )
  config.model = {**_SMALL, "is_table": True, "interpolators": "NLC"}
  with pytest.raises(ValueError, match="config.start: .*: make the model that"):
    loop.train(config, tmp_path / "other")


def test_what_is_no_run_is_one_line(tmp_path, capsys):
  assert tabulating.main([str(tmp_path / "no"), str(tmp_path / "t.npz")]) == 2
  assert "no" in capsys.readouterr().err


def test_shipped_tables_are_small_free_and_found_by_name(tmp_path):
  paths = [shipped.resolved(name) for name in shipped.tables()]
  assert 0 < sum(path.stat().st_size for path in paths) < 3e6
  for path in paths:
    provenance = reader.read(path).spec["provenance"]
    assert "CC0" in provenance or "CC BY 4.0" in provenance, path
  # A ramp of grey stays nearly one, at the scale that the table is of.
  ramp = np.tile(np.arange(60, 200, 10, dtype=np.uint8), (6, 1))
  np.save(tmp_path / "in.npy", ramp[..., None])
  asked = (tmp_path / "in.npy", tmp_path / "out.npy", "--checkpoint")
  assert upscale_command.run(*asked, "sr-lut-photo-x4") == 0
  fine = np.float32(np.load(tmp_path / "out.npy"))[..., 0]
  assert fine.shape == (24, 56)
  want = 60 + 10 * ((np.arange(56) + 0.5) / 4 - 0.5)
  assert np.abs(fine - want)[:, 8:-8].mean() < 3
