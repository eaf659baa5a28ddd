"""Randomised trials whose effect hangs on the texture of an image alone, with the true effect of each image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from swath.causal.units import Units


def texture_trial(
    images: int,
    effects: Sequence[float] = (0.0, 2.0),
    seed: int = 0,
    share: float = 0.5,
    size: int = 32,
    noise: float = 1.0,
) -> tuple[Units, np.ndarray]:
    """A trial with a unit for each image, and the type of each image: 0 plain, 1 striped.

    Both types have white noise of variance 1; stripes of 5 pixels, turned at random, take 60 % of it. Mean values of
    bands are random, tell nothing of the type, and move the outcome, not the effect.

    Args:
        images: How many.
        effects: Of treatment on a unit of each type.
        seed: Of all that is random.
        share: Of striped images.
        size: Edge of an image in pixels.
        noise: Standard deviation of the outcome beside what moves it.
    """
    random = np.random.default_rng(seed)
    kind = (random.random(images) < share).astype(int)
    rows, cols = np.mgrid[:size, :size]
    angle, phase = random.uniform(0, np.pi, (images, 1, 1)), random.uniform(0, 2 * np.pi, (images, 1, 1))
    stripes = np.sqrt(2) * np.sin(2 * np.pi / 5 * (np.cos(angle) * cols + np.sin(angle) * rows) + phase)
    grain = random.normal(size=(images, 3, size, size))
    striped = np.sqrt(0.4) * grain + np.sqrt(0.6) * stripes[:, None]
    brightness = random.normal(size=(images, 3, 1, 1))
    values = np.where(kind[:, None, None, None] == 1, striped, grain) + brightness
    treatment = (random.random(images) < 0.5).astype(float)
    base = 0.5 * brightness[:, 0, 0, 0] + noise * random.normal(size=images)
    units = Units(
        keys=np.array([f"place {number:05d}" for number in range(images)]),
        images=values[:, None].astype(np.float32),
        image_of=np.arange(images),
        covariates=np.zeros((images, 0)),
        covariate_names=(),
        lon=np.full(images, np.nan),
        lat=np.full(images, np.nan),
        treatment=treatment,
        outcome=base + np.asarray(effects)[kind] * treatment,
        probability=np.full(images, 0.5),
    )
    return units, kind
