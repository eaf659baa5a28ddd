"""Raster files read as rasterio reads them, bit for bit; bad files give one clear error."""

import itertools
import os
import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
import tifffile
import xarray
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from scipy.io import netcdf_file

from swath.data.blocks import BlockCache
from swath.data.raster import open_raster
from swath.data.sources import Source
from swath.data.tiff import tiff_blocks
from swath.errors import BandError, GridError, ReadError, SwathError
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands

HEIGHT, WIDTH = 150, 205
PLACE = {"crs": "EPSG:32632", "transform": Affine(10, 0, 600000, 0, -10, 5200000)}


def pixels(dtype, bands=3, seed=0, height=HEIGHT, width=WIDTH):
    rng = np.random.default_rng(seed)
    smooth = rng.normal(size=(bands, height, width)).cumsum(2).cumsum(1)
    span = smooth.max() - smooth.min()
    if np.issubdtype(dtype, np.floating):
        return (smooth / span).astype(dtype)
    info = np.iinfo(dtype)
    scaled = (smooth - smooth.min()) / span * (min(info.max, 60000) - max(info.min, -30000)) + max(info.min, -30000)
    return scaled.astype(dtype)


def write(path, values, mask=None, **profile):
    profile = {"driver": "GTiff", "dtype": values.dtype, **PLACE, **profile}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=profile.pop("internal_mask", True)),
        rasterio.open(
            path, "w", count=values.shape[0], height=values.shape[1], width=values.shape[2], **profile
        ) as file,
    ):
        file.write(values)
        if mask is not None:
            file.write_mask(mask)
    return path


def expected(path, window):
    """What rasterio gives, padded with zeros outside of the raster."""
    with rasterio.open(path) as file:
        whole, mask = file.read(), np.all([file.read_masks(b + 1) != 0 for b in range(file.count)], axis=0)
    inside = window.intersect(Window(0, 0, *whole.shape[1:]))
    values = np.zeros((whole.shape[0], *window.shape), whole.dtype)
    valid = np.zeros(window.shape, bool)
    if not inside.empty:
        here, there = inside.relative_to(window).slices, inside.slices
        values[:, *here], valid[here] = whole[:, *there], mask[there]
    return values, valid


windows = st.builds(
    Window, st.integers(-60, HEIGHT + 10), st.integers(-60, WIDTH + 10), st.integers(0, 180), st.integers(0, 240)
)

LAYOUTS = [
    (dtype, {"compress": compress, "predictor": predictor, "interleave": interleave, **shape})
    for dtype, compress, predictor, interleave, shape in itertools.product(
        ["uint8", "int16", "uint16", "float32", "float64"],
        ["deflate", "zstd", "lzw", None],
        [1, 2, 3],
        ["pixel", "band"],
        [{"tiled": True, "blockxsize": 64, "blockysize": 32}, {"blockysize": 7}],
    )
    if (predictor == 1 or compress) and (predictor != 3 or dtype.startswith("float"))
] + [
    ("uint32", {"compress": "deflate", "predictor": 2}),
    ("int8", {"compress": "zstd", "tiled": True, "blockxsize": 16, "blockysize": 16}),
    ("int32", {"BIGTIFF": "YES", "tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate"}),
]


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layouts")
    return [
        write(folder / f"{n}.tif", pixels(dtype, seed=n), **{k: v for k, v in options.items() if v is not None})
        for n, (dtype, options) in enumerate(LAYOUTS)
    ]


@pytest.mark.parametrize(
    "number", range(len(LAYOUTS)), ids=[f"{d}-{'-'.join(map(str, o.values()))}" for d, o in LAYOUTS]
)
def test_every_layout_is_decoded_without_gdal_to_the_same_bits(layouts, number):
    path = str(layouts[number])
    assert tiff_blocks(path, 0.0) is not None
    source = open_raster(path, cache=BlockCache())
    assert isinstance(source, Source)
    for window in (Window(0, 0, HEIGHT, WIDTH), Window(-5, 100, 70, 200), Window(60, 60, 9, 11)):
        values, valid = source.read(window)
        oracle, inside = expected(path, window)
        assert values.dtype == oracle.dtype
        assert values.tobytes() == oracle.tobytes()
        np.testing.assert_array_equal(valid, inside)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, len(LAYOUTS) - 1), window=windows)
def test_every_window_has_the_same_bits(layouts, number, window):
    values, valid = open_raster(layouts[number]).read(window)
    oracle, inside = expected(layouts[number], window)
    assert values.tobytes() == oracle.tobytes()
    np.testing.assert_array_equal(valid, inside)


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("x.tif", {"compress": "jpeg", "tiled": True, "blockxsize": 64, "blockysize": 64}),
        ("x.tif", {"compress": "jpeg", "photometric": "ycbcr", "interleave": "pixel"}),
        ("x.tif", {"compress": "packbits"}),
        ("x.tif", {"ENDIANNESS": "BIG", "compress": "deflate"}),
        ("x.tif", {"nbits": 5}),
        ("x.png", {"driver": "PNG"}),
    ],
)
def test_what_is_left_to_gdal_has_its_values_too(tmp_path, name, profile):
    values = pixels("uint8") // (9 if "nbits" in profile else 1)
    path = write(tmp_path / name, values, **profile)
    window = Window(-3, 10, 100, 300)
    oracle, inside = expected(path, window)
    read, valid = open_raster(path).read(window)
    np.testing.assert_array_equal(read, oracle)
    np.testing.assert_array_equal(valid, inside)


def test_overviews_and_large_plain_strips(tmp_path):
    values = pixels("uint16", height=1500, width=900)
    path = write(tmp_path / "x.tif", values, blockysize=1500)
    assert tiff_blocks(str(path), 0).segment == (1, 900)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4])
    window = Window(700, 100, 300, 300)
    np.testing.assert_array_equal(open_raster(path).read(window)[0], values[:, *window.slices])


def test_segments_that_were_never_written_are_nodata(tmp_path):
    path = tmp_path / "x.tif"
    options = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "zstd", "SPARSE_OK": True, "nodata": 7}
    with rasterio.open(path, "w", "GTiff", width=128, height=128, count=2, dtype="uint8", **options, **PLACE) as file:
        file.write(np.ones((2, 64, 64), np.uint8), window=((0, 64), (64, 128)))
    assert (tiff_blocks(str(path), 7).counts == 0).any()
    values, valid = open_raster(path).read(Window(0, 0, 128, 128))
    oracle, inside = expected(path, Window(0, 0, 128, 128))
    np.testing.assert_array_equal(values, oracle)
    np.testing.assert_array_equal(valid, inside)
    assert valid.sum() == 64 * 64


@pytest.mark.parametrize("internal", [True, False])
def test_a_mask_band_makes_pixels_invalid(tmp_path, internal):
    mask = np.random.default_rng(1).random((HEIGHT, WIDTH)) > 0.3
    path = write(tmp_path / "x.tif", pixels("uint8"), mask=mask, internal_mask=internal, compress="deflate")
    window = Window(20, -4, 90, 100)
    np.testing.assert_array_equal(open_raster(path).read(window)[1], expected(path, window)[1])


def test_alpha_is_validity_unless_named_as_data(tmp_path):
    values = pixels("uint8", bands=4)
    values[3] = np.where(np.random.default_rng(2).random((HEIGHT, WIDTH)) > 0.5, 255, 0)
    path = write(tmp_path / "x.tif", values)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    source = open_raster(path)
    read, valid = source.read(Window(0, 0, HEIGHT, WIDTH))
    assert source.bands.names == ("b1", "b2", "b3")
    np.testing.assert_array_equal(read, values[:3])
    np.testing.assert_array_equal(valid, values[3] != 0)
    naip = Bands("naip", tuple(Band(n, "dn") for n in ("red", "green", "blue", "nir")))
    read, valid = open_raster(path, bands=naip).read(Window(0, 0, HEIGHT, WIDTH))
    np.testing.assert_array_equal(read, values)
    assert valid.all()


def test_alpha_before_the_data(tmp_path):
    values = pixels("uint8", bands=3)
    path = write(tmp_path / "x.tif", values)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.alpha, ColorInterp.gray, ColorInterp.undefined]
    read, valid = open_raster(path).read(Window(0, 0, HEIGHT, WIDTH))
    np.testing.assert_array_equal(read, values[1:])
    np.testing.assert_array_equal(valid, values[0] != 0)


def test_nodata_of_the_argument_then_of_the_bands_then_of_the_file(tmp_path):
    values = np.array([[[1, 2, 3, 4]], [[1, 2, 3, 4]]], np.int16)
    path = write(tmp_path / "x.tif", values, nodata=1)
    of_bands = Bands("s", (Band("a", "dn", nodata=2), Band("b", "dn")))

    def invalid(**options):
        return [int(v) for v in values[0, 0][~open_raster(path, **options).read(Window(0, 0, 1, 4))[1][0]]]

    assert invalid() == [1]
    assert invalid(bands=of_bands) == [1, 2]
    assert invalid(bands=of_bands, nodata=4) == [4]


@pytest.mark.parametrize("nodata", [float("nan"), -3.4028234663852886e38, -9999.0])
def test_floats_that_are_no_numbers_are_invalid(tmp_path, nodata):
    values = np.array([[[nodata, np.nan, np.inf, -np.inf, 1.5]]], np.float32)
    source = open_raster(write(tmp_path / "x.tif", values, nodata=nodata))
    assert source.read(Window(0, 0, 1, 5))[1].tolist() == [[False] * 4 + [True]]


def test_the_file_describes_its_bands(tmp_path):
    path = write(tmp_path / "x.tif", pixels("int16", bands=2))
    with rasterio.open(path, "r+") as file:
        file.descriptions, file.units = ("red", "nir"), ("reflectance", "reflectance")
        file.scales, file.offsets = (1e-4, 1e-4), (-0.1, -0.1)
    source = open_raster(path)
    assert source.bands.sensor == "custom"
    assert source.bands.names == ("red", "nir")
    assert source.bands[1] == Band("nir", "reflectance", scale=1e-4, offset=-0.1)
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("same", "Same")
    assert open_raster(path).bands.names == ("b1", "b2")


def test_grids_and_what_cannot_be_one(tmp_path):
    values = pixels("uint8", bands=1)
    assert open_raster(write(tmp_path / "a.tif", values)).grid.crs.epsg == 32632
    bare = write(tmp_path / "b.tif", values, crs=None)
    assert open_raster(bare).grid.crs is None
    assert open_raster(bare, crs="EPSG:3035").grid.crs.epsg == 3035
    picture = tmp_path / "c.png"
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        write(picture, values, driver="PNG", crs=None, transform=None)
    assert open_raster(picture).grid.crs is None
    with pytest.raises(GridError, match="no geotransform"):
        open_raster(picture, crs=3035)
    with pytest.raises(GridError, match="unknown"):
        open_raster(bare, crs="EPSG:999999")
    assert open_raster(tmp_path / "a.tif", crs="none").grid.crs is None
    for number, affine in enumerate([Affine(10, 3, 0, 3, -10, 0), Affine(10, 0, 0, 0, 10, 0)]):
        path = write(tmp_path / f"turned{number}.tif", values, transform=affine)
        with pytest.raises(GridError, match=r"not north-up.*gdalwarp"):
            open_raster(path)


def test_the_wrong_number_of_bands_names_both_sides(tmp_path):
    path = write(tmp_path / "x.tif", pixels("uint8", bands=2))
    with pytest.raises(BandError, match=r"got 2 bands; expected 3: a, b, c"):
        open_raster(path, bands=Bands("s", tuple(Band(n, "dn") for n in "abc")))


def test_files_that_are_no_rasters(tmp_path):
    (tmp_path / "text.tif").write_text("hello")
    (tmp_path / "empty.tif").write_bytes(b"")
    for name, problem in [
        ("absent.tif", "does not exist"),
        ("text.tif", "cannot be read"),
        ("empty.tif", "cannot be read"),
        ("nul\0.tif", "cannot be read"),
        ("x" * 5000, "does not exist"),
        (".", "cannot be read"),
    ]:
        with pytest.raises(ReadError, match=problem):
            open_raster(tmp_path / name if name != "nul\0.tif" else name)
    with pytest.raises(ReadError, match="complex"):
        open_raster(write(tmp_path / "c.tif", np.ones((1, 4, 4), np.complex64)))


def test_a_container_without_bands_names_what_is_inside(tmp_path):
    with netcdf_file(tmp_path / "x.nc", "w") as file:
        file.createDimension("y", 4)
        file.createDimension("x", 5)
        for name in ("wind", "rain"):
            file.createVariable(name, "f4", ("y", "x"))[:] = 1
    with pytest.raises(ReadError, match=r"no bands of its own.*wind"):
        open_raster(tmp_path / "x.nc")


@pytest.mark.parametrize("keep", [0.001, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("compress", ["deflate", "jpeg"])
def test_truncated_files(tmp_path, keep, compress):
    path = write(tmp_path / "x.tif", pixels("uint8"), compress=compress, tiled=True, blockxsize=64, blockysize=64)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ReadError, match=r"x\.tif"):
        open_raster(path).read(Window(0, 0, HEIGHT, WIDTH))


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("compress", ["deflate", "lzw", "jpeg"])
def test_a_corrupt_tile_is_named_and_the_rest_is_read(tmp_path, compress, interleave):
    options = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": compress, "interleave": interleave}
    path = write(tmp_path / "x.tif", pixels("uint8"), **options)
    with tifffile.TiffFile(path) as tiff:
        per_plane, across = 3 * 4, 4
        offset = tiff.pages.first.dataoffsets[(per_plane if interleave == "band" else 0) + across + 1]
    data = bytearray(path.read_bytes())
    data[offset : offset + 60] = b"\xff" * 60
    path.write_bytes(data)
    source = open_raster(path)
    with pytest.raises(ReadError, match=r"x\.tif is damaged") as caught:
        source.read(Window(0, 0, HEIGHT, WIDTH))
    if compress != "jpeg":
        assert "rows 64 to 127, columns 64 to 127 (block 1, 1)" in str(caught.value)
        assert ("band 2" if interleave == "band" else "all bands") in str(caught.value)
        np.testing.assert_array_equal(source.read(Window(0, 0, 64, WIDTH))[0], pixels("uint8")[:, :64])


@pytest.mark.parametrize("driver", ["GTiff", "PNG"])
def test_a_file_that_changes_under_a_run(tmp_path, driver):
    path = write(tmp_path / "x", pixels("uint8", height=600), driver=driver)
    source = open_raster(path, cache=BlockCache(0))
    source.read(Window(0, 0, 10, 10))
    status = os.stat(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    with pytest.raises(ReadError, match="has changed"):
        source.read(Window(0, 0, 10, 10))
    path.unlink()
    with pytest.raises(SwathError):
        source.read(Window(400, 0, 10, 10))


def test_sources_travel_to_other_processes(tmp_path):
    path = write(tmp_path / "x.tif", pixels("uint8"))
    bands = Bands("s", tuple(Band(n, "dn", nodata=3) for n in "abc"))
    source = open_raster(path, bands=bands, crs=3035)
    twin = pickle.loads(pickle.dumps(source))
    assert (twin.grid, twin.bands, twin.name) == (source.grid, source.bands, source.name)
    for one, other in zip(source.read(Window(1, 2, 30, 40)), twin.read(Window(1, 2, 30, 40)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("compress", ["deflate", "jpeg"])
def test_many_threads_read_the_same(tmp_path, compress):
    path = write(tmp_path / "x.tif", pixels("uint8"), compress=compress, tiled=True, blockxsize=64, blockysize=64)
    source = open_raster(path, cache=BlockCache(100_000))
    rng = np.random.default_rng(0)
    asked = [Window(int(r), int(c), 50, 60) for r, c in rng.integers(-30, 160, (200, 2))]
    with rasterio.open(path) as file:
        padded = np.pad(file.read(), ((0, 0), (100, 100), (100, 100)))
    with ThreadPoolExecutor(8) as pool:
        for window, (values, _) in zip(asked, pool.map(source.read, asked), strict=True):
            np.testing.assert_array_equal(values, padded[:, *window.shift(100, 100).slices])


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.filterwarnings("ignore::rasterio.errors.NodataShadowWarning")
def test_real_files_are_read_as_rasterio_reads_them(data_folder):
    folders = {path.parent: path for path in sorted(data_folder.rglob("*.[tT][iI][fF]"))}
    read, refused = 0, []
    for path in folders.values():
        try:
            source = open_raster(path, cache=BlockCache(10**8))
        except (GridError, ReadError) as error:
            refused.append(str(error))
            continue
        (height, width), read = source.grid.shape, read + 1
        window = Window(height // 3, width // 3, min(150, height // 2), min(170, width // 2))
        there = rasterio.windows.Window(window.col, window.row, window.width, window.height)
        with rasterio.open(path) as file:
            oracle, valid = file.read(window=there), np.all(file.read_masks(window=there), axis=0)
            kept = [i for i, kind in enumerate(file.colorinterp) if kind != ColorInterp.alpha or file.count == 1]
        values, inside = source.read(window)
        assert values.tobytes() == oracle[kept].tobytes(), path
        np.testing.assert_array_equal(inside, valid & np.isfinite(values).all(0), err_msg=str(path))
    assert read > 20
    assert all(re.search("north-up|complex", message) for message in refused)


def test_a_netcdf_without_georeference_keeps_the_order_of_its_rows(tmp_path):
    values = np.arange(12.0, dtype="f4").reshape(4, 3)
    xarray.Dataset({"swath": (("along", "across"), values)}).to_netcdf(tmp_path / "granule.nc", engine="h5netcdf")
    source = open_raster(f'NETCDF:"{tmp_path / "granule.nc"}":swath')
    found, valid = source.read(Window(1, 0, 3, 3))
    assert np.array_equal(found[0], values[1:])
    assert valid.all()
