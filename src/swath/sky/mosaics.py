"""Mosaics: one band of the sky on a grid, with its noise, its flaws and its point spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from swath.errors import DataError, GridError
from swath.sky.packages import package
from swath.sky.spread import resampled, tidy

if TYPE_CHECKING:
    from swath.geo.windows import Window

#: How far two grids may lie apart at a corner and still count as one, pixels.
_TOLERANCE = 0.05


@dataclass(frozen=True)
class Mosaic:
    """One band.

    Attributes:
        band: Its name, for example `VIS`, `H`, `G_EXT_DECAM`.
        values: Flux of each pixel, microjansky, `[H, W]` float32; finite wherever `bad` is not set.
        rms: Standard deviation of the noise of each pixel, microjansky; what correlated noise needs is in it already.
        bad: Pixels that hold no sky: saturated, dead, not covered.
        psf: Point spread `[h, w]`, or `[R, C, h, w]` for a grid of them that spans the mosaic.
        wcs: Where the pixels are, an `astropy.wcs.WCS`.
    """

    band: str
    values: np.ndarray
    rms: np.ndarray
    bad: np.ndarray
    psf: np.ndarray
    wcs: Any

    @property
    def scale(self) -> float:
        """Edge of a pixel, arcsec."""
        return pixel_scale(self.wcs)

    def psf_at(self, row: float, col: float) -> np.ndarray:
        """The point spread of the cell that a pixel lies in."""
        if self.psf.ndim == 2:
            return self.psf
        rows, cols = self.psf.shape[:2]
        height, width = self.values.shape
        i = min(max(int(row * rows / height), 0), rows - 1)
        j = min(max(int(col * cols / width), 0), cols - 1)
        return np.asarray(self.psf[i, j])

    def cut(self, window: Window) -> Mosaic:
        """The part in a window, with the point spread of its middle."""
        rows, cols = window.slices
        middle = (window.row + window.height / 2, window.col + window.width / 2)
        values, rms, bad = (np.array(a[rows, cols]) for a in (self.values, self.rms, self.bad))
        return Mosaic(self.band, values, rms, bad, self.psf_at(*middle), self.wcs[rows, cols])


def make_mosaic(
    band: str,
    counts: np.ndarray,
    rms: np.ndarray,
    psf: np.ndarray,
    wcs: Any,
    *,
    zero_point: float,
    bad: np.ndarray | None = None,
) -> Mosaic:
    """A mosaic from counts, with everything checked.

    Args:
        band: Its name.
        counts: `[H, W]`.
        rms: Standard deviation of each pixel, counts.
        psf: Point spread, or a grid of them.
        wcs: Where the pixels are, an `astropy.wcs.WCS`.
        zero_point: AB magnitude of one count.
        bad: Pixels that hold no sky.

    Raises:
        DataError: If a pixel that is not bad is not finite or has no positive noise, or the point spread is unusable.
        GridError: If the shapes differ, or the projection is not one of the sky with square pixels.
    """
    if counts.ndim != 2 or rms.shape != counts.shape or (bad is not None and bad.shape != counts.shape):
        shapes = [a.shape for a in (counts, rms, bad) if a is not None]
        raise GridError(f"Picture, noise and flags of {band} do not fit", got=shapes, expected="one shape [H, W]")
    pixel_scale(wcs, band)
    bad = np.zeros(counts.shape, bool) if bad is None else np.asarray(bad, bool)
    hollow = ~np.isfinite(counts) & ~bad
    if hollow.any():
        raise DataError(
            f"The mosaic of {band} holds values that are not numbers",
            got=f"{int(hollow.sum())} pixels, the first at row, col {tuple(int(i) for i in np.argwhere(hollow)[0])}",
            expected="numbers wherever the flag map is 0",
            fix="Flag the pixels that no exposure covers",
        )
    unusable = ~(np.isfinite(rms) & (rms > 0)) & ~bad
    if unusable.any():
        raise DataError(
            f"The noise of {band} is not positive",
            got=f"{int(unusable.sum())} pixels, the least {np.min(rms):.4g}",
            expected="a positive standard deviation wherever the flag map is 0",
            fix="A weight of 0 means no data; negative weights and NaN have no meaning",
        )
    if bad.all():
        raise DataError(f"Every pixel of {band} is flagged")
    factor = 10 ** (0.4 * (23.9 - zero_point))
    values = np.where(bad, 0, counts * factor).astype(np.float32)
    noise = np.where(bad, np.median(rms[~bad]) * factor, rms * factor).astype(np.float32)
    return Mosaic(band, values, noise, bad, tidy(psf, band), wcs)


def pixel_scale(wcs: Any, name: str = "The mosaic") -> float:
    """Edge of a pixel, arcsec.

    Raises:
        GridError: If the projection is not one of the sky, or its pixels are not square.
    """
    if not wcs.has_celestial:
        raise GridError(
            f"{name} has no projection of the sky",
            got=list(wcs.wcs.ctype),
            expected="CTYPE1 and CTYPE2 such as RA---TAN and DEC--TAN, with CRVAL, CRPIX and CD",
            fix="Solve the astrometry first, or write the cards into the header",
        )
    across, down = package("astropy.wcs.utils").proj_plane_pixel_scales(wcs.celestial)
    if not np.isclose(across, down, rtol=1e-3):
        raise GridError(f"{name} has pixels that are not square", got=f'{across * 3600:.4f}" x {down * 3600:.4f}"')
    return float(across * 3600)


def on_one_grid(mosaics: Sequence[Mosaic], *, resample: bool = False) -> list[Mosaic]:
    """The mosaics on the grid of the first.

    Args:
        mosaics: Bands of one piece of sky.
        resample: Whether those on other grids are brought over (cubic, flux kept); else they are refused.

    Raises:
        DataError: If a band stands twice.
        GridError: If grids differ and `resample` is not set, or a mosaic lies elsewhere.
    """
    names = [m.band for m in mosaics]
    if len(set(names)) < len(names):
        raise DataError("A band stands twice", got=", ".join(names), fix="Join its pictures with `coadd` first")
    first = mosaics[0]
    found = [first]
    for mosaic in mosaics[1:]:
        if same_grid(first, mosaic):
            found.append(mosaic)
        elif resample:
            found.append(brought_over(mosaic, first))
        else:
            raise GridError(
                f"{mosaic.band} lies on another grid than {first.band}",
                got=f'{mosaic.values.shape} pixels of {mosaic.scale:.4f}"',
                expected=f'{first.values.shape} pixels of {first.scale:.4f}", the same corners',
                fix="Say `resample` to bring it over; its noise will then be correlated",
            )
    return found


def same_grid(a: Mosaic, b: Mosaic) -> bool:
    """Whether two mosaics have the same pixels, to a twentieth of one."""
    if a.values.shape != b.values.shape:
        return False
    height, width = a.values.shape
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], float)
    with np.errstate(invalid="ignore"):
        there = b.wcs.celestial.wcs_world2pix(a.wcs.celestial.wcs_pix2world(corners, 0), 0)
    return bool(np.abs(there - corners).max() < _TOLERANCE)


def brought_over(mosaic: Mosaic, onto: Mosaic) -> Mosaic:
    """A mosaic on the grid of another, by cubic interpolation of its surface brightness.

    Interpolation correlates the noise of neighbours. The noise given back is that of independent pixels whose sums
    over many pixels scatter as the sums of the interpolated ones do: a pixel of p arcsec cut out of one of P arcsec
    has p/P of its standard deviation, (p/P)^2 of its flux.

    Raises:
        GridError: If the two do not overlap.
    """
    reproject_interp = package("reproject").reproject_interp
    ratio = onto.scale / mosaic.scale

    def warped(values: np.ndarray, order: str) -> tuple[np.ndarray, np.ndarray]:
        return reproject_interp((values, mosaic.wcs.celestial), onto.wcs.celestial, onto.values.shape, order=order)

    values, covered = warped(mosaic.values.astype(np.float64), "bicubic")
    variance, _ = warped(mosaic.rms.astype(np.float64) ** 2, "bilinear")
    flaws, _ = warped(mosaic.bad.astype(np.float64), "bilinear")
    bad = (covered == 0) | ~np.isfinite(values) | ~(flaws < 0.01) | ~(variance > 0)
    if bad.all():
        raise GridError(f"{mosaic.band} does not overlap {onto.band}")
    rms = np.sqrt(np.where(bad, 1, variance)) * ratio
    rms[bad] = np.median(rms[~bad])
    stamps = mosaic.psf if mosaic.psf.ndim == 4 else mosaic.psf[None, None]
    psf = np.array([[resampled(stamp, 1 / ratio) for stamp in row] for row in stamps])
    return Mosaic(
        mosaic.band,
        np.where(bad, 0, values * ratio**2).astype(np.float32),
        rms.astype(np.float32),
        bad,
        psf if mosaic.psf.ndim == 4 else psf[0, 0],
        onto.wcs,
    )


def coadd(mosaics: Sequence[Mosaic]) -> Mosaic:
    """The mean of pictures of one band on one grid, weighted by inverse variance; so is its point spread.

    Raises:
        GridError: If their grids differ.
    """
    first = mosaics[0]
    if not all(same_grid(first, m) for m in mosaics):
        raise GridError("Pictures to be joined lie on several grids", fix="Bring them over first")
    stamps = [m.psf_at(*(n / 2 for n in m.values.shape)) for m in mosaics]
    weights = [float(np.mean(1 / m.rms.astype(np.float64) ** 2)) for m in mosaics]
    return mean(mosaics, _mean_spread(stamps, weights))


def mean(mosaics: Sequence[Mosaic], psf: np.ndarray) -> Mosaic:
    """The mean of mosaics on one grid, weighted by inverse variance; a pixel is bad where none has it.

    Args:
        mosaics: Of the same shape.
        psf: Point spread of the mean.
    """
    weights = [np.where(m.bad, 0, 1 / m.rms.astype(np.float64) ** 2) for m in mosaics]
    total = np.sum(weights, axis=0)
    bad = total == 0
    safe = np.where(bad, 1, total)
    values = np.sum([w * m.values for w, m in zip(weights, mosaics, strict=True)], axis=0) / safe
    rms = np.where(bad, np.median(mosaics[0].rms), 1 / np.sqrt(safe))
    return replace(mosaics[0], values=values.astype(np.float32), rms=rms.astype(np.float32), bad=bad, psf=psf)


def _mean_spread(stamps: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    edge = max(max(s.shape) for s in stamps)
    total = np.zeros((edge, edge))
    for stamp, weight in zip(stamps, weights, strict=True):
        top, left = ((edge - n) // 2 for n in stamp.shape)
        total[top : top + stamp.shape[0], left : left + stamp.shape[1]] += weight * stamp
    return total / total.sum()
