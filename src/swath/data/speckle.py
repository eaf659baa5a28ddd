"""Speckle of radar images: the refined Lee filter.

Source: J.-S. Lee, "Refined filtering of image noise using local statistics", Computer Graphics and Image Processing 15
(1981), doi 10.1016/S0146-664X(81)80018-4; Lee and Pottier, "Polarimetric Radar Imaging" (2009), section 5.3.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate

from swath.errors import InputError

#: Sides of an edge, `(row, col)`: each is followed by its opposite.
_SIDES = ((0, 1), (0, -1), (-1, 1), (1, -1), (-1, 0), (1, 0), (-1, -1), (1, 1))
_REACH = 3


def to_power(decibel: np.ndarray) -> np.ndarray:
    """Linear backscatter of decibels."""
    return 10 ** (decibel / 10)


def to_decibel(power: np.ndarray) -> np.ndarray:
    """Decibels of linear backscatter; NaN where it is not positive."""
    return 10 * np.log10(np.where(power > 0, power, np.nan))


def refined_lee(power: np.ndarray, valid: np.ndarray, looks: float) -> np.ndarray:
    """Smooth speckle, but not across edges.

    In a window of 7 x 7 pixels, means of nine 3 x 3 squares tell the direction of the strongest edge and the side on
    which the centre lies. Mean and variance of that half of the window give the estimate of least mean square error
    under multiplicative noise of variance `1 / looks`.

    Args:
        power: Linear backscatter `[height, width]`, not decibels.
        valid: Validity `[height, width]`; invalid pixels count nowhere.
        looks: Equivalent number of looks; about 4.4 for Sentinel-1 IW GRD in high resolution.

    Returns:
        Filtered backscatter `[height, width]`, float64, zero where invalid.

    Raises:
        InputError: If a valid pixel is negative (decibels?) or the number of looks is not positive.
    """
    if not looks > 0:
        raise InputError("The number of looks is not positive", got=looks)
    values = np.where(valid, power, 0).astype(np.float64)
    if (values < 0).any():
        raise InputError(
            "Backscatter is negative", got=f"down to {values.min():.3g}", expected="linear power", fix="Use `to_power`"
        )
    side = _side_of_edge(values, valid)
    mean, variance = np.zeros_like(values), np.zeros_like(values)
    rows, cols = np.mgrid[-_REACH : _REACH + 1, -_REACH : _REACH + 1]
    for number, (down, right) in enumerate(_SIDES):
        half = (rows * down + cols * right >= 0).astype(np.float64)
        here = side == number
        for moment, of_half in zip((mean, variance), _moments(values, valid, half), strict=True):
            moment[here] = of_half[here]
    noise = 1 / looks
    signal = np.maximum(variance - mean**2 * noise, 0) / (1 + noise)
    weight = np.divide(signal, variance, out=np.zeros_like(signal), where=variance > 0)
    return np.where(valid, mean + weight * (values - mean), 0)


def _moments(values: np.ndarray, valid: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the valid pixels that `weights` choose around each pixel; zero where there are none."""
    # Squares are taken about the middle of the image, so that large means do not swallow small variances.
    middle = values.sum() / max(1, np.count_nonzero(valid))
    centred = np.where(valid, values - middle, 0)
    count, first, second = (
        correlate(plane, weights, mode="constant") for plane in (valid.astype(np.float64), centred, centred**2)
    )
    filled = count > 0.5
    first, second = (np.divide(s, count, out=np.zeros_like(s), where=filled) for s in (first, second))
    return np.where(filled, first + middle, 0), np.maximum(second - first**2, 0)


def _side_of_edge(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Number in `_SIDES` of the half-window that holds the centre and does not cross the strongest edge."""
    means, _ = _moments(values, valid, np.ones((3, 3)))
    known = correlate(valid.astype(np.float64), np.ones((3, 3)), mode="constant") > 0.5
    padded, known = np.pad(means, 2), np.pad(known, 2)
    height, width = values.shape

    def square(down: int, right: int) -> np.ndarray:
        window = slice(2 + 2 * down, 2 + 2 * down + height), slice(2 + 2 * right, 2 + 2 * right + width)
        return np.where(known[window], padded[window], means)

    around = {(down, right): square(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)}

    def edge(side: tuple[int, int]) -> np.ndarray:
        """Sum of the three squares on one side less that of the other."""
        total = np.zeros_like(values)
        for place, square_mean in around.items():
            total += np.sign(place[0] * side[0] + place[1] * side[1]) * square_mean
        return np.abs(total)

    strongest = 2 * np.argmax([edge(side) for side in _SIDES[::2]], axis=0)
    far = [np.abs(around[side] - means) for side in _SIDES]
    nearer = np.array([far[n + 1] < far[n] for n in range(0, 8, 2)])
    return strongest + np.take_along_axis(nearer, strongest[None] // 2, 0)[0]
