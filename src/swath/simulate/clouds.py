"""Clouds: a layer that drifts with the wind, with the shadow that the sun throws; cirrus and haze.

The optical depth is a fractal field above a threshold that gives the wanted cover. Reflectance of a cloud of depth tau
is R = (1 - g) tau / (2 + (1 - g) tau) with g = 0.85 (two-stream, Bohren 1987); its shadow keeps exp(-tau / 2) of the
direct light. Snow and ice absorb beyond 1400 nm, so clouds are darker there, and cirrus is seen alone at 1380 nm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from swath.simulate import noise
from swath.simulate.sun import Sun

#: Optical depth from which a pixel counts as cloud, and share of light lost from which it counts as shadow.
CLOUDY, SHADED = 0.7, 0.25


@dataclass(frozen=True)
class Sky:
    """State of the sky.

    Attributes:
        cover: Share of the sky under cumulus, 0..1.
        base: Height of the cumulus above sea level, m.
        cirrus: Mean optical depth of cirrus.
        wind: Drift to the east and to the north, m/s.
        size: Scale of the largest clouds, m.
    """

    cover: float = 0.0
    base: float = 1500.0
    cirrus: float = 0.0
    wind: tuple[float, float] = (7.0, 2.0)
    size: float = 3000.0


@dataclass(frozen=True)
class Veil:
    """What the sky does to each pixel of a nadir view.

    Attributes:
        depth: Optical depth of cumulus in the line of sight `[H, W]`.
        cirrus: Optical depth of cirrus `[H, W]`.
        sunlight: Share of direct light that reaches the ground `[H, W]`.
    """

    depth: np.ndarray
    cirrus: np.ndarray
    sunlight: np.ndarray

    @property
    def cloudy(self) -> np.ndarray:
        """Pixels that count as cloud, bool."""
        return self.depth > CLOUDY

    @property
    def shaded(self) -> np.ndarray:
        """Pixels that count as cloud shadow and are not cloud, bool."""
        return (self.sunlight < 1 - SHADED) & ~self.cloudy


def optical_depth(x: np.ndarray, y: np.ndarray, sky: Sky, seconds: float, seed: int) -> np.ndarray:
    """Optical depth of the cumulus over the axes `x` and `y` at a time in seconds."""
    if sky.cover <= 0:
        return np.zeros((len(y), len(x)), np.float32)
    # the pattern drifts and, with each hour, is another; modulo keeps lattice coordinates small
    era = int(seconds // 10800)
    east, north = ((seconds % 10800) * w for w in sky.wind)
    field = noise.fractal(x - east, y - north, sky.size, seed + 4001 * era, 7, 0.6)
    threshold = ndtri(1 - min(sky.cover, 0.999))
    return (9 * np.maximum(field - threshold, 0) ** 1.3).astype(np.float32)


def veil(x: np.ndarray, y: np.ndarray, sky: Sky, sun: Sun, seconds: float, seed: int) -> Veil:
    """The sky over the axes `x` and `y`, with the shadow of the cumulus cast along the sun's rays on flat ground."""
    depth = optical_depth(x, y, sky, seconds, seed)
    away = sky.base / np.tan(max(sun.elevation, 0.1))
    casting = optical_depth(x + away * np.sin(sun.azimuth), y + away * np.cos(sun.azimuth), sky, seconds, seed)
    cirrus = np.zeros_like(depth)
    if sky.cirrus > 0:
        streaks = noise.fractal(x, y, 6000, seed + 9, 6, 0.62, stretch=(3.0, 0.7))
        cirrus = (sky.cirrus * np.exp(0.9 * streaks - 0.4)).astype(np.float32)
    return Veil(depth, cirrus, np.exp(-0.5 * casting - 0.1 * cirrus))


def reflectance(depth: np.ndarray, wavelength: float, ice: bool = False) -> np.ndarray:
    """Reflectance of cloud of optical `depth` at a wavelength in nm."""
    spread = 0.15 * depth
    bright = spread / (2 + spread)
    # droplets and, more strongly, ice absorb in the short-wave infrared
    absorbed = 1.0 if wavelength < 1300 else (0.55 if ice else 0.75) if wavelength < 1900 else (0.35 if ice else 0.5)
    return 1.25 * bright * absorbed if depth.size else bright


def transmission(depth: np.ndarray) -> np.ndarray:
    """Share of light from the ground that passes cloud of optical `depth`, direct and scattered: 1 - R."""
    spread = 0.15 * depth
    return 2 / (2 + spread) * np.exp(-0.12 * depth)
