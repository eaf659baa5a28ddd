"""Observational studies whose confounder an image shows, with a known effect: two of Jerzak, Johansson & Daoud (2023).

`confounded_study` is the simulation of the authors' package, `pattern_study` that of the paper: the confounder is the
pooled response of an image to a kernel, so that whether it can be adjusted for hangs on scale and resolution.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

from swath.causal.units import Units


def confounded_study(count: int, seed: int, effect: float = 2.0, edge: int = 64, covariates: bool = True) -> Units:
    """Units with an image each: `logit P(treated) = C + X1 + X2`, `outcome = effect * treated + C + X1 + X2 + noise`.

    All are standard normal. The first of three bands shows C, scaled to 0..1 over the study; the others are noise.

    Args:
        count: Of units.
        seed: Everything random follows from it.
        effect: Of the treatment.
        edge: Of an image in pixels.
        covariates: Whether X1 and X2 are told.
    """
    random = np.random.default_rng(seed)
    shown, first, second, noise = random.standard_normal((4, count))
    treatment = (random.random(count) < 1 / (1 + np.exp(-(shown + first + second)))).astype(float)
    images = random.random((count, 1, 3, edge, edge)).astype(np.float32)
    images[:, 0, 0] = ((shown - shown.min()) / np.ptp(shown)).astype(np.float32)[:, None, None]
    beside = np.stack([first, second], axis=1)[:, : 2 * covariates]
    outcome = effect * treatment + shown + first + second + noise
    return _units(images, treatment, outcome, beside, ("x1", "x2")[: 2 * covariates])


def pattern_study(count: int, seed: int, effect: float = 2.0, kernel: int = 8, edge: int = 32) -> Units:
    """Units with an image each, whose confounder U is the mean rectified response of the image to a kernel.

    `logit P(treated) = U`, `outcome = effect * treated + 2 U + noise`, U standardised. The kernel is a ripple of two
    periods without mean; each image of one band has noise, and a random number of places where the ripple stands.

    Args:
        count: Of units.
        seed: Everything random follows from it.
        effect: Of the treatment.
        kernel: Edge of the kernel in pixels.
        edge: Of an image.
    """
    random = np.random.default_rng(seed)
    ripple = _ripple(kernel)
    images = random.standard_normal((count, edge, edge))
    for image, number in zip(images, random.poisson(6 * random.gamma(1.0, 1.0, count)), strict=True):
        for row, col in random.integers(0, edge - kernel + 1, (number, 2)):
            image[row : row + kernel, col : col + kernel] += 6 * ripple
    response = fftconvolve(images, ripple[None, ::-1, ::-1], mode="valid", axes=(1, 2))
    shown = np.maximum(response, 0).mean(axis=(1, 2))
    shown = (shown - shown.mean()) / shown.std()
    treatment = (random.random(count) < 1 / (1 + np.exp(-shown))).astype(float)
    outcome = effect * treatment + 2 * shown + random.standard_normal(count)
    return _units(images[:, None, None].astype(np.float32), treatment, outcome, np.zeros((count, 0)), ())


def _ripple(edge: int) -> np.ndarray:
    """Two periods across, under a bell, of mean 0 and norm 1."""
    along = (np.arange(edge) + 0.5) / edge - 0.5
    bell = np.exp(-(along**2) / 0.08)
    ripple = np.cos(4 * np.pi * along)[None, :] * bell[None, :] * bell[:, None]
    ripple -= ripple.mean()
    return ripple / np.sqrt((ripple**2).sum())


def _units(
    images: np.ndarray, treatment: np.ndarray, outcome: np.ndarray, covariates: np.ndarray, names: tuple[str, ...]
) -> Units:
    count = len(images)
    return Units(
        keys=np.array([f"{number:05}" for number in range(count)]),
        images=images,
        image_of=np.arange(count),
        covariates=covariates,
        covariate_names=names,
        lon=np.full(count, np.nan),
        lat=np.full(count, np.nan),
        treatment=treatment,
        outcome=outcome,
    )
