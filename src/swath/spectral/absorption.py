"""Unit absorption spectra of a gas, seen by the bands of an instrument.

The unit absorption is d ln(radiance) / d column, per ppm m: negative where the gas absorbs. It comes from a table of a
user, or from the look-up table that the packages `onboard-methane-detection` and `mag1c` ship: radiances for seven
columns of methane between 1400 and 2500 nm, from which the slope of the log radiance is fitted (Foote et al. 2020).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from swath.errors import BandError, ConfigError, MissingExtraError, ReadError
from swath.sensors.bands import Bands

#: Columns of the look-up table, ppm m.
COLUMNS = np.array([0, 500, 1000, 2000, 4000, 8000, 16000], float)
#: Full width at half maximum of a normal curve over its standard deviation.
_FWHM = 2 * np.sqrt(2 * np.log(2))
#: Absorption per ppm m beyond which a table cannot be in that unit: a column of 100 ppm m would take all light.
_LARGEST = 1e-2


def absorption_of(bands: Bands, table: Path | None = None) -> np.ndarray:
    """Unit absorption `[bands]` per ppm m, as `bands` see it.

    Args:
        bands: With wavelengths; bands without a width see the width of their spacing.
        table: A CSV with a head `wavelength,absorption`: nm and per ppm m. None takes methane from the package.

    Raises:
        BandError: If a band has no wavelength, or the table ends before it.
        ReadError: If the table cannot be read.
        ConfigError: If it is in another unit.
        MissingExtraError: If there is no table and no package.
    """
    centres = wavelengths(bands)
    widths = np.array([np.nan if band.fwhm is None else band.fwhm for band in bands], float)
    widths = np.where(np.isnan(widths), _spacing(centres), widths)
    if table is None:
        nm, radiances = look_up_table()
        return from_radiances(nm, radiances, COLUMNS, centres, widths)
    nm, values = read_table(table)
    low, high = nm[0] - 1, nm[-1] + 1
    outside = (centres < low) | (centres > high)
    if outside.all():
        raise BandError(f"{table} covers none of the bands", got=f"{nm[0]:g} to {nm[-1]:g} nm")
    seen = _response(nm, np.where(outside, nm[0], centres), widths)
    # A table as coarse as the bands has no point inside a narrow band.
    found = np.where(_held(nm, centres, widths) >= 3, values @ seen, np.interp(centres, nm, values))
    return np.where(outside, 0.0, found)


def from_radiances(
    nm: np.ndarray, radiances: np.ndarray, columns: np.ndarray, centres: np.ndarray, widths: np.ndarray
) -> np.ndarray:
    """Slope of the log radiance over the column `[bands]`, per unit of `columns`.

    Args:
        nm: Fine wavelengths `[n]`, rising.
        radiances: At each column `[columns, n]`.
        columns: Of gas.
        centres: Of the bands, nm. Bands off the table get 0.
        widths: Full widths at half maximum, nm.
    """
    seen = radiances @ _response(nm, centres, widths)
    logs = np.log(seen, out=np.zeros_like(seen), where=seen > 0)
    slope = np.polyfit(columns, logs, 1)[0]
    return np.where((seen > 0).all(0), slope, 0.0)


def look_up_table() -> tuple[np.ndarray, np.ndarray]:
    """Wavelengths nm `[n]` and radiances `[7, n]` of the table in the package `onboard-methane-detection`.

    Raises:
        MissingExtraError: If the package is not installed.
        ReadError: If its table is damaged.
    """
    found = importlib.util.find_spec("onboard_methane_detection")
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError("onboard-methane-detection", "methane")
    folder = Path(found.submodule_search_locations[0]) / "onground"
    try:
        nm, radiances = (np.load(folder / name, allow_pickle=False) for name in ("wv.npy", "rads.npy"))
    except (OSError, ValueError) as error:
        raise ReadError(f"Cannot read the table of methane in {folder}", got=error) from error
    return np.asarray(nm, float).ravel(), np.asarray(radiances, float).reshape(len(COLUMNS), -1)


def read_table(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Wavelengths nm, rising, and absorption per ppm m, of a CSV with a head `wavelength,absorption`.

    Raises:
        ReadError: If it cannot be read.
        ConfigError: If it is in another unit, or holds numbers that cannot be used.
    """
    try:
        rows = np.genfromtxt(path, delimiter=",", names=True, dtype=float, encoding="utf-8", ndmin=1)
    except (OSError, ValueError) as error:
        raise ReadError(f"Cannot read {path} as a table", got=error) from error
    names = rows.dtype.names or ()
    if not {"wavelength", "absorption"} <= set(names):
        raise ConfigError(f"{path} lacks a column", got=", ".join(names), expected="wavelength,absorption")
    order = np.argsort(rows["wavelength"])
    nm, values = rows["wavelength"][order], rows["absorption"][order]
    if len(nm) < 2 or not (np.isfinite(nm).all() and np.isfinite(values).all()):
        raise ConfigError(f"{path} holds too few rows, or numbers that are not finite")
    if nm[-1] < 100:
        raise ConfigError(f"Wavelengths of {path} are not in nanometres", got=f"at most {nm[-1]:g}")
    if np.abs(values).max() > _LARGEST:
        raise ConfigError(
            f"Absorption in {path} is not per ppm m",
            got=f"up to {np.abs(values).max():g}",
            expected=f"below {_LARGEST:g}",
            fix="Tables of mag1c are per 100000 ppm m: divide them by 100000",
        )
    return nm, -values if values.sum() > 0 else values


def wavelengths(bands: Bands) -> np.ndarray:
    """Centres in nm `[bands]`; raises `BandError` if one is not known."""
    if missing := [band.name for band in bands if band.wavelength is None]:
        raise BandError(
            f"{len(missing)} bands of {bands.sensor} have no wavelength",
            got=", ".join(missing[:5]),
            fix="Give a cube whose header has `wavelength`, in nanometres",
        )
    return np.array([band.wavelength for band in bands], float)


def _response(nm: np.ndarray, centres: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Share of each fine wavelength in each band `[n, bands]`; columns sum to 1, or to 0 off the table."""
    sigma = widths / _FWHM
    weights = np.exp(-0.5 * ((nm[:, None] - centres) / sigma) ** 2)
    total = weights.sum(0)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def _held(nm: np.ndarray, centres: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """How many points of the table lie inside each band."""
    return np.searchsorted(nm, centres + widths / 2) - np.searchsorted(nm, centres - widths / 2)


def _spacing(centres: np.ndarray) -> np.ndarray:
    return np.abs(np.gradient(centres)) if len(centres) > 1 else np.full(len(centres), 10.0)
