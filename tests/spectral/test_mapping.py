"""Maps of whole cubes: tiles and columns against the reference, bad pixels, and memory."""

from __future__ import annotations

import numpy as np
import pytest

from gas_cubes import TinyCube, tiny_cube, write_envi, write_table
from swath.data.cubes import open_cube
from swath.errors import BandError, ConfigError, DataError
from swath.spectral import filters
from swath.spectral.mapping import Mapper
from swath.spectral.ratio import band_ratio


@pytest.fixture(scope="module")
def tiny() -> TinyCube:
    return tiny_cube(120, 90, 40)


@pytest.fixture
def opened(tiny, tmp_path):
    """The cube as a file, changed by a function, and a mapper of it."""

    def make(change=lambda radiance: radiance, **options):
        radiance = change(tiny.radiance.astype(np.float32))
        cube = open_cube(write_envi(tmp_path / "cube.img", radiance, tiny.wavelengths))
        table = write_table(tmp_path / "gas.csv", tiny)
        return cube, Mapper(**{"absorption": table, "count": None, "strategy": "even", **options})

    return make


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def test_tiles_are_filtered_one_by_one(tiny, opened):
    cube, mapper = opened(filter="mag1c", tile=60)
    found = mapper.map(cube)
    part = tiny.radiance.astype(np.float32)[:, 60:, :45].reshape(40, -1)
    expected = filters.mag1c(part, mapper.chosen(cube)[1]).reshape(60, 45)
    assert relative(found[60:, :45], expected) < 1e-6


def test_columns_are_filtered_one_by_one(tiny, opened):
    cube, mapper = opened(filter="mag1c_columns", columns=2)
    part = tiny.radiance.astype(np.float32)[:, :, 66:68].reshape(40, -1)
    expected = filters.mag1c(part, mapper.chosen(cube)[1]).reshape(120, 2)
    assert relative(mapper.map(cube)[:, 66:68], expected) < 1e-6


@pytest.mark.parametrize("name", ["mag1c_sas", "mag1c", "mag1c_columns", "matched_filter", "ace", "cem"])
def test_every_filter_beats_the_band_ratio(tiny, opened, name):
    cube, mapper = opened(filter=name, columns=4)
    truth = tiny.column.ravel()
    found = np.corrcoef(mapper.map(cube).ravel(), truth)[0, 1]
    assert found > np.corrcoef(band_ratio(cube, mapper.absorption).ravel(), truth)[0, 1] + 0.2


def spoil(value: float, rows: slice, cols: slice):
    def change(radiance: np.ndarray) -> np.ndarray:
        radiance[:, rows, cols] = value
        return radiance

    return change


@pytest.mark.parametrize("name", ["mag1c", "mag1c_columns"])
@pytest.mark.parametrize(
    "change",
    [
        spoil(0, slice(None), slice(7, 9)),  # dead
        spoil(1.5, slice(None), slice(7, 9)),  # stuck
        spoil(6.5, slice(20, 90), slice(7, 9)),  # saturated
        spoil(np.nan, slice(20, 90), slice(7, 9)),
        spoil(-9999, slice(20, 90), slice(7, 9)),
    ],
)
def test_bad_columns_are_no_data_and_harm_no_others(opened, name, change):
    cube, mapper = opened(filter=name, columns=10)
    clean = mapper.map(cube)
    spoiled = mapper.map(opened(change)[0])
    assert np.isnan(spoiled[20:90, 7:9]).all()
    kept = np.ones(clean.shape, bool)
    kept[:, 7:9] = False
    assert np.isfinite(spoiled[kept]).all()
    assert np.corrcoef(spoiled[kept], clean[kept])[0, 1] > 0.97


def test_cem_ignores_in_which_unit_the_file_is(tiny, tmp_path):
    table = write_table(tmp_path / "gas.csv", tiny)
    mapper = Mapper("cem", table, None, "even")
    micro = open_cube(write_envi(tmp_path / "a.img", tiny.radiance, tiny.wavelengths))
    header = "data units = W m-2 sr-1 um-1\n"
    plain = open_cube(write_envi(tmp_path / "b.img", tiny.radiance * 10, tiny.wavelengths, header))
    assert relative(mapper.map(micro), mapper.map(plain)) < 1e-4


def test_a_cube_without_enough_pixels_is_refused(opened):
    cube, mapper = opened(spoil(0, slice(None), slice(None)))
    with pytest.raises(DataError, match="nowhere enough valid pixels"):
        mapper.map(cube)


def test_missing_wavelengths_are_refused(tiny, tmp_path):
    cube = open_cube(write_envi(tmp_path / "a.img", tiny.radiance[:, :4, :4], tiny.wavelengths - 1500))
    with pytest.raises(BandError, match="covers none of the bands"):
        Mapper(absorption=write_table(tmp_path / "gas.csv", tiny)).map(cube)


@pytest.mark.parametrize("options", [{"filter": "best"}, {"tile": 3}, {"columns": 0}, {"precision": "float16"}])
def test_unknown_options_are_refused(options):
    with pytest.raises(ConfigError):
        Mapper(**options)
