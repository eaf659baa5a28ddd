"""What sources look like: point or not, real or not, and the numbers of their morphology."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from scipy import ndimage, special

from swath.sky.mosaics import Mosaic
from swath.sky.packages import package
from swath.sky.photometry import aperture
from swath.sky.spread import fwhm

#: Columns of `morphology` by the attribute of statmorph.
MORPHOLOGY = {
    "CONCENTRATION": "concentration",
    "ASYMMETRY": "asymmetry",
    "SMOOTHNESS": "smoothness",
    "GINI": "gini",
    "MOMENT_20": "m20",
}


def point_like(mosaic: Mosaic, sources: pd.DataFrame, psf: np.ndarray, tolerance: float = 0.03) -> np.ndarray:
    """How likely a point would look at least as extended as each source, 0..1.

    The light within one full width of the point spread is set against that within three; a point has the share of the
    point spread itself. The measure is ours: what MER trains for this is not public.

    Args:
        mosaic: The sharp picture.
        sources: With `x`, `y`.
        psf: Its point spread.
        tolerance: Relative error of the point spread.
    """
    x, y = sources["x"].to_numpy(), sources["y"].to_numpy()
    width = fwhm(psf)
    near, wide = (aperture(mosaic, x, y, n * width) for n in (1, 3))
    middle = np.array([psf.shape[0] // 2], float)
    stamp = Mosaic("", psf.astype(np.float32), np.ones(psf.shape, np.float32), np.zeros(psf.shape, bool), psf, None)
    expected = float(np.divide(*(aperture(stamp, middle, middle, n * width).flux[0] for n in (1, 3))))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = near.flux / wide.flux
        error = np.hypot(near.error / wide.flux, near.flux * wide.error / wide.flux**2)
        z = (expected - share) / np.hypot(error, tolerance * expected)
    return np.where(np.isfinite(z), np.minimum(special.erfc(z / np.sqrt(2)), 1), 0)


def spurious(significance: np.ndarray, of_noise: np.ndarray) -> np.ndarray:
    """How likely each source is noise, 0..1: what is found in the picture with its sign turned is noise alone.

    Args:
        significance: Signal to noise of the sources.
        of_noise: The same of what is found in the turned picture.
    """
    levels = np.sort(significance)
    real = len(levels) - np.searchsorted(levels, significance)
    false = len(of_noise) - np.searchsorted(np.sort(of_noise), significance)
    return np.minimum(false / np.maximum(real, 1), 1)


def morphology(
    mosaic: Mosaic, sources: pd.DataFrame, segments: np.ndarray, which: np.ndarray, psf: np.ndarray
) -> pd.DataFrame:
    """Concentration, asymmetry, smoothness, Gini and M20 (statmorph, Rodriguez-Gomez et al. 2019).

    Args:
        mosaic: The sharp picture.
        sources: As many rows as `segments` has numbers.
        segments: Number of the source of each pixel from 1.
        which: Rows to be measured.
        psf: Point spread.

    Returns:
        A row for each of `sources`, NaN where it was not measured or statmorph calls it bad.
    """
    found = pd.DataFrame(np.nan, index=range(len(sources)), columns=list(MORPHOLOGY))
    if not len(which):
        return found
    statmorph = package("statmorph")
    boxes = ndimage.find_objects(segments, max_label=len(sources))
    for i in which:
        if boxes[i] is None:
            continue
        pad = 20 + int(1.5 * max(s.stop - s.start for s in boxes[i]))
        at = tuple(
            slice(max(s.start - pad, 0), min(s.stop + pad, n)) for s, n in zip(boxes[i], segments.shape, strict=True)
        )
        own = segments[at]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # statmorph says by its flag what its parts warn of
            source = statmorph.SourceMorphology(
                mosaic.values[at].astype(np.float64),
                (own == i + 1).astype(np.int64),
                1,
                mask=mosaic.bad[at] | ((own != i + 1) & (own != 0)),
                weightmap=mosaic.rms[at].astype(np.float64),
                psf=psf,
                sersic_maxiter=1,  # profiles are fitted elsewhere
            )
        if source.flag < 2:
            found.loc[i] = [getattr(source, name) for name in MORPHOLOGY.values()]
    return found
