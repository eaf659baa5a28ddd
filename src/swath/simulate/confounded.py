"""Observational studies whose confounder an image shows, with a known effect.

The simulation of the authors' package (Jerzak, Johansson & Daoud 2023): one confounder in the image, two in the table.
"""

from __future__ import annotations

import numpy as np

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
    return Units(
        keys=np.array([f"{number:05}" for number in range(count)]),
        images=images,
        image_of=np.arange(count),
        covariates=np.stack([first, second], axis=1) if covariates else np.zeros((count, 0)),
        covariate_names=("x1", "x2") if covariates else (),
        lon=np.full(count, np.nan),
        lat=np.full(count, np.nan),
        treatment=treatment,
        outcome=effect * treatment + shown + first + second + noise,
    )
