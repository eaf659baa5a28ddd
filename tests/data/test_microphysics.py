"""A granule of MODIS bands as a picture, window by window."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from swath.data.microphysics import DayMicrophysics
from swath.data.raster import open_raster
from swath.data.sources import ArraySource
from swath.errors import BandError, DataError
from swath.geo.grids import pixel_grid
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands
from swath.sensors.catalogue import resolve, sensor
from swath.sensors.microphysics import day_microphysics

BANDS = sensor("modis_day_microphysics")
AT = from_origin(500_000, 0, 1000, 1000)
SUN = Bands("sun", (Band("zenith", "degree"),))


def granule(shape=(20, 30)):
    generator = np.random.default_rng(0)
    return np.stack([generator.uniform(*ends, shape) for ends in ((0, 90), (0, 25), (230, 305))]).astype(np.float32)


def test_a_window_of_a_file_is_a_window_of_the_picture(tmp_path):
    values = granule()
    values[0, 5, 5] = np.nan
    with rasterio.open(tmp_path / "g.tif", "w", "GTiff", 30, 20, 3, dtype="float32", transform=AT) as file:
        file.write(values)
    source = DayMicrophysics(open_raster(tmp_path / "g.tif", bands=BANDS, crs="none"))
    picture, valid = source.read(Window(2, 3, 10, 40))
    whole, known = day_microphysics(*values)
    assert source.bands == resolve("rgb")
    assert np.array_equal(picture[:, :, :27], whole[:, 2:12, 3:])
    assert np.array_equal(valid[:, :27], known[2:12, 3:])
    assert not valid[:, 27:].any()
    assert not valid[3, 2]


def test_bands_in_another_order_and_the_zenith():
    values, grid = granule(), pixel_grid(20, 30)
    turned = ArraySource(values[::-1], BANDS.select(("B31", "B20", "B1")), grid)
    zenith = np.broadcast_to(np.linspace(60, 119, 30), (1, 20, 30)).astype(np.float32)
    picture, valid = DayMicrophysics(turned, ArraySource(zenith, SUN, grid)).read(Window(0, 0, 20, 30))
    assert np.array_equal(valid, zenith[0] < 90)
    assert np.array_equal(picture[:, valid], day_microphysics(*values)[0][:, valid])


def test_what_is_no_such_granule_is_refused():
    grid = pixel_grid(20, 30)
    with pytest.raises(BandError, match="another sensor"):
        DayMicrophysics(ArraySource(granule(), resolve("rgb"), grid))
    with pytest.raises(DataError, match="does not tell the zenith"):
        DayMicrophysics(
            ArraySource(granule(), BANDS, grid), ArraySource(np.zeros((1, 20, 29)), SUN, pixel_grid(20, 29))
        )
