"""Sersic profiles blurred by a point spread: drawn, and fitted to the sharp picture.

I(r) = I_e exp(-b_n ((r / R_e)^(1/n) - 1)) (Sersic 1963); b_n so that half the light lies within R_e. The total is
2 pi q n R_e^2 I_e e^b b^(-2n) Gamma(2n) (Graham and Driver 2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage, optimize, special

from swath.sky.mosaics import Mosaic
from swath.sky.spread import convolved

#: Limits of a fit: R_e in pixels, n, axis ratio.
_LIMITS = {"radius": (0.1, 100.0), "n": (0.3, 6.0), "ratio": (0.05, 1.0)}


@dataclass(frozen=True)
class Sersic:
    """A profile.

    Attributes:
        x: Column of its middle.
        y: Row of its middle.
        radius: R_e along the major axis, pixels.
        n: Index.
        ratio: Of the axes.
        angle: Of the major axis from the columns toward the rows, radians.
    """

    x: float
    y: float
    radius: float
    n: float
    ratio: float
    angle: float


def draw(profile: Sersic, psf: np.ndarray, row: int, col: int, shape: tuple[int, int]) -> np.ndarray:
    """A profile of unit light, integrated over pixels and blurred, on the pixels from `row`, `col` on.

    Around the middle, where the profile turns within a pixel, each pixel is the mean of 15 x 15 points.
    """
    half = psf.shape[0] // 2
    y, x = (np.arange(n + 2 * half) + first - half for n, first in zip(shape, (row, col), strict=True))
    light = _mean_of_points(profile, y, x, 1)
    near = [np.flatnonzero(np.abs(v - at) < 4) for v, at in ((y, profile.y), (x, profile.x))]
    if all(len(n) for n in near):
        light[np.ix_(*near)] = _mean_of_points(profile, y[near[0]], x[near[1]], 15)
    light = convolved(light, psf)
    return light[half : half + shape[0], half : half + shape[1]]


def fit_profiles(
    mosaic: Mosaic, sources: pd.DataFrame, segments: np.ndarray, which: np.ndarray, psf: np.ndarray
) -> list[tuple[Sersic, np.ndarray] | None]:
    """Fit a blurred profile to each of some sources, pixels of all other sources left out.

    Args:
        mosaic: The sharp picture.
        sources: With `x`, `y`, `a`, `b`, `theta`.
        segments: Number of the source of each pixel from 1.
        which: Rows of `sources`.
        psf: Point spread of the picture.

    Returns:
        For each of `which` the profile and its standard deviations (x, y, radius, n, ratio, angle); None where the fit
        did not end.
    """
    shape = mosaic.values.shape
    boxes = ndimage.find_objects(segments, max_label=len(sources))
    found: list[tuple[Sersic, np.ndarray] | None] = []
    for i in which:
        box, source = boxes[i], sources.iloc[i]
        if box is None:
            found.append(None)
            continue
        margin = int(np.clip(2 * source["a"], 5, 25))
        rows, cols = (slice(max(s.start - margin, 0), min(s.stop + margin, n)) for s, n in zip(box, shape, strict=True))
        own = segments[rows, cols]
        used = ((own == 0) | (own == i + 1)) & ~mosaic.bad[rows, cols]
        found.append(
            _fit(mosaic.values[rows, cols], mosaic.rms[rows, cols], used, source, psf, (rows.start, cols.start))
        )
    return found


def _fit(
    values: np.ndarray, rms: np.ndarray, used: np.ndarray, source: pd.Series, psf: np.ndarray, corner: tuple[int, int]
) -> tuple[Sersic, np.ndarray] | None:
    """Least squares in six parameters; the flux follows from each set of them (Golub and Pereyra 1973)."""
    data = (values / rms)[used].astype(np.float64)

    def profile(p: np.ndarray) -> Sersic:
        # the shape as two ellipticities, which know no turn of the angle
        size = min(float(np.hypot(p[4], p[5])), 0.95)
        ratio = max((1 - size) / (1 + size), _LIMITS["ratio"][0])
        return Sersic(p[0], p[1], np.exp(p[2]), np.exp(p[3]), ratio, 0.5 * np.arctan2(p[5], p[4]))

    def residual(p: np.ndarray) -> np.ndarray:
        light = (draw(profile(p), psf, *corner, values.shape) / rms)[used]
        return np.asarray(data - light * ((light @ data) / (light @ light)))

    ratio = np.clip(source["b"] / source["a"], 0.1, 0.99)
    size = (1 - ratio) / (1 + ratio)
    bright = np.array([size * np.cos(2 * source["theta"]), size * np.sin(2 * source["theta"])])
    start = np.array([source["x"], source["y"], np.log(np.clip(source["a"], 0.5, 50)), np.log(1.5), *bright])
    wide = np.array([3, 3])
    low = [*(start[:2] - wide), *(np.log(_LIMITS[k][0]) for k in ("radius", "n")), -0.95, -0.95]
    high = [*(start[:2] + wide), *(np.log(_LIMITS[k][1]) for k in ("radius", "n")), 0.95, 0.95]
    if used.sum() < 12:
        return None
    try:
        done = optimize.least_squares(
            residual, start, bounds=(low, high), max_nfev=30, x_scale=[1, 1, 0.3, 0.3, 0.2, 0.2]
        )
        spread = np.sqrt(np.maximum(np.diag(np.linalg.pinv(done.jac.T @ done.jac)), 0))
    except (ValueError, np.linalg.LinAlgError):
        return None
    fitted = profile(done.x)
    e = max(float(np.hypot(*done.x[4:])), 1e-3)
    shape_error = float(np.hypot(*spread[4:])) / np.sqrt(2)
    errors = [*spread[:2], fitted.radius * spread[2], fitted.n * spread[3]]
    return fitted, np.array([*errors, 2 * shape_error / (1 + e) ** 2, min(shape_error / (2 * e), np.pi / 2)])


def _mean_of_points(p: Sersic, y: np.ndarray, x: np.ndarray, fold: int) -> np.ndarray:
    """The profile of unit light on pixels, each the mean of `fold` x `fold` points."""
    steps = (np.arange(fold) + 0.5) / fold - 0.5
    dy, dx = ((v[:, None] + steps - at).ravel() for v, at in ((y, p.y), (x, p.x)))
    cos, sin = np.cos(p.angle), np.sin(p.angle)
    major = dx[None] * cos + dy[:, None] * sin
    minor = (dy[:, None] * cos - dx[None] * sin) / p.ratio
    b = float(special.gammaincinv(2 * p.n, 0.5))
    total = 2 * np.pi * p.ratio * p.n * p.radius**2 * b ** (-2 * p.n) * special.gamma(2 * p.n)
    light = np.exp(-b * ((major**2 + minor**2) / p.radius**2) ** (0.5 / p.n)) / total
    return np.asarray(light.reshape(len(y), fold, len(x), fold).mean((1, 3)))
