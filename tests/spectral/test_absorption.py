"""Absorption spectra against the packages' own, and band selection against the release."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from swath.errors import BandError, ConfigError, ReadError
from swath.sensors.catalogue import hyperspectral
from swath.spectral.absorption import absorption_of, read_table, wavelengths
from swath.spectral.selection import nearest, select

CENTRES = np.arange(400.0, 2500.0, 7.4)


@pytest.fixture(scope="module")
def released():
    return pytest.importorskip("onboard_methane_detection.onground.utils")


def instrument(centres: np.ndarray = CENTRES, fwhm: float = 8.5):
    return hyperspectral("emit", centres.tolist(), [fwhm] * len(centres))


def table(path: Path, nm: np.ndarray, values: np.ndarray) -> Path:
    np.savetxt(path, np.column_stack((nm, values)), delimiter=",", header="wavelength,absorption", comments="")
    return path


def test_methane_equals_the_release(released):
    centres = CENTRES[CENTRES > 1450]
    expected = released.generate_methane_spectrum(centres, np.full(len(centres), 8.5))
    found = absorption_of(instrument(centres))
    assert np.abs(found * 1e5 - expected).max() < 1e-9
    assert found.min() * 1e5 == pytest.approx(-1.55, abs=0.4)


def test_bands_off_the_table_absorb_nothing(released):
    assert np.abs(absorption_of(instrument())[CENTRES < 1300]).max() < 1e-14


def test_a_table_is_seen_by_the_bands(tmp_path):
    """A normal absorption line of width s seen by a normal band of width b is one of width sqrt(s^2 + b^2)."""
    nm = np.arange(2100, 2500, 0.1)
    path = table(tmp_path / "gas.csv", nm, -1e-5 * np.exp(-0.5 * ((nm - 2300) / 6) ** 2))
    centres = np.array([2250.0, 2290.0, 2300.0, 2310.0])
    wide = np.hypot(6, 8.5 / 2.354820045)
    expected = -1e-5 * 6 / wide * np.exp(-0.5 * ((centres - 2300) / wide) ** 2)
    np.testing.assert_allclose(absorption_of(instrument(centres), path), expected, rtol=1e-6, atol=1e-12)


def test_a_table_as_coarse_as_the_bands_is_interpolated(tmp_path):
    centres = np.arange(2100.0, 2480.0, 7.4)
    values = -1e-6 * (1 + np.arange(len(centres)) % 3)
    found = absorption_of(instrument(centres), table(tmp_path / "gas.csv", centres, -values))
    np.testing.assert_allclose(found, values, rtol=1e-9)


@pytest.mark.parametrize(
    ("nm", "values", "message"),
    [
        ([2100, 2200], [-1.2, -0.3], "not per ppm m"),
        ([2.1, 2.2], [-1e-6, -1e-6], "not in nanometres"),
        ([2100, 2200], [-1e-6, np.nan], "not finite"),
    ],
)
def test_unusable_tables_are_refused(tmp_path, nm, values, message):
    with pytest.raises(ConfigError, match=message):
        read_table(table(tmp_path / "gas.csv", np.array(nm), np.array(values)))


def test_missing_tables_and_columns_are_refused(tmp_path):
    with pytest.raises(ReadError):
        read_table(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("nm,k\n2100,1\n2200,2\n")
    with pytest.raises(ConfigError, match="lacks a column"):
        read_table(tmp_path / "other.csv")


def test_a_table_elsewhere_is_refused(tmp_path):
    path = table(tmp_path / "gas.csv", np.array([3000.0, 3100.0]), np.array([-1e-6, -1e-6]))
    with pytest.raises(BandError, match="covers none"):
        absorption_of(instrument(), path)


def test_bands_without_wavelengths_are_refused():
    from swath.sensors.bands import Band, Bands

    with pytest.raises(BandError, match="have no wavelength"):
        wavelengths(Bands("custom", (Band("b1", "radiance"),)))


@pytest.mark.parametrize("centres", [CENTRES, CENTRES[CENTRES > 1500]])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("variance", "highest-variance"), ("absorption", "highest-transmittance"), ("even", "evenly-spaced")],
)
@pytest.mark.parametrize("count", [10, 25, 40])
def test_selection_equals_the_release(released, centres, ours, theirs, count):
    absorption = absorption_of(instrument(centres))
    expected, _ = released.select_the_bands_by_transmittance(centres, absorption, count, theirs)
    np.testing.assert_array_equal(centres[select(centres, absorption, count, ours)], np.sort(expected))


def test_missing_wavelengths_are_refused():
    visible = np.arange(400.0, 1000.0, 5.0)
    with pytest.raises(BandError, match="too few bands where methane absorbs"):
        select(visible, np.zeros(len(visible)), 50, "even")
    with pytest.raises(BandError, match="no band at 640"):
        nearest(CENTRES[CENTRES > 1500], (640.0,))
    with pytest.raises(ConfigError, match="no such strategy"):
        select(CENTRES, np.zeros(len(CENTRES)), 50, "best")
