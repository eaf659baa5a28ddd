"""Series: right pixels at right dates whatever the grid, CRS, order and length; bad series are refused by name."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

import tiny
from swath.data.raster import open_raster
from swath.data.scenes import Collection, Scene
from swath.data.selection import select_layers
from swath.data.series import Frame, Series, SeriesInput, View
from swath.data.sources import ArraySource
from swath.errors import BandError, ConfigError, DataError, GridError, ReadError
from swath.geo.grids import pixel_grid, window_grid
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands

BANDS = Bands("s", (Band("red", "reflectance", scale=1e-4, offset=-0.1, nodata=0), Band("nir", "reflectance", 800)))
LINEAR = Bands("s", (Band("east", "m"), Band("north", "m")))


def day(number: int) -> datetime:
    return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(number)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three GeoTIFFs of 40 x 50 pixels with some nodata, and their grid."""
    folder, grid = tmp_path_factory.mktemp("frames"), tiny.grid(40, 50)
    rng = np.random.default_rng(0)
    return grid, [
        tiny.write_raster(folder / f"{n}.tif", rng.integers(0, 20, (2, 40, 50)).astype(np.uint16), grid)
        for n in range(3)
    ]


@settings(deadline=None, max_examples=30)
@given(row=st.integers(-9, 45), col=st.integers(-9, 55), height=st.integers(1, 20), width=st.integers(1, 20))
def test_on_its_own_pixels_it_reads_what_rasterio_reads(files, row, col, height, width):
    grid, paths = files
    series = Series(tuple(Frame(day(9 - n), open_raster(path, bands=BANDS)) for n, path in enumerate(paths)))
    values, valid = series.read(window_grid(grid, Window(row, col, height, width)))
    assert values.shape == (3, 2, height, width)
    for number, path in enumerate(reversed(paths)):  # the last file is of the earliest day
        with rasterio.open(path) as file:
            window = rasterio.windows.Window(col, row, width, height)
            stored = file.read(window=window, boundless=True, fill_value=0)
        seen = stored[0] != 0
        np.testing.assert_array_equal(valid[number], seen)
        np.testing.assert_allclose(values[number, 0], np.where(seen, stored[0] * 1e-4 - 0.1, 0), atol=1e-7)
        np.testing.assert_array_equal(values[number, 1], np.where(seen, stored[1], 0))


def linear(crs: str, middle: tuple[float, float], pixel: float, size: int = 120) -> ArraySource:
    """East and north in UTM 32 of every pixel of a grid in `crs` around `middle` (of UTM 32)."""
    x, y = pyproj.Transformer.from_crs(tiny.UTM32, crs, always_xy=True).transform(*middle)
    grid = GeoBox((size, size), Affine(pixel, 0, x - pixel * size / 2, 0, -pixel, y + pixel * size / 2), crs)
    cols, rows = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    east, north = pyproj.Transformer.from_crs(crs, tiny.UTM32, always_xy=True).transform(*(grid.affine @ (cols, rows)))
    return ArraySource(np.stack([east - middle[0], north - middle[1]]).astype(np.float32), LINEAR, grid)


@pytest.mark.parametrize("view", [None, View(10, 32), View(25, 11)])
def test_frames_of_several_crs_show_the_same_ground(view):
    middle = (690_003.0, 5_200_007.0)
    frames = [
        linear(tiny.UTM32, middle, 10.0), linear(tiny.UTM33, middle, 10.0), linear(tiny.WGS84, middle, 1e-4),
    ]  # fmt: skip
    series = Series(tuple(Frame(day(n), source) for n, source in enumerate(frames)), view)
    patch = GeoBox((48, 48), Affine(2, 0, middle[0] - 48, 0, -2, middle[1] + 48), tiny.UTM32)
    values, valid = series.read(patch)
    assert valid.all()
    pixel, size = (2, 48) if view is None else (view.resolution, view.size)
    offset = (np.arange(size) + 0.5 - size / 2) * pixel
    for found in values:
        np.testing.assert_allclose(found[0], np.broadcast_to(offset, (size, size)), atol=1.5)
        np.testing.assert_allclose(found[1], np.broadcast_to(-offset[:, None], (size, size)), atol=1.5)


def test_a_view_has_metres_in_degrees_too():
    patch = GeoBox((10, 20), Affine(1e-5, 0, 11.0, 0, -1e-5, 60.0), "EPSG:4326")
    grid = View(10, 100).around(patch)
    middle = (11.0 + 1e-4, 60.0 - 5e-5)
    west, north = grid.affine @ (0, 0)
    east, south = grid.affine @ (100, 100)
    assert ((west + east) / 2, (south + north) / 2) == pytest.approx(middle, abs=1e-9)
    geod = pyproj.Geod(ellps="WGS84")
    assert geod.inv(west, middle[1], east, middle[1])[2] == pytest.approx(1000, rel=0.01)
    assert geod.inv(middle[0], south, middle[0], north)[2] == pytest.approx(1000, rel=0.01)


def test_pictures_are_viewed_in_the_unit_of_their_grid():
    """A picture of 8 pixels, and frames of 6 pixels, 4 units each, with the same middle."""
    values = np.arange(36, dtype=np.float32).reshape(1, 6, 6)
    coarse = GeoBox((6, 6), Affine(4, 0, 4 - 12, 0, -4, -4 + 12), None)
    frame = Frame(day(0), ArraySource(values, Bands("s", (Band("a", "1"),)), coarse))
    found, valid = Series((frame,), View(4, 4)).read(pixel_grid(8, 8))
    np.testing.assert_array_equal(found[0, 0], values[0, 1:5, 1:5])
    assert valid.all()


def test_dates_are_days_in_utc_in_order_of_time():
    grid = pixel_grid(2, 2)
    source = ArraySource(np.ones((2, 2, 2), np.uint16), BANDS, grid)
    east = timezone(timedelta(hours=9))
    times = [datetime(1970, 1, 3), datetime(1970, 1, 2, 8, tzinfo=east), datetime(1970, 1, 1, 23, 30, tzinfo=UTC)]
    series = Series(tuple(Frame(time, source) for time in times))
    assert series.dates.tolist() == [0, 0, 2]
    assert [frame.time.hour for frame in series.frames] == [8, 23, 0]  # 8:00 in Tokyo is 23:00 of the day before
    assert len(series) == 3


class Broken(ArraySource):
    def read(self, window):
        raise ReadError("no such block")


def test_damaged_frames_raise_or_are_invalid():
    grid, values = pixel_grid(4, 4), np.ones((2, 4, 4), np.uint16)
    frames = (Frame(day(0), Broken(values, BANDS, grid)), Frame(day(1), ArraySource(values, BANDS, grid)))
    with pytest.raises(ReadError):
        Series(frames).read(grid)
    assert Series(frames).read(grid, "skip")[1].any((1, 2)).tolist() == [False, True]


def test_series_that_make_no_sense_are_refused():
    grid = pixel_grid(2, 2)
    good = ArraySource(np.ones((2, 2, 2), np.uint16), BANDS, grid)
    other = ArraySource(np.ones((1, 2, 2), np.uint16), BANDS.select(["red"]), grid)
    with pytest.raises(DataError, match="without frames"):
        Series(())
    with pytest.raises(BandError, match="other bands"):
        Series((Frame(day(0), good), Frame(day(1), other)))
    with pytest.raises(ConfigError):
        View(0, 4)
    with pytest.raises(GridError):
        Series((Frame(day(0), good),)).read(tiny.grid(2, 2))
    with pytest.raises(DataError, match="neither layers nor series"):
        Scene("a", {})
    with pytest.raises(DataError, match="same name"):
        Scene("a", {"x": good}, series={"x": Series((Frame(day(0), good),))})


def test_scenes_share_their_series_and_networks_select_from_them():
    grid = pixel_grid(4, 4)
    source = ArraySource(np.stack([np.full((4, 4), 1), np.full((4, 4), 2)]).astype(np.uint16), BANDS, grid)
    series = Series((Frame(day(0), source), Frame(day(5), source)))
    scene = Scene("a", {"image": source}, series={"s2": series})
    assert Collection((scene,)).series == {"s2": SeriesInput(BANDS, None)}
    with pytest.raises(DataError, match="different series"):
        Collection((scene, Scene("b", {"image": source}))).series  # noqa: B018
    wanted = {"monthly": SeriesInput(BANDS.select(["nir"]), View(1, 2))}  # a single series may have any name
    chosen = select_layers(scene, {"image": BANDS}, wanted)
    values, _ = chosen.series["monthly"].read(grid)
    assert values.shape == (2, 1, 2, 2)
    assert (values == 2).all()
    assert not select_layers(scene, {"image": BANDS}).series
    with pytest.raises(DataError, match="lacks a series"):
        select_layers(scene, {"image": BANDS}, {"a": wanted["monthly"], "b": wanted["monthly"]})


def test_a_scene_of_a_series_only_has_the_grid_of_its_first_date():
    sources = [ArraySource(np.ones((2, n, n), np.uint16), BANDS, pixel_grid(n, n)) for n in (4, 8)]
    scene = Scene("a", {}, series={"s": Series((Frame(day(3), sources[0]), Frame(day(1), sources[1])))})
    assert scene.grid.shape == (8, 8)
    assert scene.inputs == {"s": ["array", "array"]}
