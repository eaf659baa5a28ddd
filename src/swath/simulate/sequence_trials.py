"""Randomised trials whose effect hangs on how a place changes over some years, with the true effect of each unit."""

from __future__ import annotations

import numpy as np

from swath.causal.units import Units

#: Edge of a building plot in pixels, and how much brighter it is once built on.
_PLOT, _BUILT = 2, 2.0


def sequence_trial(
    images: int,
    seed: int,
    trend: float = 1.0,
    table: float = 0.0,
    frames: int = 4,
    size: int = 16,
    units: int = 1,
    noise: float = 1.0,
) -> tuple[Units, np.ndarray]:
    """Units whose `effect = 1 + trend * growth + table * x`, and that effect.

    An image of two bands shows plots of 2 x 2 pixels, of which a share is built on. It begins with a level and grows or
    shrinks; both are random and independent, and the level varies more. A built plot is brighter in the first band, and
    darker in the second. Frames differ in brightness, as seasons do, and pixels have noise. The outcome without
    treatment is half the level plus half of x plus noise.

    Args:
        images: How many.
        seed: Of all that is random.
        trend: Of the effect on growth, which has sd 1.
        table: Of the effect on x, the covariate, which has sd 1.
        frames: How many dates.
        size: Edge of an image in pixels, even.
        units: In each image.
        noise: Standard deviation of the outcome beside what moves it.
    """
    random = np.random.default_rng(seed)
    level, growth = random.standard_normal((2, images))
    time = np.linspace(0, 1, frames)
    share = 1 / (1 + np.exp(-(1.5 * level[:, None] + growth[:, None] * (2 * time - 1))))
    plots = random.random((images, 1, size // _PLOT, size // _PLOT)) < share[:, :, None, None]
    built = plots.repeat(_PLOT, axis=2).repeat(_PLOT, axis=3).astype(float)
    values = _BUILT * built[:, :, None] * np.array([1.0, -1.0])[:, None, None]
    values = values + random.normal(size=(images, frames, 1, 1, 1)) + random.normal(size=values.shape)
    image_of = np.repeat(np.arange(images), units)
    count = len(image_of)
    x = random.standard_normal(count)
    treatment = (random.random(count) < 0.5).astype(float)
    effect = 1 + trend * growth[image_of] + table * x
    base = 0.5 * level[image_of] + 0.5 * x + noise * random.standard_normal(count)
    found = Units(
        keys=np.array([f"place {number:05d}" for number in range(images)]),
        images=values.astype(np.float32),
        image_of=image_of,
        covariates=x[:, None],
        covariate_names=("x",),
        lon=np.full(count, np.nan),
        lat=np.full(count, np.nan),
        treatment=treatment,
        outcome=base + effect * treatment,
        probability=np.full(count, 0.5),
    )
    return found, effect
