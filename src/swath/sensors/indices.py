"""Vegetation and water indices, from the physical values of named bands.

A pixel where a denominator is zero, or the root of a negative number would be taken, is invalid, not a large number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from swath.errors import BandError, UnknownNameError
from swath.sensors.bands import Bands

Formula = Callable[..., tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, slots=True)
class Index:
    """An index.

    Attributes:
        formula: Numerator and denominator from the reflectances of `bands`, in that order.
        bands: Names (or aliases) of the bands that it needs.
        reference: Where it is defined.
    """

    formula: Formula
    bands: tuple[str, ...]
    reference: str


def _ratio(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return a - b, a + b


def _msavi2(nir: np.ndarray, red: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    linear = 2 * nir + 1
    return (linear - np.sqrt(linear**2 - 8 * (nir - red))) / 2, np.ones_like(nir)


def _mtvi2(nir: np.ndarray, red: np.ndarray, green: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    soil = (2 * nir + 1) ** 2 - (6 * nir - 5 * np.sqrt(red)) - 0.5
    return 1.5 * (1.2 * (nir - green) - 2.5 * (red - green)), np.sqrt(soil)


#: All indices by name.
INDICES: Mapping[str, Index] = {
    "NDVI": Index(_ratio, ("nir", "red"), "Rouse et al. 1974, NASA SP-351"),
    "NDWI": Index(_ratio, ("green", "nir"), "McFeeters 1996, doi 10.1080/01431169608948714"),
    "EVI": Index(
        lambda nir, red, blue: (2.5 * (nir - red), nir + 6 * red - 7.5 * blue + 1),
        ("nir", "red", "blue"),
        "Liu and Huete 1995; Huete et al. 2002, doi 10.1016/S0034-4257(02)00096-2",
    ),
    "SAVI": Index(
        lambda nir, red: (1.5 * (nir - red), nir + red + 0.5),
        ("nir", "red"),
        "Huete 1988, doi 10.1016/0034-4257(88)90106-X; L = 0.5",
    ),
    "MSAVI2": Index(_msavi2, ("nir", "red"), "Qi et al. 1994, doi 10.1016/0034-4257(94)90134-1"),
    "MTVI2": Index(_mtvi2, ("nir", "red", "green"), "Haboudane et al. 2004, doi 10.1016/j.rse.2003.12.013"),
    "VARI": Index(
        lambda red, green, blue: (green - red, green + red - blue),
        ("red", "green", "blue"),
        "Gitelson et al. 2002, doi 10.1016/S0034-4257(01)00289-9",
    ),
    "TGI": Index(
        lambda red, green, blue: (-0.5 * (190 * (red - green) - 120 * (red - blue)), np.ones_like(red)),
        ("red", "green", "blue"),
        "Hunt et al. 2011, doi 10.1007/s11119-010-9172-7; wavelengths 670, 550, 480 nm",
    ),
}


def index(name: str, values: np.ndarray, valid: np.ndarray, bands: Bands) -> tuple[np.ndarray, np.ndarray]:
    """An index of an image.

    Args:
        name: A name in `INDICES`.
        values: Physical values `[bands, height, width]`.
        valid: Validity `[height, width]`.
        bands: What they are; the bands that the index needs are found by name or alias.

    Returns:
        The index `[height, width]`, float32, zero where invalid, and its validity.

    Raises:
        UnknownNameError: If there is no such index.
        BandError: If a band is missing, or is no reflectance.
    """
    if name not in INDICES:
        raise UnknownNameError(f"There is no index '{name}'", expected=", ".join(INDICES))
    chosen = [bands.index(needed) for needed in INDICES[name].bands]
    for position in chosen:
        if bands[position].unit != "reflectance":
            raise BandError(
                f"{name} of band {bands[position].name} is not defined",
                got=bands[position].unit,
                expected="reflectance",
                fix="Give the scale with which the file holds reflectance",
            )
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        above, below = INDICES[name].formula(*(values[position].astype(np.float64) for position in chosen))
        quotient = above / below
    defined = valid & np.isfinite(quotient)
    return np.where(defined, quotient, 0).astype(np.float32), defined
