"""The sensors that Swath knows, as tables: names, aliases, wavelengths, units, scales, nodata.

Sources: ESA Sentinel-2 spectral response functions (S2A centres and bandwidths); USGS Landsat Collection 2 product
guides; HLS user guide v2; MOD09 and MCD43 user guides; MODIS specifications (edges of its 36 bands); Planet product
specifications. A wavelength that its source does
not state is None. Centres are those of the band edges where a source gives only edges.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import cache
from itertools import pairwise

from swath.errors import BandError, UnknownNameError
from swath.sensors.bands import Band, Bands

#: From this day (processing baseline 04.00), Sentinel-2 products carry an offset of -1000 counts.
SENTINEL2_OFFSET_SINCE = date(2022, 1, 25)
_OFFSET_BASELINE = 4.0
#: A product of ESA by its name, for example S2B_MSIL2A_20220127T101219_N0400_R022_T32TQM_20220127T123456.
_PRODUCT = re.compile(r"S2[A-D]_MSIL(?:1C|2A)_\d{8}T\d{6}_N(\d{2})(\d{2})_R\d{3}_", re.IGNORECASE)
#: What stands in place of the baseline where a user processed a product himself; it tells nothing.
_OWN_BASELINE = 99.99

# name, alias, centre nm, full width nm
_SENTINEL2 = (
    ("B01", "coastal", 442.7, 20),
    ("B02", "blue", 492.7, 65),
    ("B03", "green", 559.8, 35),
    ("B04", "red", 664.6, 30),
    ("B05", "rededge1", 704.1, 14),
    ("B06", "rededge2", 740.5, 14),
    ("B07", "rededge3", 782.8, 19),
    ("B08", "nir", 832.8, 105),
    ("B8A", "nir08", 864.7, 21),
    ("B09", "watervapour", 945.1, 19),
    ("B10", "cirrus", 1373.5, 29),
    ("B11", "swir1", 1613.7, 90),
    ("B12", "swir2", 2202.4, 174),
)
_TM = (
    ("B1", "blue", 485, 70),
    ("B2", "green", 560, 80),
    ("B3", "red", 660, 60),
    ("B4", "nir", 830, 140),
    ("B5", "swir1", 1650, 200),
    ("B7", "swir2", 2215, 270),
)
_ETM = (
    ("B1", "blue", 485, 70),
    ("B2", "green", 560, 80),
    ("B3", "red", 660, 60),
    ("B4", "nir", 835, 130),
    ("B5", "swir1", 1650, 200),
    ("B7", "swir2", 2220, 260),
)
_OLI = (
    ("B1", "coastal", 443, 16),
    ("B2", "blue", 482, 60),
    ("B3", "green", 561.5, 57),
    ("B4", "red", 654.5, 37),
    ("B5", "nir", 865, 28),
    ("B6", "swir1", 1608.5, 85),
    ("B7", "swir2", 2200.5, 187),
)
_HLS_L30 = (
    ("B01", "coastal", 443, 16),
    ("B02", "blue", 482, 60),
    ("B03", "green", 561.5, 57),
    ("B04", "red", 654.5, 37),
    ("B05", "nir", 865, 28),
    ("B06", "swir1", 1608.5, 85),
    ("B07", "swir2", 2200.5, 187),
    ("B09", "cirrus", 1373.5, 21),
)
_HLS_L30_THERMAL = (("B10", "thermal", 10895, 590), ("B11", "thermal2", 12005, 1010))
_MODIS = (
    ("B1", "red", 645, 50),
    ("B2", "nir", 858.5, 35),
    ("B3", "blue", 469, 20),
    ("B4", "green", 555, 20),
    ("B5", "swir0", 1240, 20),
    ("B6", "swir1", 1640, 24),
    ("B7", "swir2", 2130, 50),
)
#: Bands 8 to 36 at 1 km; 20 to 25 and 27 to 36 see what the Earth emits.
_MODIS_1KM = (
    ("B8", "", 412.5, 15),
    ("B9", "", 443, 10),
    ("B10", "", 488, 10),
    ("B11", "", 531, 10),
    ("B12", "", 551, 10),
    ("B13", "", 667, 10),
    ("B14", "", 678, 10),
    ("B15", "", 748, 10),
    ("B16", "", 869.5, 15),
    ("B17", "", 905, 30),
    ("B18", "", 936, 10),
    ("B19", "", 940, 50),
    ("B26", "cirrus", 1375, 30),
)
_MODIS_EMISSIVE = (
    ("B20", "", 3750, 180),
    ("B21", "", 3959, 60),
    ("B22", "", 3959, 60),
    ("B23", "", 4050, 60),
    ("B24", "", 4465.5, 65),
    ("B25", "", 4515.5, 67),
    ("B27", "", 6715, 360),
    ("B28", "", 7325, 300),
    ("B29", "", 8550, 300),
    ("B30", "", 9730, 300),
    ("B31", "thermal", 11030, 500),
    ("B32", "", 12020, 500),
    ("B33", "", 13335, 300),
    ("B34", "", 13635, 300),
    ("B35", "", 13935, 300),
    ("B36", "", 14235, 300),
)
_PLANET4 = (("blue", "", 485, 60), ("green", "", 545, 90), ("red", "", 630, 80), ("nir", "", 820, 80))
_PLANET8 = (
    ("coastal", "", 443, 20),
    ("blue", "", 490, 50),
    ("green1", "", 531, 36),
    ("green", "", 565, 36),
    ("yellow", "", 610, 20),
    ("red", "", 665, 31),
    ("rededge", "", 705, 15),
    ("nir", "", 865, 40),
)
_RGB = (("red", "r", None, None), ("green", "g", None, None), ("blue", "b", None, None))

_Table = Iterable[tuple[str, str, float | None, float | None]]


def _optical(
    table: _Table, unit: str = "reflectance", scale: float = 1.0, offset: float = 0.0, nodata: float | None = None
) -> tuple[Band, ...]:
    return tuple(
        Band(name, unit, centre, scale, offset, nodata, (alias,) if alias else (), width)
        for name, alias, centre, width in table
    )


def _plain(names: Sequence[str], unit: str, nodata: float | None = None) -> tuple[Band, ...]:
    return tuple(Band(name, unit, nodata=nodata) for name in names)


def _thermal(*names: str, wavelength: float) -> tuple[Band, ...]:
    """Surface temperature of Landsat Collection 2, level 2."""
    return tuple(Band(name, "K", wavelength, 0.00341802, 149.0, 0, ("thermal",)) for name in names)


def _landsat(table: _Table, thermal: tuple[Band, ...]) -> Callable[[], tuple[Band, ...]]:
    return lambda: (*_optical(table, scale=2.75e-5, offset=-0.2, nodata=0), *thermal)


_SENSORS: dict[str, Callable[[], tuple[Band, ...]]] = {
    "sentinel1_grd": lambda: _plain(("VV", "VH", "HH", "HV"), "dB"),
    "sentinel1_grd_power": lambda: _plain(("VV", "VH", "HH", "HV"), "power"),
    # amplitudes as ESA ships them, not calibrated; zero lies outside of the swath
    "sentinel1_grd_dn": lambda: _plain(("VV", "VH", "HH", "HV"), "dn", nodata=0),
    "sentinel2_l1c": lambda: _optical(_SENTINEL2, scale=1e-4, nodata=0),
    "sentinel2_l2a": lambda: _optical([row for row in _SENTINEL2 if row[0] != "B10"], scale=1e-4, nodata=0),
    "landsat5": _landsat(_TM, _thermal("B6", wavelength=11450)),
    "landsat7": _landsat(_ETM, _thermal("B6", wavelength=11450)),
    "landsat8": _landsat(_OLI, _thermal("B10", wavelength=10895)),
    "landsat9": _landsat(_OLI, _thermal("B10", wavelength=10895)),
    "landsat5_dn": lambda: _optical(_TM, "dn"),
    "landsat7_dn": lambda: _optical(_ETM, "dn"),
    "landsat8_dn": lambda: _optical(_OLI, "dn", nodata=0),
    "hls_s30": lambda: _optical(_SENTINEL2, scale=1e-4, nodata=-9999),
    "hls_l30": lambda: (
        *_optical(_HLS_L30, scale=1e-4, nodata=-9999),
        *_optical(_HLS_L30_THERMAL, "K", 0.01, 273.15, -9999),  # stored in hundredths of a degree Celsius
    ),
    "modis_mod09": lambda: _optical(_MODIS, scale=1e-4, nodata=-28672),
    "modis_mcd43": lambda: _optical(_MODIS, scale=1e-4, nodata=32767),
    "modis_l1b": lambda: (*_optical((*_MODIS, *_MODIS_1KM)), *_optical(_MODIS_EMISSIVE, "K")),
    "modis_day_microphysics": lambda: (
        Band("B1", "%", 645, aliases=("red", "1"), fwhm=50),
        Band("B20", "%", 3750, aliases=("20",), fwhm=180),
        Band("B31", "K", 11030, aliases=("thermal", "31"), fwhm=500),
    ),
    "planetscope4": lambda: _optical(_PLANET4, scale=1e-4, nodata=0),
    "planetscope8": lambda: _optical(_PLANET8, scale=1e-4, nodata=0),
    "nicfi": lambda: _optical(_PLANET4, scale=1e-4, nodata=0),
    "naip": lambda: (*_optical(_RGB, "dn"), Band("nir", "dn", aliases=("n",))),
    "rgb": lambda: _optical(_RGB, "dn"),
    "elevation": lambda: (Band("elevation", "m", aliases=("dem", "dsm")),),
}
#: Physical values that a unit can hold, with room for glint, noise and calibration.
_PLAUSIBLE = {
    "reflectance": (-0.3, 2.5),
    "dB": (-80.0, 50.0),
    "power": (0.0, 1e5),
    "K": (100.0, 1500.0),
    "m": (-12000.0, 9500.0),
}


def sensor_names() -> list[str]:
    """Ids of all sensors, sorted."""
    return sorted(_SENSORS)


@cache
def sensor(name: str) -> Bands:
    """All bands of a sensor, in its standard order.

    Raises:
        UnknownNameError: If there is no such sensor.
    """
    if name not in _SENSORS:
        close = difflib.get_close_matches(name, _SENSORS, n=1)
        raise UnknownNameError(
            f"There is no sensor '{name}'",
            expected=f"one of {', '.join(sensor_names())}, or custom",
            fix=f"Did you mean '{close[0]}'?"[:-1] if close else None,
        )
    return Bands(name, _SENSORS[name]())


def sentinel2_offset(when: date) -> float:
    """Reflectance to add to a Sentinel-2 product of ESA processed on `when`; harmonised collections have none."""
    return -0.1 if when >= SENTINEL2_OFFSET_SINCE else 0.0


def product_baseline(path: str) -> float | None:
    """Processing baseline of the Sentinel-2 product of ESA that a path names, for example 4.0; None if none."""
    found = [float(".".join(digits)) for digits in _PRODUCT.findall(path)]
    return found[-1] if found and found[-1] != _OWN_BASELINE else None


def with_baseline(bands: Bands, baseline: float | None) -> Bands:
    """The bands with the offset of their processing baseline: -0.1 since 04.00, none before.

    Args:
        bands: Of a file; only those of Sentinel-2 in counts of 1e-4, as ESA stores them, are changed.
        baseline: For example 5.09; None where it is unknown, and then nothing is changed.
    """
    if baseline is None or not bands.sensor.startswith("sentinel2_l") or any(band.scale != 1e-4 for band in bands):
        return bands
    return bands.with_storage(offset=-0.1 if baseline >= _OFFSET_BASELINE else 0.0)


def hyperspectral(
    sensor_name: str,
    wavelengths: Sequence[float],
    fwhm: Sequence[float] | None = None,
    unit: str = "radiance",
    nodata: float | None = -9999,
) -> Bands:
    """Bands of an imaging spectrometer (AVIRIS, EMIT) from the table in a file's header.

    Args:
        sensor_name: For example `aviris_ng` or `emit`.
        wavelengths: Centres in nanometres, in the file's order.
        fwhm: Full widths at half maximum in nanometres.
        unit: Of the values.
        nodata: Stored number of an invalid pixel.

    Raises:
        BandError: If the wavelengths do not rise or are not in nanometres, or the widths are of another number.
    """
    if any(b <= a for a, b in pairwise(wavelengths)):
        raise BandError(f"Wavelengths of {sensor_name} do not rise", fix="Turn the cube around or sort its bands")
    if len(wavelengths) and max(wavelengths) < 100:
        raise BandError(f"Wavelengths of {sensor_name} are not in nanometres", got=f"at most {max(wavelengths)}")
    widths: Sequence[float | None] = fwhm if fwhm is not None else [None] * len(wavelengths)
    if len(widths) != len(wavelengths):
        raise BandError(f"{sensor_name} has widths of another number", got=len(widths), expected=len(wavelengths))
    return Bands(
        sensor_name,
        tuple(
            Band(f"{centre:.2f}nm", unit, float(centre), nodata=nodata, fwhm=width)
            for centre, width in zip(wavelengths, widths, strict=True)
        ),
    )


def resolve(
    name: str,
    bands: Sequence[str] | None = None,
    unit: str | None = None,
    scale: float | None = None,
    offset: float | None = None,
    nodata: float | None = None,
) -> Bands:
    """Bands as a user names them.

    Args:
        name: A sensor, or `custom` for bands that only the user knows.
        bands: Which, in the file's order; by default all of the sensor.
        unit: Replaces the sensor's.
        scale: Replaces the sensor's.
        offset: Replaces the sensor's.
        nodata: Replaces the sensor's.

    Raises:
        UnknownNameError: If there is no such sensor.
        BandError: If the sensor has no such band, or custom bands have no names or unit.
    """
    if name == "custom":
        if not bands or unit is None:
            raise BandError("Bands of sensor custom must be described", expected="`bands:` with names, and `unit:`")
        chosen = Bands("custom", tuple(Band(band, unit) for band in bands))
    else:
        chosen = sensor(name) if bands is None else sensor(name).select(bands)
    return chosen.with_storage(scale, offset, unit, nodata)


def check_range(low: float, high: float, band: Band, name: str) -> None:
    """Refuse physical values that the unit cannot hold, as they come from a wrong scale or a wrong unit.

    Args:
        low: Low end of the values, best a percentile.
        high: High end of the values, best a percentile.
        band: Whose values they are.
        name: Where they come from, for the message.

    Raises:
        BandError: If they lie outside of what is plausible.
    """
    if band.unit not in _PLAUSIBLE:
        return
    least, most = _PLAUSIBLE[band.unit]
    if low < least or high > most:
        raise BandError(
            f"Values of band {band.name} of {name} cannot be {band.unit}",
            got=f"{low:g} to {high:g}",
            expected=f"{least:g} to {most:g} {band.unit}",
            fix="Give `scale:` and `offset:` of the file, or its true `unit:`",
        )
