"""Clouds, cirrus, shadow and snow on Sentinel-2 by rules of thumb.

Source: Hollstein et al. 2016, "Ready-to-Use Methods for the Detection of Clouds, Cirrus, Snow, Shadow, Water and Clear
Sky Pixels in Sentinel-2 MSI Images" (doi 10.3390/rs8080666), a decision tree on reflectance at the top of the
atmosphere (L1C), with the thresholds that Sen4AgriNet ships. Its leaves exclude each other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from swath.errors import BandError

#: Bands that the rules look at.
BANDS = ("B01", "B02", "B03", "B05", "B06", "B07", "B8A", "B09", "B10", "B11")


def hollstein_masks(reflectance: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Masks `cloud`, `cirrus`, `shadow` and `snow`, bool, of the shape of the bands.

    Args:
        reflectance: Reflectance 0..1 at the top of the atmosphere by band name, all of one shape.

    Raises:
        BandError: If a band is missing.
    """
    if missing := [name for name in BANDS if name not in reflectance]:
        raise BandError("The rules for clouds need more bands", got=", ".join(reflectance), expected=", ".join(missing))
    b = {name: np.asarray(reflectance[name], np.float64) for name in BANDS}
    with np.errstate(divide="ignore", invalid="ignore"):  # dark bands divide by zero; what is 0 / 0 belongs nowhere
        snowy, edge = b["B05"] / b["B11"] >= 4.33, b["B01"] / b["B05"] >= 1.184
        thin = (b["B02"] / b["B10"] < 14.689) & (b["B02"] / b["B09"] >= 0.788)
        flat = b["B05"] / b["B11"] < 4.33
    dark, bright = b["B03"] < 0.319, b["B03"] >= 0.319
    drop = b["B09"] - b["B11"] >= np.where(b["B03"] - b["B07"] < 0.027, -0.097, 0.021)
    low, falling = b["B11"] - b["B10"] < 0.255, b["B06"] - b["B07"] < -0.016
    return {
        "cloud": bright & flat & np.where(low, falling, b["B01"] >= 0.3),
        "cirrus": (dark & (b["B8A"] >= 0.166) & thin) | (bright & flat & low & ~falling),
        "shadow": (dark & (b["B8A"] < 0.166) & drop) | (bright & snowy & (b["B03"] < 0.525) & edge),
        "snow": bright & snowy & (b["B03"] >= 0.525),
    }
