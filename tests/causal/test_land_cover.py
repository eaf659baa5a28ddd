"""Shares of land around places, and slopes of effects on them."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform

from swath.causal.land_cover import explain, land_cover_shares
from swath.data.raster import open_raster
from swath.errors import ConfigError, DataError


@pytest.fixture
def cover(tmp_path):
    """West of a line class 1, east of it class 7."""
    path = tmp_path / "cover.tif"
    values = np.where(np.arange(100) < 50, 1, 7).astype(np.uint8)[None].repeat(100, 0)
    profile = {"driver": "GTiff", "width": 100, "height": 100, "count": 1, "dtype": "uint8", "crs": "EPSG:32636"}
    with rasterio.open(path, "w", **profile, transform=Affine(10, 0, 4e5, 0, -10, 3e5)) as raster:
        raster.write(values, 1)
    return open_raster(path)


def test_shares_by_hand(cover):
    lon, lat = (np.array(v) for v in transform("EPSG:32636", "EPSG:4326", [400300, 400500, 400600], [299500] * 3))
    shares = land_cover_shares(cover, lon, lat, 400)
    assert shares.columns.tolist() == [1, 7]
    np.testing.assert_allclose(shares[7], [0, 0.5, 0.75], atol=0.02)


def test_what_is_no_map_of_classes_is_refused(cover):
    with pytest.raises(DataError, match="shows nothing"):
        land_cover_shares(cover, np.array([10.0]), np.array([2.0]), 400)
    with pytest.raises(DataError, match="needs places"):
        land_cover_shares(cover, np.array([np.nan]), np.array([2.0]), 400)
    with pytest.raises(ConfigError, match="needs an edge"):
        land_cover_shares(cover, np.array([33.0]), np.array([2.0]), 0)


def test_slopes_are_those_of_the_effect(cover):
    import pandas as pd

    random = np.random.default_rng(0)
    share = random.random(300)
    shares = pd.DataFrame({1: 1 - share, 7: share})
    found = explain(2 + 3 * share + random.normal(0, 0.5, 300), shares, np.arange(300))
    assert found.names == ("7",)
    assert found.slopes[0] == pytest.approx(3, abs=0.3)
    assert found.errors[0] == pytest.approx(0.5 / np.sqrt(300 / 12), rel=0.15)
    assert found.plain()[0]["p"] < 1e-6
    with pytest.raises(DataError, match="one class"):
        explain(share, shares[[1]], np.arange(300))
