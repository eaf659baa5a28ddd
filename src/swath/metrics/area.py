"""Areas of classes with confidence intervals, adjusted for the errors of the map."""

from __future__ import annotations

import numpy as np

from swath.errors import DataError


def adjusted_areas(matrix: np.ndarray, mapped: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """Stratified estimate of the true area of each class (Olofsson et al. 2014, eqs. 9 to 11).

    The sample is taken to be random within each mapped class. A mapped class with fewer than two sampled pixels cannot
    be adjusted and counts as right, without variance.

    Args:
        matrix: Confusion matrix of the sample, `[K, K]`, rows true, columns mapped.
        mapped: Area of each class in the map, `[K]`, any unit.
        z: Width of the interval in standard errors.

    Returns:
        Estimated area of each class, `[K]`, and half the width of its interval, in the unit of `mapped`.

    Raises:
        DataError: If the shapes do not fit or the map is empty.
    """
    total = float(mapped.sum())
    if matrix.shape != (len(mapped), len(mapped)) or total <= 0:
        raise DataError(
            "Areas cannot be adjusted",
            got=f"matrix {matrix.shape}, areas {mapped}",
            expected="a matrix of the classes and a map with some area",
        )
    sampled = matrix.sum(0)
    known = sampled >= 2
    shares = np.where(known, matrix / np.maximum(sampled, 1), np.eye(len(mapped)))
    weights = mapped / total
    variance = (weights**2 * shares * (1 - shares) / np.maximum(sampled - 1, 1)).sum(1)
    return total * (shares @ weights), z * total * np.sqrt(variance)
