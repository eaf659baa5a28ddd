"""Detection: background, sources above the noise, blends taken apart, and two lists joined into one.

The algorithms are those of SExtractor (Bertin and Arnouts 1996), run by `sep`. How MER's own background and deblending
work is not public; mesh background and multi-threshold deblending are our choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import ndimage

from swath.errors import RunError
from swath.sky.mosaics import Mosaic, mean
from swath.sky.packages import extractor
from swath.sky.spread import fwhm

#: What `sep.extract` tells of a source and a catalogue keeps.
_COLUMNS = ("x", "y", "a", "b", "theta", "x2", "y2", "xy", "errx2", "erry2", "npix", "peak", "flag")


@dataclass(frozen=True)
class Detection:
    """Sources of one picture.

    Attributes:
        sources: One row a source: `x`, `y` (pixels), `a`, `b` (standard deviations along the axes, pixels), `theta`
            (of the major axis from the columns toward the rows, radians), second moments `x2`, `y2`, `xy` and their
            errors, `npix`, `peak` (microjansky), `xpeak`, `ypeak`, `flag` (of SExtractor).
        segments: Row of `sources` plus one of each pixel, 0 where there is none, `[H, W]` int32.
    """

    sources: pd.DataFrame
    segments: np.ndarray


def background(
    values: np.ndarray, bad: np.ndarray | None = None, *, mesh: int = 64, filter_size: int = 3, passes: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Background and noise of a picture, each a mesh of clipped modes, median-filtered and interpolated by splines.

    Args:
        values: The picture.
        bad: Pixels to leave out.
        mesh: Edge of a cell, pixels.
        filter_size: Edge of the median filter, cells.
        passes: How often sources are looked for, grown by three pixels and left out; 0 leaves nothing out.

    Returns:
        Background and noise of each pixel, float32.
    """
    sep = extractor()
    values = np.ascontiguousarray(values, np.float32)
    mask = np.zeros(values.shape, bool) if bad is None else bad
    options = {"bw": mesh, "bh": mesh, "fw": filter_size, "fh": filter_size}
    found = sep.Background(values, mask=mask, **options)
    for _ in range(passes):
        residual = Mosaic("", values - found.back(), found.rms(), mask, np.ones((1, 1)), None)
        sources = detect(residual, minimum_area=5, kernel=_gaussian(3.0), deblend_contrast=1.0).segments > 0
        grown = ndimage.binary_dilation(sources, iterations=3)
        if grown.mean() > 0.8:
            break
        found = sep.Background(values, mask=mask | grown, **options)
    return found.back(), found.rms()


def without_background(mosaic: Mosaic, *, mesh: int = 64) -> Mosaic:
    """The mosaic less its residual background, from which sources were left out."""
    level, _ = background(mosaic.values, mosaic.bad, mesh=mesh)
    return replace(mosaic, values=np.where(mosaic.bad, 0, mosaic.values - level).astype(np.float32))


def stack(mosaics: Sequence[Mosaic]) -> Mosaic:
    """The mean of bands on one grid, weighted by inverse variance: the picture of a flat spectrum.

    The point spread is that of the widest band.
    """
    widest = max((m.psf_at(*(n / 2 for n in m.values.shape)) for m in mosaics), key=fwhm)
    return replace(mean(mosaics, widest), band="+".join(m.band for m in mosaics))


def detect(
    mosaic: Mosaic,
    *,
    threshold: float = 4.0,
    minimum_area: int = 3,
    kernel: np.ndarray | None = None,
    deblend_levels: int = 32,
    deblend_contrast: float = 0.001,
) -> Detection:
    """Find sources.

    Args:
        mosaic: Background subtracted.
        threshold: Of a pixel of the filtered picture, in units of its noise there. The 1.5 sigma of SExtractor, which
            counts in the noise before its filter of 3 x 3 pixels, are 4.
        minimum_area: Of a source, pixels above the threshold.
        kernel: Of the filter; by default a Gaussian as wide as the point spread.
        deblend_levels: Thresholds of the deblending tree.
        deblend_contrast: Least share of the light of the whole that a branch must hold to be a source of its own.

    Raises:
        RunError: If more pixels lie above the threshold than a picture of the sky can have.
    """
    sep = extractor()
    kernel = _gaussian(fwhm(mosaic.psf)) if kernel is None else np.asarray(kernel, np.float32)
    try:
        found, segments = sep.extract(
            np.ascontiguousarray(mosaic.values),
            threshold * float(np.sqrt((kernel**2).sum()) / kernel.sum()),
            err=np.ascontiguousarray(mosaic.rms),
            mask=mosaic.bad,
            minarea=minimum_area,
            filter_kernel=kernel,
            filter_type="conv",
            deblend_nthresh=deblend_levels,
            deblend_cont=deblend_contrast,
            segmentation_map=True,
        )
    except Exception as error:
        if type(error) is not Exception:  # sep raises bare ones where its buffers are full
            raise
        raise RunError(
            f"Detection on {mosaic.band} ran out of room",
            got=error,
            fix="Raise the threshold, or check that the background is subtracted and the noise is right",
        ) from error
    columns = {name: found[name].astype(np.int64 if name in ("npix", "flag") else np.float64) for name in _COLUMNS}
    # theta is single precision, of which half pi is more than half pi; a line of pixels has no minor axis
    columns["theta"] = np.clip(columns["theta"], -np.pi / 2, np.pi / 2)
    columns |= {axis: np.maximum(np.nan_to_num(columns[axis]), 0.3) for axis in ("a", "b")}
    columns |= {"xpeak": found["xcpeak"].astype(np.int64), "ypeak": found["ycpeak"].astype(np.int64)}
    return Detection(pd.DataFrame(columns), segments.astype(np.int32))


def merge(vis: Detection, nir: Detection, radius: float) -> Detection:
    """VIS sources, and behind them those that only the near infrared shows.

    A near-infrared source is another sight of a VIS source if its peak lies on one's pixels, or its middle within
    `radius` of one's middle. What is left keeps those of its pixels that no VIS source has.

    Args:
        vis: Sources of VIS; these have priority.
        nir: Sources of the near-infrared stack, on the same grid.
        radius: Pixels.

    Returns:
        Sources with a further column `vis`, whether they are of VIS.
    """
    from scipy.spatial import cKDTree

    a, b = vis.sources, nir.sources
    seen = vis.segments[b["ypeak"], b["xpeak"]] > 0
    if len(a) and len(b):
        distance, _ = cKDTree(a[["x", "y"]]).query(b[["x", "y"]])
        seen |= distance < radius
    free = np.where(vis.segments == 0, nir.segments, 0)
    seen |= np.bincount(free.ravel(), minlength=len(b) + 1)[1:] == 0
    number = np.zeros(len(b) + 1, np.int32)
    number[1:][~seen] = len(a) + 1 + np.arange((~seen).sum())
    sources = pd.concat([a.assign(vis=True), b[~seen].assign(vis=False)], ignore_index=True)
    return Detection(sources, np.where(vis.segments > 0, vis.segments, number[free]).astype(np.int32))


def _gaussian(width: float) -> np.ndarray:
    """A Gaussian of full width `width` at half maximum, peak one, cut at two standard deviations or more."""
    sigma = width / 2.3548
    half = max(1, int(np.ceil(2 * sigma)))
    across = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    return np.outer(across, across).astype(np.float32)
