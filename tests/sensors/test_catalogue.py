from datetime import date

import numpy as np
import pytest
import spyndex

from swath.errors import BandError, UnknownNameError
from swath.sensors.catalogue import (
    check_range,
    hyperspectral,
    product_baseline,
    resolve,
    sensor,
    sensor_names,
    sentinel2_offset,
    with_baseline,
)

SPYNDEX = {"sentinel2_l2a": "sentinel2a", "landsat7": "landsat7", "landsat8": "landsat8", "modis_mod09": "modis"}


@pytest.mark.parametrize("name", sensor_names())
class TestEachSensor:
    """What holds for every sensor, by being in the catalogue."""

    def test_names_and_aliases_are_unambiguous(self, name: str) -> None:
        bands = sensor(name)
        for band in bands:
            for word in (band.name, *band.aliases):
                assert bands[bands.index(word)] == band

    def test_wavelengths_are_nanometres(self, name: str) -> None:
        for band in sensor(name):
            assert band.wavelength is None or 400 <= band.wavelength <= 15000


@pytest.mark.parametrize(("name", "platform"), SPYNDEX.items())
def test_wavelengths_are_those_of_spyndex(name: str, platform: str) -> None:
    compared = 0
    for other in spyndex.bands.values():
        if hasattr(other, platform):
            theirs = getattr(other, platform)
            found = [b for b in sensor(name) if b.name.replace("B0", "B") == theirs.band and b.unit == "reflectance"]
            for band in found:
                assert band.wavelength == pytest.approx(theirs.wavelength, abs=6)
                compared += 1
    assert compared >= 6


def test_physical_values_by_hand() -> None:
    """Landsat Collection 2: 20000 counts are 0.35; Sentinel-2 after 2022: 3500 are 0.25; 44000 are 150.393 + 149 K."""
    landsat = resolve("landsat9", ["red", "B10"])
    np.testing.assert_allclose(landsat.decode(np.array([[20000], [44000]]))[:, 0], [0.35, 299.393], atol=1e-3)
    offset = sentinel2_offset(date(2022, 1, 25))
    np.testing.assert_allclose(resolve("sentinel2_l2a", ["B04"], offset=offset).decode(np.array([[3500]])), [[0.25]])
    assert sentinel2_offset(date(2022, 1, 24)) == 0


def test_unknown_sensor_is_suggested() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'sentinel2_l2a'"):
        resolve("sentinel2_l2")


def test_missing_band_lists_both_sides() -> None:
    with pytest.raises(BandError, match=r"sentinel2_l2a has no band 'B10': got B01 \(coastal\).*expected B10"):
        resolve("sentinel2_l2a", ["B10"])


def test_doubled_band() -> None:
    with pytest.raises(BandError, match="named twice"):
        resolve("sentinel2_l2a", ["B04", "red"])


def test_custom_bands_need_a_unit() -> None:
    with pytest.raises(BandError, match="must be described"):
        resolve("custom", ["a", "b"])
    assert resolve("custom", ["a", "b"], unit="K", scale=0.1).units == ("K", "K")


def test_counts_called_reflectance_are_refused() -> None:
    band = resolve("sentinel2_l2a", ["B04"], scale=1.0)[0]
    with pytest.raises(
        BandError, match=r"Values of band B04 of a.tif cannot be reflectance: got 120 to 9500; expected -0.3 to 2.5"
    ):
        check_range(120, 9500, band, "a.tif")
    check_range(0.01, 0.9, band, "a.tif")


def test_descending_wavelengths_are_refused() -> None:
    with pytest.raises(BandError, match="do not rise"):
        hyperspectral("emit", [500.0, 400.0])
    with pytest.raises(BandError, match="not in nanometres"):
        hyperspectral("emit", [0.4, 0.5])


@pytest.mark.parametrize(
    ("path", "baseline"),
    [
        ("S2A_MSIL2A_20220126T101311_N0400_R022_T32TQM_20220126T134711.SAFE/GRANULE/R10m/T32TQM_B04_10m.jp2", 4.0),
        ("archive/S2B_MSIL1C_20191230T101329_N0208_R022_T32TQM_20191230T111517.tif", 2.08),
        ("s2c_msil2a_20250301T101329_n0511_r022_t32tqm_20250301t111517.zip", 5.11),
        ("S2A_MSIL2A_20220126T101311_N9999_R022_T32TQM_20220126T134711.tif", None),
        ("T32TQM_20220126T101311_B04_10m.jp2", None),
    ],
)
def test_the_baseline_stands_in_the_name_of_a_product(path: str, baseline: float | None) -> None:
    assert product_baseline(path) == baseline


def test_one_reflectance_before_and_since_baseline_4() -> None:
    """A red of 0.25 was stored as 2500 and is stored as 3500."""
    red = resolve("sentinel2_l2a", ["B04"])
    for baseline, stored in ((3.01, 2500), (4.0, 3500), (5.11, 3500)):
        np.testing.assert_allclose(with_baseline(red, baseline).decode(np.array([[stored]])), 0.25, atol=1e-6)
    assert with_baseline(red, None) == red
    for others in (resolve("landsat8", ["B4"]), resolve("sentinel2_l2a", ["B04"], scale=1.0)):
        assert with_baseline(others, 5.0) == others


def test_heat_of_hls_is_stored_in_degrees_celsius() -> None:
    decoded = sensor("hls_l30").select(["thermal", "B11"]).decode(np.array([[2000], [-515]], np.int16))
    np.testing.assert_allclose(decoded[:, 0], [293.15, 268.0], atol=1e-3)
