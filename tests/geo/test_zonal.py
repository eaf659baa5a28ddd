import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from geo.grid_cases import Held, north_up
from swath.errors import ConfigError, DataError, GridError
from swath.geo import zonal
from swath.geo.grids import pixel_grid
from swath.geo.zonal import STATISTICS, numbered_statistics, zonal_statistics

GRID = north_up("EPSG:32633", 400_000, 5_600_000, 10.0, 300, 400)


def rectangles(*spans, crs=32633):
    """Zones that cover the pixels of `(row, row stop, col, col stop)`."""
    boxes = [shapely.box(4e5 + 10 * c, 5.6e6 - 10 * r1, 4e5 + 10 * c1, 5.6e6 - 10 * r) for r, r1, c, c1 in spans]
    return gpd.GeoDataFrame(geometry=boxes, crs=crs)


def discs(count=40, seed=0):
    rng = np.random.default_rng(seed)
    points = gpd.GeoSeries(shapely.points(4e5 + rng.random(count) * 4000, 5.6e6 - rng.random(count) * 3000), crs=32633)
    return gpd.GeoDataFrame(geometry=points.buffer(20 + rng.random(count) * 600))


def raster(seed=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 50, (300, 400)).astype(np.uint8), rng.random((300, 400)) > 0.1


def test_overlapping_zones_are_those_of_rasterstats():
    zonal_stats = pytest.importorskip("rasterstats").zonal_stats
    values, valid = raster()
    zones = discs()
    got = zonal_statistics(values, zones, grid=GRID, valid=valid)
    held = np.where(valid, values.astype(float), np.nan)
    true = pd.DataFrame(zonal_stats(zones, held, affine=GRID.affine, stats=list(STATISTICS), nodata=np.nan))
    # of equally frequent values, rasterstats takes any
    for name in set(STATISTICS) - {"majority"}:
        np.testing.assert_allclose(got[name], true[name].astype(float), rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("block", [400, 5000, 1 << 22])
def test_rectangles_by_hand(block, monkeypatch):
    monkeypatch.setattr(zonal, "_BLOCK", block)
    values = np.arange(300 * 400, dtype=np.float64).reshape(300, 400) // 7
    spans = [(0, 50, 0, 60), (20, 90, 30, 400), (299, 300, 399, 400), (20, 90, 30, 400)]
    zones = rectangles(*spans)
    zones.index = ["a", "b", "c", "d"]
    got = zonal_statistics(Held(values[None], GRID), zones)
    assert list(got.index) == list(zones.index)
    assert list(got.columns) == list(STATISTICS)
    for (_, row), (r, r1, c, c1) in zip(got.iterrows(), spans, strict=True):
        part = values[r:r1, c:c1]
        found, counts = np.unique(part, return_counts=True)
        true = [part.mean(), part.std(), part.min(), part.max(), part.sum(), part.size, np.median(part)]
        np.testing.assert_allclose(row, [*true, found[counts.argmax()]], rtol=1e-12)


def test_the_deviation_of_large_numbers_is_not_lost():
    values = 1e9 + np.random.default_rng(0).random((300, 400))
    got = zonal_statistics(values, rectangles((0, 300, 0, 400)), ["std"], grid=GRID)
    assert got["std"].item() == pytest.approx(values.std(), rel=1e-6)


def test_bands_zones_without_pixels_and_another_crs():
    values = np.stack(raster())
    zones = rectangles((10, 20, 10, 20), (1000, 1010, 0, 10)).to_crs(4326)
    got = zonal_statistics(values.astype(np.float32), zones, ["mean", "count", "majority"], grid=GRID)
    assert list(got.columns) == ["b1_mean", "b1_count", "b1_majority", "b2_mean", "b2_count", "b2_majority"]
    assert got["b1_mean"].iloc[0] == pytest.approx(values[0, 10:20, 10:20].mean())
    assert got["b1_count"].tolist() == [100, 0]
    assert got[["b1_mean", "b2_majority"]].iloc[1].isna().all()


def test_exact_shares_are_those_of_areas_and_of_exactextract():
    exactextract = pytest.importorskip("exactextract")
    values, valid = raster()
    zones = discs(12)
    got = zonal_statistics(Held(values[None], GRID, valid), zones, exact=True)
    inside = zones.intersection(shapely.box(4e5, 5.6e6 - 3000, 4e5 + 4000, 5.6e6))
    every = zonal_statistics(values, zones, ["count"], grid=GRID, exact=True)
    np.testing.assert_allclose(every["count"], inside.area / 100, rtol=1e-6)
    plane = exactextract.raster.NumPyRasterSource(
        np.where(valid, values.astype(float), np.nan), 4e5, 5.6e6 - 3000, 4e5 + 4000, 5.6e6, srs_wkt=zones.crs.to_wkt()
    )
    true = exactextract.exact_extract(plane, zones, ["mean", "stdev", "min", "max", "sum", "count"], output="pandas")
    for name, theirs in (("mean", "mean"), ("std", "stdev"), ("min", "min"), ("sum", "sum"), ("count", "count")):
        np.testing.assert_allclose(got[name], true[theirs], rtol=1e-9)


def test_exact_and_burnt_agree_on_whole_pixels():
    pytest.importorskip("exactextract")
    values, valid = raster()
    zones = rectangles((0, 50, 0, 60), (20, 90, 30, 400), (500, 510, 0, 5))
    names = ["mean", "std", "min", "max", "sum", "count"]
    burnt, exact = (zonal_statistics(values, zones, names, grid=GRID, valid=valid, exact=e) for e in (False, True))
    np.testing.assert_allclose(burnt.to_numpy(float), exact.to_numpy(float), rtol=1e-9)


def test_bad_input_gets_one_clear_error():
    values, _ = raster()
    with pytest.raises(ConfigError, match="variance"):
        zonal_statistics(values, discs(2), ["variance"], grid=GRID)
    with pytest.raises(DataError, match="polygons"):
        zonal_statistics(values, discs(2).set_geometry(discs(2).centroid), grid=GRID)
    with pytest.raises(GridError, match="grid"):
        zonal_statistics(values, discs(2))
    with pytest.raises(GridError, match="CRS"):
        zonal_statistics(values, discs(2), grid=pixel_grid(300, 400))


def test_zones_that_a_raster_numbers_are_those_of_numpy():
    rng = np.random.default_rng(0)
    values, numbers = rng.normal(size=(2, 30, 40)), rng.integers(-1, 6, (30, 40))
    valid = rng.random((30, 40)) > 0.2
    valid[numbers == 5] = False
    found = numbered_statistics(values, numbers, ("mean", "std", "median", "count"), valid)
    assert found.index.tolist() == [1, 2, 3, 4, 5]
    for zone in range(1, 5):
        inside = values[:, (numbers == zone) & valid]
        for band in (0, 1):
            row = found.loc[zone, [f"b{band + 1}_{name}" for name in ("mean", "std", "median", "count")]]
            expected = [inside[band].mean(), inside[band].std(), np.median(inside[band]), inside.shape[1]]
            np.testing.assert_allclose(row, expected)
    assert found.loc[5, "b1_count"] == 0
    assert np.isnan(found.loc[5, "b1_mean"])
    with pytest.raises(GridError, match="size"):
        numbered_statistics(values, numbers[1:])
    with pytest.raises(ConfigError, match="statistic"):
        numbered_statistics(values, numbers, ("mode",))
