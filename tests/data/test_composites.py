"""Composites against numpy's nanmedian and cases by hand."""

from datetime import UTC, datetime

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from swath.data import composites
from swath.data.composites import MedianComposite, in_season, of_season
from swath.data.scenes import Scene
from swath.data.sources import ArraySource
from swath.errors import BandError, ConfigError, DataError
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands

_GRID = GeoBox((30, 40), Affine(10, 0, 500_000, 0, -10, 3_000_000), "EPSG:32646")
_BANDS = Bands("nicfi", tuple(Band(n, "reflectance", scale=1e-4, nodata=0) for n in ("red", "nir")))


def _source(values, grid=_GRID, bands=_BANDS):
    return ArraySource(np.asarray(values, np.uint16), bands, grid)


def _dates(count, rng):
    values = rng.integers(1, 10_000, (count, 2, 30, 40))
    unseen = rng.random((count, 1, 30, 40)) < 0.4
    return np.where(unseen, 0, values)


@pytest.mark.filterwarnings("ignore:All-NaN slice")
@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_the_median_is_numpy_s_over_what_was_seen(count, monkeypatch):
    dates = _dates(count, np.random.default_rng(count))
    expected = np.nanmedian(np.where(dates == 0, np.nan, dates * 1e-4), axis=0)
    composite = MedianComposite([_source(d) for d in dates])
    window = Window(3, 5, 20, 30)
    for budget in (1 << 28, 4000):  # whole, and in strips
        monkeypatch.setattr(composites, "_BUDGET", budget)
        values, valid = composite.read(window)
        here = expected[:, 3:23, 5:35]
        np.testing.assert_array_equal(valid, np.isfinite(here[0]))
        np.testing.assert_allclose(values[:, valid], here[:, valid], rtol=1e-5)
        assert not values[:, ~valid].any()


def test_outside_and_rarely_seen_pixels_are_invalid():
    dates = _dates(4, np.random.default_rng(0))
    composite = MedianComposite([_source(d) for d in dates], minimum=3)
    _, valid = composite.read(Window(0, 0, 30, 40))
    np.testing.assert_array_equal(valid, (dates[:, 0] > 0).sum(0) >= 3)
    assert not composite.read(Window(-5, 0, 5, 40))[1].any()


def test_bands_are_physical_and_named_by_season():
    composite = MedianComposite([_source(np.full((2, 30, 40), 2500))], names=("red_before", "nir_before"))
    assert composite.bands.names == ("red_before", "nir_before")
    assert composite.bands[0].scale == 1
    assert composite.bands.units == ("reflectance",) * 2
    assert composite.read(Window(0, 0, 1, 1))[0].ravel() == pytest.approx([0.25, 0.25])


def test_dates_on_shifted_grids_are_laid_over_each_other():
    shifted = GeoBox((30, 40), _GRID.affine @ Affine.translation(2, 1), _GRID.crs)
    ramp = np.arange(40)[None, None, :] * 100 + np.arange(30)[None, :, None] + 1 + np.zeros((2, 1, 1))
    moved = ramp + 201  # what the same ground holds on the shifted grid
    composite = MedianComposite([_source(ramp), _source(moved, shifted)])
    values, valid = composite.read(Window(5, 5, 10, 10))
    assert valid.all()
    np.testing.assert_allclose(values, ramp[:, 5:15, 5:15] * 1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("month", "first", "last", "expected"),
    [(3, 3, 5, True), (5, 3, 5, True), (6, 3, 5, False), (12, 11, 2, True), (2, 11, 2, True), (3, 11, 2, False)],
)
def test_seasons(month, first, last, expected):
    assert in_season(datetime(2021, month, 15, tzinfo=UTC), first, last) is expected


def test_scenes_are_chosen_by_season_and_year():
    source = _source(np.ones((2, 30, 40)))
    times = [datetime(y, m, 1, tzinfo=UTC) for y, m in ((2020, 12), (2021, 1), (2021, 4), (2021, 12))]
    scenes = [Scene(f"{t:%Y-%m}", {"image": source}, time=t) for t in times]
    assert [s.id for s in of_season(scenes, 3, 5)] == ["2021-04"]
    assert [s.id for s in of_season(scenes, 11, 2, year=2020)] == ["2020-12", "2021-01"]
    with pytest.raises(DataError, match="No scene is of the season"):
        of_season(scenes, 7, 9)
    with pytest.raises(DataError, match="without a time"):
        of_season([Scene("a", {"image": source})], 7, 9)


def test_what_does_not_fit_is_refused():
    source = _source(np.ones((2, 30, 40)))
    with pytest.raises(DataError, match="no dates"):
        MedianComposite([])
    with pytest.raises(ConfigError, match="valid dates"):
        MedianComposite([source], minimum=0)
    with pytest.raises(BandError, match="named otherwise"):
        MedianComposite([source], names=("a",))
    with pytest.raises(BandError, match="another unit"):
        MedianComposite([source, _source(np.ones((2, 30, 40)), bands=_BANDS.with_storage(unit="dn"))])
    with pytest.raises(BandError, match="other bands"):
        MedianComposite([source, _source(np.ones((2, 30, 40)), bands=_BANDS.select(["nir", "red"]))])
    with pytest.raises(ConfigError, match="1 to 12"):
        in_season(datetime(2021, 1, 1, tzinfo=UTC), 0, 3)
