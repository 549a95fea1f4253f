from hinote_jax.train import loop, metric_log, run_data
from tests import runs


def test_a_run_at_scales_drawn_a_batch(tmp_path):
  path = runs.write_fields(tmp_path / "fields.npy")
  config = runs.tiny_config(path, tmp_path / "cache")
  config.windows = dict(
    scales=(2, 4),
    window=(2, 2),
    queries=(8, 8),
    min_scale=2.0,
    max_scale=4.0,
  )
  config.update(steps=4, validate_every=4)
  loop.train(config, tmp_path / "run")
  windows = run_data.make(config, tmp_path / "run").train
  sides = {windows.batch(step, [0])["lowres"].shape[1] for step in range(4)}
  assert sides == {2, 4}
  taken = [
    line["step"] for line in metric_log.read(tmp_path / "run") if "loss" in line
  ]
  assert taken == [1, 2, 3, 4]
