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


def sky(
    sources: list[tuple[float, float, dict[str, float]]],
    widths: dict[str, float],
    rms: dict[str, float],
    size: int = 128,
    seed: int = 0,
) -> list[Mosaic]:
    """Points of known flux in several bands.

    Args:
        sources: `x`, `y`, and the flux in each band, microjansky.
        widths: Full width of the point spread of each band, pixels.
        rms: Noise of each band, microjansky a pixel.
        size: Edge of the mosaics.
        seed: Of the noise.
    """
    rng = np.random.default_rng(seed)
    found = []
    for band, width in widths.items():
        values = rng.normal(0, rms[band], (size, size)) if rms[band] > 0.001 else np.zeros((size, size))
        rows, cols = np.indices((size, size))
        for x, y, fluxes in sources:
            across = [np.exp(-0.5 * ((v - at) / (width / HALF)) ** 2) for v, at in ((rows[:, 0], y), (cols[0], x))]
            values += fluxes.get(band, 0) * np.outer(*across) / (2 * np.pi * (width / HALF) ** 2)
        found.append(mosaic(values, rms[band], width, band))
    return found
