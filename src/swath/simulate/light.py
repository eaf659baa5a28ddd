"""Light on a surface: which pixels the sun reaches, and how steeply.

The reflectance that a sensor sees relative to a flat, sunlit place is (1 - d) L + d, with L the lit share times the
cosine of incidence over that of flat ground, and d the share of diffuse light, which is larger in the blue.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from swath.simulate.sun import Sun

#: Steepest gradient that is shaded; walls, which are vertical, are not facing up.
_STEEPEST = 1.0


def diffuse_share(wavelengths: np.ndarray) -> np.ndarray:
    """Share of the light at the ground that comes from the sky: 0.05 + 0.13 (550 / nm)^2, of a clear day (ours)."""
    return 0.05 + 0.13 * (550 / np.asarray(wavelengths, float)) ** 2


def direct(dsm: np.ndarray, above: np.ndarray, size: float, sun: Sun) -> np.ndarray:
    """Direct light on each pixel relative to flat, sunlit ground `[H, W]`, 0 in shadow.

    Args:
        dsm: Elevation of the surface, m.
        above: Height of things above the ground, m; its maximum bounds the length of shadows.
        size: Side of a pixel, m.
        sun: Where the sun stands.
    """
    east, north, up = sun.vector
    if up <= 0.02:
        return np.zeros(dsm.shape, np.float32)
    down, right = np.gradient(ndimage.gaussian_filter(dsm, 0.5), size)
    scale = np.minimum(1, _STEEPEST / np.maximum(np.hypot(down, right), 1e-6))
    down, right = down * scale, right * scale
    # rows run south, so the northward gradient is -down
    cosine = (-right * east + down * north + up) / np.sqrt(1 + right**2 + down**2)
    return (np.clip(cosine / up, 0, 1.6) * ~shadow(dsm, above, size, sun)).astype(np.float32)


def shadow(dsm: np.ndarray, above: np.ndarray, size: float, sun: Sun) -> np.ndarray:
    """Which pixels lie in the shadow of something on the raster `[H, W]`, bool."""
    east, north, up = sun.vector
    level = np.hypot(east, north)
    if up <= 0.02 or level < 1e-6:
        return np.full(dsm.shape, up <= 0.02)
    dark = np.zeros(dsm.shape, bool)
    tallest = float(above.max())
    reach = int(np.ceil(tallest * level / up / size))
    for step in range(1, min(reach, 4 * max(dsm.shape)) + 1):
        row, col = round(-north / level * step), round(east / level * step)
        climb = np.hypot(row, col) * size * up / level
        if abs(row) >= dsm.shape[0] or abs(col) >= dsm.shape[1]:
            break
        here = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip((row, col), dsm.shape, strict=True))
        there = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip((row, col), dsm.shape, strict=True))
        dark[here] |= dsm[there] - climb > dsm[here] + 0.3
    return dark
