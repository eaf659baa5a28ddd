"""Filters for a weak target in the spectra of many pixels: CEM, MF, ACE, Mag1c and Mag1c-SAS.

Convention: `pixels` are radiances `[bands, pixels]` of one background: a detector column, or a tile. `absorption`
`[bands]` is the unit absorption of the gas, d ln(radiance) / d column, per ppm m: negative where the gas absorbs. The
unit is that of nature; scaling to numbers near 1 happens inside.

Sources: Farrand and Harsanyi 1997 (CEM); Manolakis et al. 2003 (MF, ACE); Foote et al. 2020,
doi:10.1109/TGRS.2020.2976888 (Mag1c, algorithm 1); Herec et al. 2025 (Mag1c-SAS).
"""

from __future__ import annotations

import numpy as np

from swath.errors import DataError
from swath.spectral.statistics import Precision, blocks, covariance, factor, mean, project, solve

#: Columns are computed in this many ppm m, so that absorption is near 1.
UNIT = 1e5
#: Iterations of Mag1c's reweighting, and of the sparsity steps of Mag1c-SAS.
ITERATIONS, SPARSITY_STEPS = 30, 3
#: Kept from zero by this when weights are inverted, in `UNIT`.
_EPSILON = 1e-9
#: Pixels per band below which statistics are too poor for Mag1c-SAS.
SAMPLES_PER_BAND = 4


def cem(pixels: np.ndarray, absorption: np.ndarray, precision: Precision = "float64") -> np.ndarray:
    """Constrained energy minimisation: score `[pixels]`, 1 for the absorption spectrum itself (per `UNIT`), unitless.

    Raises:
        DataError: If the pixels do not span their bands, or a number is not finite.
    """
    target = _target(pixels, absorption)
    weights = solve(covariance(pixels, None, precision), target)
    return project(pixels, weights / (target @ weights), precision)


def matched_filter(pixels: np.ndarray, absorption: np.ndarray, precision: Precision = "float64") -> np.ndarray:
    """Matched filter with a multiplicative target: column enhancement `[pixels]` in ppm m, of either sign.

    Raises:
        DataError: If the pixels do not span their bands, or a number is not finite.
    """
    target = _target(pixels, absorption)
    centre = mean(pixels, precision)
    target = target * centre
    weights = solve(covariance(pixels, centre, precision), target)
    weights *= UNIT / (target @ weights)
    return project(pixels, weights, precision) - np.dtype(precision).type(centre @ weights)


def ace(pixels: np.ndarray, absorption: np.ndarray, precision: Precision = "float64") -> np.ndarray:
    """Adaptive cosine estimator: squared cosine `[pixels]` of pixel and target in whitened space, 0 to 1.

    The covariance has N - 1 in its denominator. A pixel that equals the mean scores 0.

    Raises:
        DataError: If the pixels do not span their bands, or a number is not finite.
    """
    target = _target(pixels, absorption)
    centre = mean(pixels, precision)
    count = pixels.shape[1]
    root = factor(covariance(pixels, centre, precision) * (count / max(count - 1, 1)))
    whitener = np.linalg.solve(root, np.eye(len(root)))
    aim = whitener @ (target * centre)
    aim /= np.linalg.norm(aim)
    whitener, aim, centre = whitener.astype(precision), aim.astype(precision), centre.astype(precision)
    found = np.empty(count, precision)
    for part, spectra in blocks(pixels, precision):
        white = whitener @ (spectra - centre[:, None])
        energy = np.einsum("bp,bp->p", white, white)
        np.divide((aim @ white) ** 2, energy, out=found[part], where=energy > 0)
        found[part][energy == 0] = 0
    return np.minimum(found, 1, out=found)


def mag1c(
    pixels: np.ndarray, absorption: np.ndarray, iterations: int = ITERATIONS, precision: Precision = "float64"
) -> np.ndarray:
    """Mag1c: albedo-corrected matched filter with reweighted L1 sparsity; column `[pixels]` in ppm m, none negative.

    Taking s_i times the target from pixel x_i changes mean and covariance by terms of rank two,
    C = C0 - c t' - t c' + var(s) t t' with c = cov(x, s), so an iteration reads the pixels once.

    Args:
        pixels: Radiances `[bands, pixels]`.
        absorption: Per ppm m `[bands]`.
        iterations: How often weights and statistics are renewed; 0 is the albedo-corrected matched filter.
        precision: Of the passes over pixels.

    Raises:
        DataError: If the pixels do not span their bands, or a number is not finite.
    """
    return _iterate(pixels, _target(pixels, absorption), iterations, precision)[0] * np.dtype(precision).type(UNIT)


def mag1c_sas(
    pixels: np.ndarray,
    absorption: np.ndarray,
    share: float = 0.01,
    fewest: int | None = None,
    precision: Precision = "float64",
) -> np.ndarray:
    """Mag1c-SAS: statistics of Mag1c from a regular sample, then three sparsity steps for every pixel, in ppm m.

    Args:
        pixels: Radiances `[bands, pixels]`.
        absorption: Per ppm m `[bands]`.
        share: Of the pixels in the sample.
        fewest: Pixels that the sample has at least; by default four per band. The release takes 1.
        precision: Of the passes over pixels.

    Raises:
        DataError: If the pixels do not span their bands, or a number is not finite.
    """
    target = _target(pixels, absorption)
    sample = np.ascontiguousarray(
        pixels[:, sample_of(pixels.shape[1], share, fewest or SAMPLES_PER_BAND * len(pixels))]
    )
    _, centre, weights, norm = _iterate(sample, target, ITERATIONS, precision)
    kind = np.dtype(precision).type
    pair = np.stack((centre / (centre @ centre), weights)).astype(precision)
    offset, floor, found = kind(centre @ weights), kind(max(norm, 1.0)), np.empty(pixels.shape[1], precision)
    for part, spectra in blocks(pixels, precision):
        albedo, start = pair @ spectra
        scale = albedo * floor
        start = np.maximum((start - offset) / scale, 0)
        penalty = 1 / (albedo * scale)
        column = start
        for _ in range(SPARSITY_STEPS):
            column = np.maximum(start - penalty / (column + kind(_EPSILON)), 0)
        found[part] = column * kind(UNIT)
    return found


def sample_of(count: int, share: float, fewest: int = 1) -> slice:
    """Every k-th of `count` pixels, so that about `share` of them and at least `fewest` are taken."""
    size = min(count, max(fewest, int(share * count)))
    step = max(1, count // size)
    return slice(0, step * size, step)


def _iterate(
    pixels: np.ndarray, target_per_mean: np.ndarray, iterations: int, precision: Precision
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Column in `UNIT` `[pixels]`, and the last mean, weights (C^-1 target) and norm (target' C^-1 target)."""
    kind = np.dtype(precision).type
    count = pixels.shape[1]
    first_mean = centre = mean(pixels, precision)
    first_covariance = covariance(pixels, centre, precision)
    albedo = project(pixels, centre / (centre @ centre), precision)
    target = target_per_mean * centre
    weights = solve(first_covariance, target)
    norm = float(target @ weights)
    column = np.maximum((project(pixels, weights, precision) - kind(centre @ weights)) / (albedo * kind(norm)), 0)
    removed = albedo * column
    products = np.zeros(len(pixels))
    for part, spectra in blocks(pixels, precision):
        products += spectra @ removed[part]
    for _ in range(iterations):
        # statistics without the gas that was found so far
        share = float(removed.sum(dtype=np.float64)) / count
        spread = float(removed @ removed) / count - share**2
        common = products / count - first_mean * share
        outer = np.outer(common, target)
        matrix = first_covariance - outer - outer.T + spread * np.outer(target, target)
        centre = first_mean - share * target
        target = target_per_mean * centre
        weights = solve(matrix, target)
        norm = max(float(target @ weights), 1.0)
        # one pass over the pixels: the column, and what the next statistics need
        vector, offset = weights.astype(precision), kind(centre @ weights)
        products = np.zeros(len(pixels))
        for part, spectra in blocks(pixels, precision):
            bright, found = albedo[part], column[part]
            penalty = 1 / (bright * (found + kind(_EPSILON)))
            np.maximum((vector @ spectra - offset - penalty) / (bright * kind(norm)), 0, out=found)
            np.multiply(bright, found, out=removed[part])
            products += spectra @ removed[part]
    return column, centre, weights, norm


def _target(pixels: np.ndarray, absorption: np.ndarray) -> np.ndarray:
    """Absorption per `UNIT`, float64; refuses what no filter can use."""
    absorption = np.asarray(absorption, np.float64)
    if pixels.ndim != 2 or absorption.shape != (len(pixels),):
        raise DataError(
            "Pixels and absorption do not fit",
            got=f"pixels {pixels.shape}, absorption {absorption.shape}",
            expected="[bands, pixels] and [bands]",
        )
    if pixels.shape[1] <= len(pixels):
        raise DataError(
            "There are too few pixels for the statistics of a filter",
            got=f"{pixels.shape[1]} pixels of {len(pixels)} bands",
            expected="more pixels than bands",
            fix="Group more columns, use tiles, or select fewer bands",
        )
    if not np.isfinite(absorption).all() or not absorption.any():
        raise DataError("The absorption spectrum is not finite, or zero in all bands")
    return absorption * UNIT
