"""A source on another grid: exact where the answer is known, close to GDAL's where it is not."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from swath.data.raster import open_raster
from swath.data.sources import ArraySource, Source
from swath.data.warped import WarpedSource
from swath.errors import GridError
from swath.geo.grids import pixel_grid
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands

UTM33 = GeoBox((300, 300), Affine(10, 0, 300000, 0, -10, 5200000), "EPSG:32633")
# About the same ground in the neighbouring zone, where it lies turned by some degrees.
UTM32 = GeoBox((200, 200), Affine(10, 0, 757400, 0, -10, 5201800), "EPSG:32632")


def one_band(dtype="float32"):
    return Bands("s", (Band("b", "dn"),)), np.dtype(dtype)


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic"])
def test_warped_pixels_are_those_of_gdal(tmp_path, resampling):
    rng = np.random.default_rng(0)
    rows, cols = np.mgrid[:300, :300]
    waves = 2000 + 900 * np.sin(rows / 17 + 1) * np.cos(cols / 23) + rng.integers(0, 2, (300, 300))
    path = tmp_path / "x.tif"
    with rasterio.open(
        path,
        "w",
        "GTiff",
        300,
        300,
        1,
        UTM33.crs.to_wkt(),
        UTM33.affine,
        "uint16",
        tiled=True,
        blockxsize=64,
        blockysize=64,
    ) as file:
        file.write(waves.astype(np.uint16), 1)
    source = WarpedSource(open_raster(path), UTM32, resampling, tolerance=0.01)
    assert isinstance(source, Source)
    window = Window(30, 40, 120, 100)
    values, valid = source.read(window)
    # GDAL guesses the scale from bounding boxes, which a turn makes larger; its kernels would widen.
    options = {"crs": "EPSG:32632", "transform": UTM32.affine, "width": 200, "height": 200, "tolerance": 1e-3}
    options |= {"XSCALE": 1, "YSCALE": 1}
    with rasterio.open(path) as file, WarpedVRT(file, resampling=Resampling[resampling], **options) as oracle:
        expected = oracle.read(1, window=rasterio.windows.Window(40, 30, 100, 120))
    assert valid.all()
    difference = np.abs(values[0].astype(int) - expected.astype(int))
    if resampling == "nearest":
        assert (difference == 0).mean() > 0.98
    else:
        # Both may be off by 0.01 pixels of at most 60 DN each, and round.
        assert difference.max() <= 2


@settings(deadline=None, max_examples=30)
@given(row=st.integers(-250, 250), col=st.integers(-250, 250), height=st.integers(1, 60), width=st.integers(1, 60))
def test_a_window_is_a_cut_of_the_whole(row, col, height, width):
    rows, cols = np.mgrid[:300, :300].astype(np.float32)
    bands, _ = one_band()
    source = WarpedSource(ArraySource((3 * rows + cols)[None], bands, UTM33), UTM32, "bilinear", tolerance=1e-3)
    values, valid = source.read(Window(-260, -260, 720, 720))
    cut = (slice(row + 260, row + 260 + height), slice(col + 260, col + 260 + width))
    part, inside = source.read(Window(row, col, height, width))
    # Positions of the two reads agree to twice the tolerance; one pixel is at most four units.
    both = inside & valid[cut]
    np.testing.assert_allclose(part[0][both], values[0][cut][both], atol=8e-3)
    assert (inside != valid[cut]).mean() < 0.05


def test_a_picture_cannot_be_warped():
    bands, dtype = one_band()
    picture = ArraySource(np.zeros((1, 4, 4), dtype), bands, pixel_grid(4, 4), name="picture.png")
    with pytest.raises(GridError, match=r"picture\.png has no coordinate reference system"):
        WarpedSource(picture, UTM32)
    with pytest.raises(GridError, match="warped to has no coordinate"):
        WarpedSource(ArraySource(np.zeros((1, 300, 300), dtype), bands, UTM33), pixel_grid(4, 4))


def test_what_lies_beyond_its_own_grid_is_invalid() -> None:
    """The source goes on where the grid that was asked for has ended."""
    grid = GeoBox((8, 8), Affine(10, 0, 500_000, 0, -10, 5_000_000), "EPSG:32633")
    part = GeoBox((4, 4), grid.affine, grid.crs)
    source = ArraySource(np.ones((1, 8, 8), np.uint8), Bands("custom", (Band("a", "1"),)), grid)
    values, valid = WarpedSource(source, part, "nearest").read(Window(2, 2, 4, 4))
    assert valid.sum() == values.sum() == 4
    assert valid[:2, :2].all()
