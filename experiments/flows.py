"""Forced turbulence, ten flows of four fields: what experiments learn alike."""

from configs import common

_FIELDS = dict(size="small", kind="forced", trajectories=10, snapshots=4)
# Made in seconds, to see that everything works.
_SMALL = dict(
  kind="forced", grid=64, reynolds=50.0, trajectories=5, snapshots=2
)


def put(config, *, is_small: bool) -> None:
  """Makes them the fields of a run: one flow to choose by, two to score on."""
  chosen = _SMALL if is_small else _FIELDS
  with config.unlocked():
    config.data = common.data("turbulence2d", ("omega",), seed=0, **chosen)
    config.split = common.split(validation=1, test=1 if is_small else 2, gap=0)
