"""Day microphysics: three bands of MODIS as a picture in which droplet size shows as colour.

Source: Lensky and Rosenfeld 2008 (doi 10.5194/acp-8-6739-2008) for the bands; the ends of the stretch are those with
which ship tracks were looked for in whole years of MODIS (github.com/duncanwp/shiptrack-detection).

Convention: reflectances are in per cent, as Satpy gives them: band 1 is divided by the cosine of the solar zenith,
band 20 is the part that is reflected sunlight (`nir_reflectance`), without what the cloud itself emits. Band 31 is
brightness temperature in K.
"""

from __future__ import annotations

import numpy as np

from swath.errors import DataError

#: What becomes 0 and what becomes 255: bands 1 and 20 in per cent, band 31 in K.
LOWEST = (2.044909, 1.795136, 236.558919)
HIGHEST = (78.810258, 22.026770, 300.755732)


def day_microphysics(
    red: np.ndarray, shortwave: np.ndarray, thermal: np.ndarray, zenith: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Stretch bands 1, 20 and 31 linearly to bytes.

    Args:
        red: Reflectance of band 1 `[H, W]`, per cent.
        shortwave: Reflected part of band 20 `[H, W]`, per cent.
        thermal: Brightness temperature of band 31 `[H, W]`, K.
        zenith: Zenith angle of the sun `[H, W]`, degrees; None where it is known to be day everywhere.

    Returns:
        The picture `[3, H, W]`, uint8; and where it is valid `[H, W]`: all bands are finite and the sun is up.

    Raises:
        DataError: If the shapes differ.
    """
    arrays = [red, shortwave, thermal, *([] if zenith is None else [zenith])]
    if len({np.shape(array) for array in arrays}) > 1:
        raise DataError("Bands of one granule differ in shape", got=", ".join(str(np.shape(array)) for array in arrays))
    bands = np.stack([red, shortwave, thermal]).astype(np.float64)
    valid = np.asarray(np.isfinite(bands).all(0))
    if zenith is not None:
        valid &= is_day(zenith)
    low, high = (np.array(ends)[:, None, None] for ends in (LOWEST, HIGHEST))
    share = np.clip((np.where(valid, bands, low) - low) / (high - low), 0, 1)
    return np.round(255 * share).astype(np.uint8), valid


def is_day(zenith: np.ndarray) -> np.ndarray:
    """Where the sun is up: the cosine of its zenith angle (degrees) is positive; not where the angle is unknown."""
    return np.asarray(zenith) < 90
