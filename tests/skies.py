"""Small skies for tests: Gaussian point spreads, mosaics without a file."""

from __future__ import annotations

import numpy as np
from astropy.wcs import WCS

from swath.sky.mosaics import Mosaic, make_mosaic

HALF = 2 * np.sqrt(2 * np.log(2))


def gaussian(width: float, edge: int = 41, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    """A Gaussian of full width `width` whose middle lies `x`, `y` from that of the stamp; sum one."""
    rows, cols = np.indices((edge, edge)) - edge // 2
    stamp = np.exp(-0.5 * ((rows - y) ** 2 + (cols - x) ** 2) / (width / HALF) ** 2)
    return stamp / stamp.sum()


def tangent_plane(size: int = 128, pixel: float = 0.1) -> WCS:
    """A gnomonic projection with pixels of `pixel` arcsec."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [150.0, 2.2]
    wcs.wcs.crpix = [(size + 1) / 2, (size + 1) / 2]
    wcs.wcs.cd = np.array([[-pixel, 0], [0, pixel]]) / 3600
    return wcs


def mosaic(values: np.ndarray, rms: float = 1.0, width: float = 2.0, band: str = "VIS", pixel: float = 0.1) -> Mosaic:
    """A mosaic in microjansky with even noise of `rms`."""
    noise = np.full(values.shape, rms)
    return make_mosaic(band, values, noise, gaussian(width), tangent_plane(values.shape[0], pixel), zero_point=23.9)
