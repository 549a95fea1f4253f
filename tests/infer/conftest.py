"""A small file of weather that jobs read."""

import pytest

from tests import era5


@pytest.fixture
def source(tmp_path):
  data = era5.dataset(3, 15.0)[["d2m"]].isel(latitude=slice(1, 12))
  return era5.write(tmp_path / "in.nc", data)
