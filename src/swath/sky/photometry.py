"""Fluxes of sources that stand for themselves: Kron totals, isophotes, apertures on pictures of one sharpness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from swath.sky.mosaics import Mosaic
from swath.sky.packages import extractor
from swath.sky.spread import convolved, fwhm, matching_kernel

#: Flags of a measurement, to be added.
FLAW, BLENDED, EDGE, NEAR_STAR = 1, 2, 8, 16


class Fluxes(NamedTuple):
    """Fluxes of sources, microjansky.

    Attributes:
        flux: `[N]`.
        error: Standard deviation, `[N]`.
        flag: Of the measurement, `[N]` int.
    """

    flux: np.ndarray
    error: np.ndarray
    flag: np.ndarray


def kron(
    mosaic: Mosaic,
    sources: pd.DataFrame,
    segments: np.ndarray | None = None,
    *,
    factor: float = 2.5,
    minimum: float = 3.5,
    reach: float = 6.0,
    subpixels: int = 0,
) -> tuple[Fluxes, np.ndarray]:
    """Total fluxes in ellipses of `factor` Kron radii (Kron 1980), as FLUX_AUTO of SExtractor.

    The Kron radius is the sum of r f over the sum of f in the ellipse of `reach`, r in units of the axes.

    Args:
        mosaic: The detection mosaic.
        sources: With `x`, `y`, `a`, `b`, `theta`.
        segments: Whose pixels are left out around other sources; None leaves nothing out.
        factor: Of the Kron radius.
        minimum: Least size of the aperture, in units of the axes.
        reach: Where the sums end, in units of the axes.
        subpixels: Into how many parts an edge of a pixel is cut at the rim; 0 takes its exact share.
            SExtractor takes 1.

    Returns:
        Fluxes and Kron radii, in units of the axes.
    """
    sep = extractor()
    values, rms = np.ascontiguousarray(mosaic.values), np.ascontiguousarray(mosaic.rms)
    shape = [sources[name].to_numpy() for name in ("x", "y", "a", "b", "theta")]
    other = {} if segments is None else {"segmap": segments, "seg_id": np.arange(1, len(sources) + 1, dtype=np.int32)}
    radius, kron_flag = sep.kron_radius(values, *shape, reach, mask=mosaic.bad, **other)
    radius = np.where(np.isfinite(radius) & (radius > 0) & (radius < reach * 2), radius, 0.0)
    size = np.maximum(factor * radius, minimum)
    flux, error, flag = sep.sum_ellipse(
        values, *shape, np.maximum(size, 1e-6), err=rms, mask=mosaic.bad, subpix=subpixels, **other
    )
    return Fluxes(flux, error, _flags(sep, flag | kron_flag)), radius


def isophotal(mosaic: Mosaic, segments: np.ndarray, count: int) -> Fluxes:
    """Sums over the pixels of each source."""
    where = segments.ravel()
    flux = np.bincount(where, mosaic.values.ravel().astype(np.float64), minlength=count + 1)[1 : count + 1]
    variance = np.bincount(where, mosaic.rms.ravel().astype(np.float64) ** 2, minlength=count + 1)[1 : count + 1]
    flaws = np.bincount(where, mosaic.bad.ravel(), minlength=count + 1)[1 : count + 1]
    return Fluxes(flux, np.sqrt(variance), np.where(flaws > 0, FLAW, 0))


def aperture(mosaic: Mosaic, x: np.ndarray, y: np.ndarray, diameter: float, subpixels: int = 0) -> Fluxes:
    """Sums in circles; the noise counts as independent.

    Args:
        mosaic: The picture.
        x: Columns.
        y: Rows.
        diameter: Pixels.
        subpixels: Into how many parts an edge of a pixel is cut at the rim; 0 takes its exact share.
            SExtractor takes 5.
    """
    sep = extractor()
    flux, error, flag = sep.sum_circle(
        np.ascontiguousarray(mosaic.values),
        x,
        y,
        diameter / 2,
        err=np.ascontiguousarray(mosaic.rms),
        mask=mosaic.bad,
        subpix=subpixels,
    )
    return Fluxes(flux, error, _flags(sep, flag))


def centred(mosaic: Mosaic, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middles weighted by a Gaussian as wide as the point spread (XWIN, YWIN of SExtractor).

    Where the weighted middle runs more than a pixel away, the given one stays.
    """
    sep = extractor()
    sigma = fwhm(mosaic.psf_at(*(n / 2 for n in mosaic.values.shape))) / 2.3548
    column, row, _ = sep.winpos(np.ascontiguousarray(mosaic.values), x, y, np.full(len(x), sigma), mask=mosaic.bad)
    near = np.hypot(column - x, row - y) < 1
    return np.where(near, column, x), np.where(near, row, y)


def matched_apertures(
    mosaics: Sequence[Mosaic], x: np.ndarray, y: np.ndarray, multiples: Sequence[float] = (1, 2, 3, 4)
) -> tuple[Mapping[str, list[Fluxes]], float]:
    """Fluxes in apertures on pictures that are all as blurred as the worst.

    The diameters are multiples of the full width at half maximum of the worst point spread. Errors take into account
    that blurring correlates the noise: a sum over an aperture A of a picture blurred by K weighs the noise with A*K.

    Args:
        mosaics: Bands on one grid.
        x: Columns.
        y: Rows.
        multiples: Of the full width.

    Returns:
        Fluxes by band, one for each multiple, and the full width of the worst point spread in pixels.
    """
    middle = [n / 2 for n in mosaics[0].values.shape]
    spreads = [m.psf_at(*middle) for m in mosaics]
    widths = [fwhm(psf) for psf in spreads]
    worst = int(np.argmax(widths))
    found = {}
    for i, mosaic in enumerate(mosaics):
        if i == worst:
            found[mosaic.band] = [aperture(mosaic, x, y, n * widths[i]) for n in multiples]
            continue
        kernel = matching_kernel(spreads[i], spreads[worst])
        blurred = Mosaic(
            mosaic.band,
            convolved(mosaic.values, kernel).astype(np.float32),
            mosaic.rms,
            mosaic.bad,
            spreads[worst],
            mosaic.wcs,
        )
        found[mosaic.band] = []
        for n in multiples:
            fluxes = aperture(blurred, x, y, n * widths[worst])
            factor = correlation_factor(kernel, n * widths[worst])
            found[mosaic.band].append(fluxes._replace(error=fluxes.error * factor))
    return found, widths[worst]


def correlation_factor(kernel: np.ndarray, diameter: float) -> float:
    """By how much the noise of an aperture's sum on a blurred picture departs from that of independent pixels."""
    sep = extractor()
    edge = kernel.shape[0] + int(np.ceil(diameter)) + 3
    centre = edge // 2
    rows, cols = np.indices((edge, edge))
    near = np.hypot(rows - centre, cols - centre) < diameter / 2 + 2
    disc = np.zeros((edge, edge))
    unit = np.zeros((edge, edge))
    for row, col in np.argwhere(near):
        unit[row, col] = 1
        disc[row, col] = sep.sum_circle(unit, [centre], [centre], diameter / 2, subpix=0)[0][0]
        unit[row, col] = 0
    return float(np.sqrt((convolved(disc, kernel[::-1, ::-1]) ** 2).sum() / (disc**2).sum()))


def total(colour: np.ndarray, reference: np.ndarray, detection_total: np.ndarray) -> np.ndarray:
    """Total flux in a band: FLUX_DETECTION_TOTAL times the ratio of two fluxes that were measured alike.

    Args:
        colour: FLUX_<band>_nFWHM_APER, or FLUX_<band>_TEMPLFIT.
        reference: FLUX_VIS_nFWHM_APER, or FLUX_VIS_TO_<band>_TEMPLFIT.
        detection_total: FLUX_DETECTION_TOTAL.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(reference > 0, detection_total * colour / reference, np.nan)


def _flags(sep: Any, found: np.ndarray) -> np.ndarray:
    """Flags of sep's apertures as ours."""
    masked = found & (sep.APER_HASMASKED | sep.APER_ALLMASKED)
    cut = found & sep.APER_TRUNC
    return np.where(masked, FLAW, 0) | np.where(cut, EDGE, 0)
