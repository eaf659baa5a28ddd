"""Trials whose effect depends on the texture of the image alone: striped or not, at equal mean and variance."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from swath.causal.units import Units


def texture_trial(
    images: int, effects: Sequence[float] = (0.0, 2.0), seed: int = 0, share: float = 0.5, size: int = 32, noise=1.0
) -> tuple[Units, np.ndarray]:
    """A trial with a unit for each image, and the type of each image: 0 plain, 1 striped.

    Brightness differs between images at random and moves the outcome, not the effect.
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
        keys=np.array([f"place {i:04d}" for i in range(images)]),
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


def small_encoder(bands: int = 3, width: int = 16) -> nn.Module:
    """Two convolutions and a mean: enough to tell stripes."""
    return nn.Sequential(
        nn.Flatten(1, 2),
        nn.Conv2d(bands, width, 5, stride=2, padding=2),
        nn.SiLU(),
        nn.Conv2d(width, width, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LayerNorm(width),
    )
