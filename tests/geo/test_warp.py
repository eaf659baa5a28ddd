from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from geo.grid_cases import Held, centres, field, lon_lat, north_up
from swath.geo import warp as warping
from swath.geo.positions import pixel_map
from swath.geo.warp import source_window, warp
from swath.geo.windows import Window


def globe(size=0.5):
    """The test field on the whole globe."""
    grid = north_up("EPSG:4326", -180, 90, size, int(180 / size), int(360 / size))
    return Held(field(*lon_lat(grid))[None], grid)


def strip():
    """The test field from 170 to 190 degrees."""
    grid = north_up("EPSG:4326", 170, 20, 0.1, 300, 200)
    return Held(field(*centres(grid))[None], grid)


@pytest.mark.parametrize("source", [globe, strip])
@pytest.mark.parametrize("crs", ["EPSG:32601", "EPSG:32660"])
@pytest.mark.parametrize("resampling", ["bilinear", "cubic"])
def test_utm_across_the_antimeridian_from_longitudes(source, crs, resampling):
    x = 80_000 if crs == "EPSG:32601" else 700_000
    to = north_up(crs, x, 1_000_000, 2000.0, 128, 128)
    lon, lat = lon_lat(to)
    assert lon.min() < -179.5
    assert lon.max() > 179.5
    got, valid = warp(source(), to, resampling)
    assert valid.all()
    np.testing.assert_allclose(got[0], field(lon, lat), atol=1)


def test_longitudes_across_the_antimeridian_from_utm():
    grid = north_up("EPSG:32601", 80_000, 1_000_000, 2000.0, 160, 160)
    to = north_up("EPSG:4326", 179.4, 8, 0.02, 50, 100)
    got, valid = warp(Held(field(*lon_lat(grid))[None], grid), to)
    assert valid.all()
    np.testing.assert_allclose(got[0], field(*centres(to)), atol=1)


@pytest.mark.parametrize("crs", ["EPSG:3995", "EPSG:3031"])
@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic"])
def test_the_pole_from_longitudes(crs, resampling):
    to = north_up(crs, -1_000_000, 1_000_000, 10_000.0, 200, 200)
    got, valid = warp(globe(), to, resampling)
    assert valid.all()
    # inside the first row only its own pixels count: half a pixel (28 km) makes up to 5
    np.testing.assert_allclose(got[0], field(*lon_lat(to)), atol=10 if resampling == "nearest" else 5)


@pytest.mark.parametrize("crs", ["EPSG:3995", "EPSG:3031"])
def test_longitudes_to_the_pole_from_a_polar_grid(crs):
    grid = north_up(crs, -3_000_000, 3_000_000, 10_000.0, 600, 600)
    sign = 1 if crs == "EPSG:3995" else -1
    to = north_up("EPSG:4326", -180, 90 if sign > 0 else -80, 0.25, 40, 1440)
    got, valid = warp(Held(field(*lon_lat(grid))[None], grid), to)
    assert valid.all()
    np.testing.assert_allclose(got[0], field(*centres(to)), atol=1)


def test_a_window_across_the_seam_of_the_same_grid_reads_both_sides():
    source = globe(1.0)
    to = north_up("EPSG:4326", 175, 10, 1.0, 5, 10)
    got, valid = warp(source, to, "nearest")
    assert valid.all()
    np.testing.assert_allclose(got[0], field(*centres(to)), rtol=1e-6)
    assert sum(w.width for w in source.windows) == 10


def test_only_what_is_needed_is_read():
    source = globe()
    to = north_up("EPSG:32633", 400_000, 5_000_000, 10_000.0, 20, 20)
    warp(source, to)
    (window,) = source.windows
    lon, lat = lon_lat(to)
    rows, cols = (90 - lat) / 0.5, (lon + 180) / 0.5
    assert window.contains(Window(int(rows.min()), int(cols.min()), 1, 1))
    assert window.height <= np.ptp(rows) + 5
    assert window.width <= np.ptp(cols) + 5


def test_apart_grids_read_nothing_and_give_nothing():
    source = strip()
    got, valid = warp(source, north_up("EPSG:32633", 400_000, 5_000_000, 10.0, 8, 8))
    assert got.shape == (1, 8, 8)
    assert not valid.any()
    assert not any(w.height * w.width for w in source.windows)


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "average"])
def test_the_window_holds_all_that_resampling_needs(resampling):
    rng = np.random.default_rng(0)
    grid = north_up("EPSG:32632", 712_000, 5_300_000, 10.0, 300, 300)
    source = Held(rng.random((2, 300, 300)), grid)
    to = north_up("EPSG:32633", 264_000, 5_298_000, 23.0, 40, 50)
    whole_source = warping.resample(source.values, source.valid, pixel_map(to, grid), resampling)
    got = warp(source, to, resampling)
    assert got[1].any()
    for a, b in zip(got, whole_source, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_large_reads_are_cut_into_parts(monkeypatch):
    source = globe()
    to = north_up("EPSG:3857", -5e6, 5e6, 1e6, 10, 10)
    once = warp(source, to, "average")
    source.windows.clear()
    monkeypatch.setattr(warping, "_MOST_PIXELS", 2000)
    parts = warp(source, to, "average")
    assert len(source.windows) > 4
    assert max(w.height * w.width for w in source.windows) <= 2000
    np.testing.assert_array_equal(once[1], parts[1])
    # the box of each part has the part's own median size
    np.testing.assert_allclose(once[0], parts[0], atol=10)


def test_threads_agree():
    source = globe()
    grids = [north_up("EPSG:32633", 300_000 + 1000 * i, 5_000_000, 3000.0, 64, 64) for i in range(24)]
    alone = [warp(source, grid)[0] for grid in grids]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda grid: warp(source, grid)[0], grids))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


def test_source_window_of_an_undefined_map_is_empty():
    to = north_up("EPSG:4326", -180, 100, 1.0, 5, 5)
    positions = pixel_map(to, north_up("EPSG:3995", -1e6, 1e6, 1e4, 200, 200))
    assert source_window(positions, (200, 200), "bilinear").empty
