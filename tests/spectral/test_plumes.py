"""Plume masks and tables against plumes whose area, mass and length follow by hand."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from swath.errors import ConfigError
from swath.spectral.plumes import plume_mask, plume_table

GRID = GeoBox((80, 100), Affine(20, 0, 5e5, 0, -20, 4e6), "EPSG:32613")
AREAS = np.full(GRID.shape, 400.0)
#: 1 ppm of a gas of 16.043 g/mol over 1 m: 1e-6 * 42.2927 mol/m3 at 1013.25 hPa and 288.15 K.
KG = 16.043e-3 * 42.2927e-6


def block(rows: slice, cols: slice, value: float) -> np.ndarray:
    found = np.zeros(GRID.shape, np.float32)
    found[rows, cols] = value
    return found


def test_opening_and_size():
    found = block(slice(10, 20), slice(10, 30), 900)
    found[40, :] = 900  # a line falls to the opening
    found[60:63, 60:63] = 900  # opened to a cross of five pixels
    mask = plume_mask(found, 300)
    assert mask[11:19, 11:29].all()
    assert mask.sum() == 200 - 4
    assert plume_mask(found, 300, fewest=5).sum() == 200 - 4 + 9 - 4
    assert not plume_mask(found, 900).any()


def test_nan_is_no_plume():
    assert not plume_mask(np.full((9, 9), np.nan), 0).any()
    with pytest.raises(ConfigError, match="not a finite number"):
        plume_mask(np.zeros((9, 9)), float("nan"))


def test_area_mass_length_and_place():
    found = block(slice(10, 20), slice(10, 30), 500)
    found[12, 15] = 800
    table = plume_table(found, found > 300, GRID, AREAS)
    row = table.iloc[0]
    assert row["pixels"] == 200
    assert row["area_m2"] == pytest.approx(80_000)
    assert row["mass_kg"] == pytest.approx(KG * 400 * (199 * 500 + 800), rel=1e-4)
    assert row["mass_sd_kg"] == 0
    assert row["length_m"] == pytest.approx(20 * np.hypot(10, 20))
    assert (row["max_ppm_m"], row["x"], row["y"]) == (800, 5e5 + 15.5 * 20, 4e6 - 12.5 * 20)
    assert row["geometry"].area == pytest.approx(80_000)
    assert table.crs.to_epsg() == 32613


def test_noise_and_offset_of_the_map_are_taken_into_account():
    """A uniform offset falls out of the mass; white noise of s ppm m gives s sqrt(n) over n pixels."""
    rng = np.random.default_rng(0)
    found = block(slice(10, 20), slice(10, 30), 500) + 40 + rng.normal(0, 30, GRID.shape)
    mask = block(slice(10, 20), slice(10, 30), 1) > 0
    row = plume_table(found, mask, GRID, AREAS).iloc[0]
    noise = KG * 400 * 30 * np.sqrt(200)
    assert row["mass_sd_kg"] == pytest.approx(noise, rel=0.35)
    assert row["mass_kg"] == pytest.approx(KG * 400 * 200 * 500, abs=4 * noise)


def test_the_heaviest_comes_first_and_no_plume_gives_an_empty_table():
    found = block(slice(2, 8), slice(2, 8), 400) + block(slice(30, 40), slice(30, 60), 700)
    table = plume_table(found, found > 300, GRID, AREAS)
    assert list(table["pixels"]) == [300, 36]
    assert list(table["plume"]) == [1, 2]
    assert plume_table(found, found > 999, GRID, AREAS).empty


def test_without_pixel_areas_only_pixels_are_known():
    found = block(slice(10, 20), slice(10, 30), 500)
    row = plume_table(found, found > 300, GRID, None).iloc[0]
    assert row["pixels"] == 200
    assert np.isnan([row["area_m2"], row["mass_kg"], row["length_m"]]).all()
