"""Small radiance cubes with a plume of known column, without any of Swath's code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TinyCube:
    """Radiance `[bands, H, W]`, absorption per ppm m `[bands]`, wavelengths nm, and the true column ppm m `[H, W]`."""

    radiance: np.ndarray
    absorption: np.ndarray
    wavelengths: np.ndarray
    column: np.ndarray

    @property
    def pixels(self) -> np.ndarray:
        """`[bands, pixels]`."""
        return self.radiance.reshape(len(self.radiance), -1)


def tiny_cube(
    height: int = 128, width: int = 128, bands: int = 50, strength: float = 3000.0, seed: int = 0
) -> TinyCube:
    """Six smooth materials, mixed at random, under a Gaussian blob of gas, with noise (signal to noise about 200)."""
    rng = np.random.default_rng(seed)
    wavelengths = np.linspace(2122.0, 2488.0, bands)
    absorption = -1e-5 * (0.05 + np.exp(-(((wavelengths - 2340) / 70) ** 2)) * (1 + 0.4 * np.sin(wavelengths / 5)))
    phase = np.linspace(0, 6, bands) * rng.uniform(0.5, 2, (6, 1))
    materials = rng.uniform(0.5, 4, (6, 1)) * (1 + 0.2 * np.sin(phase))
    mixed = rng.dirichlet(np.ones(6), height * width) @ materials
    row, col = np.mgrid[:height, :width]
    spread = (min(height, width) / 12) ** 2
    column = strength * np.exp(-((row - height / 2) ** 2 + (col - width / 2) ** 2) / spread)
    seen = mixed * np.exp(column.reshape(-1, 1) * absorption) + rng.normal(0, 0.01, mixed.shape)
    return TinyCube(np.ascontiguousarray(seen.T).reshape(bands, height, width), absorption, wavelengths, column)
