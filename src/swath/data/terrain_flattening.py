"""Radiometric slope correction of radar backscatter, and the slope and aspect that it needs.

Source: A. Vollrath, A. Mullissa, J. Reiche, "Angular-Based Radiometric Slope Correction for Sentinel-1 on Google Earth
Engine", Remote Sensing 12 (2020) 1867, doi 10.3390/rs12111867; its volume model is that of Hoekman and Reiche (2015).

Convention: azimuths in degrees clockwise from north; aspect is the direction in which the ground falls.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate, distance_transform_edt

from swath.errors import InputError


def slope_and_aspect(elevation: np.ndarray, resolution: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Slope and aspect in degrees by Horn's differences (1981, doi 10.1109/PROC.1981.11918).

    Args:
        elevation: Metres `[height, width]`, north-up; the surface is continued straight beyond its edges.
        resolution: Height and width of a pixel in metres.

    Raises:
        InputError: If a size is not positive, or the image has fewer than two rows or columns.
    """
    if min(resolution) <= 0 or min(elevation.shape) < 2:
        raise InputError(
            "Slope is not defined here",
            got=f"pixels of {resolution} m, image {elevation.shape}",
            expected="positive metres a pixel, at least 2 x 2 pixels",
        )
    padded = np.pad(elevation.astype(np.float64), 1, mode="reflect", reflect_type="odd")
    across = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    inner = np.s_[1:-1, 1:-1]
    east = correlate(padded, across)[inner] / resolution[1]
    north = -correlate(padded, across.T)[inner] / resolution[0]
    return np.degrees(np.arctan(np.hypot(east, north))), np.degrees(np.arctan2(-east, -north)) % 360


def flatten_terrain(
    sigma0: np.ndarray,
    valid: np.ndarray,
    incidence: np.ndarray | float,
    elevation: np.ndarray,
    resolution: tuple[float, float],
    sensor_azimuth: float,
    buffer: float = 100.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Terrain-flattened gamma nought by the volume model, and where the radar saw the ground at all.

    With the slope `a_r` in range (positive where it faces the sensor) and the incidence angle `t` on flat ground:
    `gamma0 = sigma0 / cos t * tan(90 - t) / tan(90 - t + a_r)`, `tan a_r = tan(slope) cos(sensor_azimuth - aspect)`.
    Layover (`a_r >= t`) and shadow (`a_r <= t - 90`) are invalid.

    Args:
        sigma0: Linear backscatter `[height, width]`.
        valid: Validity `[height, width]`.
        incidence: Angle from the vertical of the ellipsoid in degrees, of every pixel or of all.
        elevation: Metres `[height, width]` on the same pixels.
        resolution: Height and width of a pixel in metres.
        sensor_azimuth: Direction from the ground to the sensor: the azimuth of look plus 180 degrees.
        buffer: Metres around layover and shadow that are invalid too.

    Returns:
        Gamma nought `[height, width]`, linear, zero where invalid, and its validity.

    Raises:
        InputError: If an incidence angle is not between 0 and 90 degrees, or shapes differ.
    """
    angle = np.broadcast_to(np.radians(incidence), sigma0.shape)
    if not ((angle > 0) & (angle < np.pi / 2))[valid].all():
        raise InputError("An incidence angle cannot be used", expected="degrees between 0 and 90")
    if not sigma0.shape == valid.shape == elevation.shape:
        raise InputError(
            "Backscatter and elevation are not on the same pixels",
            got=f"{elevation.shape}",
            expected=f"{sigma0.shape}",
        )
    slope, aspect = (np.radians(v) for v in slope_and_aspect(elevation, resolution))
    in_range = np.arctan(np.tan(slope) * np.cos(np.radians(sensor_azimuth) - aspect))
    seen = (in_range < angle) & (in_range > angle - np.pi / 2)
    if buffer > 0 and not seen.all():
        seen &= distance_transform_edt(seen, sampling=resolution) > buffer
    kept = valid & seen & np.isfinite(elevation)
    with np.errstate(invalid="ignore", divide="ignore"):
        gamma0 = sigma0 / np.cos(angle) * np.tan(np.pi / 2 - angle) / np.tan(np.pi / 2 - angle + in_range)
    return np.where(kept, gamma0, 0), kept
