"""The predictions on paper: closed forms and limits."""

import pytest

from experiments.scaling import predict

_ONE = predict.Network(rate=1e12, node=8, inner=100e9, outer=10e9, hop=0.0)


def test_a_ring_passes_twice_what_others_have():
  assert predict.all_reduce(1e9, 1, _ONE) == 0
  # Each of 8 sends 7/8 of it twice, at 100 GB/s.
  assert predict.all_reduce(1e9, 8, _ONE) == pytest.approx(2 * 7 / 8 / 100)


def test_rings_between_nodes_share_what_a_node_has_summed():
  # A device has an eighth then, and its own link of 10 GB/s to 3 others.
  between = 2 * 3 / 4 * 1e9 / 8 / 10e9
  inner = predict.all_reduce(1e9, 8, _ONE)
  got = predict.all_reduce(1e9, 32, _ONE)
  assert got == pytest.approx(inner + between)


def test_efficiency_falls_with_devices_and_rises_with_work():
  few, many = (predict.efficiency(1e12, 10**7, n, _ONE, 0.5) for n in (8, 512))
  more = predict.efficiency(1e13, 10**7, 512, _ONE, 0.5)
  assert 1 > few > many > 0 and more > many
  assert predict.efficiency(1e12, 10**7, 1, _ONE, 0.5) == 1
