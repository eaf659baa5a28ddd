"""Cubes of ENVI, EMIT and one GeoTIFF a band, as their publishers write them, and damaged or mislabelled ones."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from gas_cubes import write_envi
from swath.data.cubes import open_cube
from swath.errors import BandError, ReadError
from swath.geo.windows import Window, whole

NM = np.linspace(2100.0, 2480.0, 12)


@pytest.fixture
def radiance() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 2, (12, 9, 7)).astype(np.float32)


def everything(cube) -> np.ndarray:
    return cube.read(whole(cube.grid.shape))[0]


def test_envi_gives_radiance_in_si_units(tmp_path, radiance):
    cube = open_cube(write_envi(tmp_path / "a.img", radiance, NM, fwhm=7.5))
    np.testing.assert_array_equal(everything(cube), radiance)
    np.testing.assert_allclose(cube.bands.decode(everything(cube)), radiance * 10, rtol=1e-6)
    assert [band.wavelength for band in cube.bands] == pytest.approx(NM, abs=1e-3)
    assert {band.fwhm for band in cube.bands} == {7.5}
    assert str(cube.grid.crs) == "EPSG:32613"


@pytest.mark.parametrize("name", ["a.img", "a.hdr"])
def test_a_cube_is_named_by_its_data_or_its_header(tmp_path, radiance, name):
    write_envi(tmp_path / "a.img", radiance, NM)
    np.testing.assert_array_equal(everything(open_cube(tmp_path / name)), radiance)


def test_si_units_are_taken_as_they_are(tmp_path, radiance):
    cube = open_cube(write_envi(tmp_path / "a.img", radiance, NM, "data units = W m-2 sr-1 um-1\n"))
    np.testing.assert_allclose(cube.bands.decode(everything(cube)), radiance, rtol=1e-6)


def test_descending_wavelengths_are_turned(tmp_path, radiance):
    cube = open_cube(write_envi(tmp_path / "a.img", radiance[::-1], NM[::-1]))
    np.testing.assert_array_equal(everything(cube), radiance)
    assert [band.wavelength for band in cube.bands] == sorted(band.wavelength for band in cube.bands)


def test_micrometres_become_nanometres(tmp_path, radiance):
    cube = open_cube(write_envi(tmp_path / "a.img", radiance, NM / 1000, "wavelength units = Micrometers\n"))
    assert cube.bands[-1].wavelength == pytest.approx(2480, abs=0.1)


def test_bands_that_the_header_calls_bad_are_left_out(tmp_path, radiance):
    flags = ", ".join("0" if i in (3, 4) else "1" for i in range(12))
    cube = open_cube(write_envi(tmp_path / "a.img", radiance, NM, f"bbl = {{{flags}}}\n"))
    np.testing.assert_array_equal(everything(cube), np.delete(radiance, [3, 4], 0))


def test_picked_bands_and_windows_beyond_the_edge(tmp_path, radiance):
    radiance[:, 2, 3] = -9999
    radiance[:, 4, 4] = 0
    cube = open_cube(write_envi(tmp_path / "a.img", radiance, NM)).pick([5, 2])
    values, valid = cube.read(Window(-1, -1, 11, 9))
    np.testing.assert_array_equal(values[:, 1:-1, 1:-1], radiance[[5, 2]])
    assert not valid[0].any()
    assert not valid[3, 4]
    assert not valid[5, 5]
    assert valid.sum() == 9 * 7 - 2


@pytest.mark.parametrize(
    ("nm", "header", "factor", "message"),
    [
        (NM[:0], "", 1, "no wavelengths"),
        (NM / 1000, "wavelength units = Nanometers\n", 1, "not in nanometres"),
        (NM, "data units = reflectance\n", 1, "holds reflectance"),
        (NM, "data units = furlongs\n", 1, "unknown unit"),
        (NM, "", 1000, "cannot be radiance"),
        (np.full(12, 2200.0), "", 1, "do not rise"),
    ],
)
def test_unusable_headers_and_units_are_refused(tmp_path, radiance, nm, header, factor, message):
    with pytest.raises(BandError, match=message):
        open_cube(write_envi(tmp_path / "a.img", radiance * factor, nm, header))


def test_missing_and_truncated_cubes_are_refused(tmp_path, radiance):
    with pytest.raises(ReadError, match="does not exist"):
        open_cube(tmp_path / "none.img")
    path = write_envi(tmp_path / "a.img", radiance, NM)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ReadError):
        everything(open_cube(path))


def test_a_folder_of_bands(tmp_path, radiance):
    for nm, plane in zip(NM.astype(int), radiance, strict=True):
        with rasterio.open(
            tmp_path / f"TOA_AVIRIS_{nm}nm.tif", "w", driver="GTiff", height=9, width=7, count=1, dtype="float32",
            crs="EPSG:32613", transform=rasterio.Affine(5, 0, 0, 0, -5, 0),
        ) as file:  # fmt: skip
            file.write(plane, 1)
    cube = open_cube(tmp_path)
    np.testing.assert_array_equal(everything(cube.pick([11, 0])), radiance[[11, 0]])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadError, match="holds no cube"):
        open_cube(tmp_path / "empty")


def write_emit(path, radiance: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["radiance"] = np.moveaxis(radiance, 0, -1)
        file["radiance"].attrs["_FillValue"] = np.float32(-9999)
        file["sensor_band_parameters/wavelengths"] = NM
        file["sensor_band_parameters/fwhm"] = np.full(12, 8.5)
        file["location/glt_x"], file["location/glt_y"] = cols, rows
        file.attrs["geotransform"] = np.array([10.0, 0.001, 0.0, 45.0, 0.0, -0.001])
        file.attrs["spatial_ref"] = "EPSG:4326"


def test_emit_is_read_in_the_sensor_geometry_and_projected(tmp_path, radiance):
    """A look-up table that turns the granule by a quarter, with one pixel that nothing fills."""
    cols, rows = np.meshgrid(np.arange(7), np.arange(9), indexing="ij")
    rows, cols = rows + 1, cols + 1
    rows[0, 0] = cols[0, 0] = 0
    write_emit(tmp_path / "EMIT_L1B_RAD.nc", radiance, rows, cols)
    cube = open_cube(tmp_path / "EMIT_L1B_RAD.nc")
    assert cube.grid.crs is None
    np.testing.assert_array_equal(everything(cube.pick([4, 1])), radiance[[4, 1]])
    projected = cube.lookup.project(radiance[0], np.nan)
    assert np.isnan(projected[0, 0])
    np.testing.assert_array_equal(projected.ravel()[1:], radiance[0].T.ravel()[1:])
    assert cube.lookup.grid.affine.e == pytest.approx(-0.001)


def test_another_netcdf_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "other.nc", "w") as file:
        file["temperature"] = np.zeros(3)
    with pytest.raises(ReadError, match="no EMIT radiance"):
        open_cube(tmp_path / "other.nc")
    (tmp_path / "broken.nc").write_bytes(b"CDF?")
    with pytest.raises(ReadError, match="no EMIT radiance"):
        open_cube(tmp_path / "broken.nc")
