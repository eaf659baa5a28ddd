"""Mean and covariance of the spectra of many pixels, block by block: nothing of the cube's size is held beside it.

Convention: spectra stand in columns, `[bands, pixels]`, as rasters store them. Sums run in the type of the calculation
within a block and in float64 over blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import scipy.linalg

from swath.errors import DataError

#: `float64` is exact; `float32` halves the time of the passes.
Precision = Literal["float64", "float32"]
#: Numbers in a block, so that a block of spectra stays in the processor's second cache.
_BLOCK = 1 << 16


def blocks(pixels: np.ndarray, precision: Precision = "float64") -> Iterator[tuple[slice, np.ndarray]]:
    """Slices of `pixels` `[bands, pixels]` with their spectra in the type of the calculation."""
    width = max(64, _BLOCK // len(pixels))
    for start in range(0, pixels.shape[1], width):
        part = slice(start, start + width)
        yield part, pixels[:, part].astype(precision, copy=False)


def mean(pixels: np.ndarray, precision: Precision = "float64") -> np.ndarray:
    """Mean spectrum `[bands]`, float64, of `pixels` `[bands, pixels]`."""
    total = np.zeros(len(pixels))
    for _, spectra in blocks(pixels, precision):
        total += spectra @ np.ones(spectra.shape[1], spectra.dtype)
    return total / pixels.shape[1]


def covariance(pixels: np.ndarray, centre: np.ndarray | None, precision: Precision = "float64") -> np.ndarray:
    """Mean outer product `[bands, bands]`, float64, of `pixels` `[bands, pixels]` less `centre` `[bands]`."""
    total = np.zeros((len(pixels), len(pixels)))
    for _, spectra in blocks(pixels, precision):
        if centre is not None:
            spectra = spectra - centre[:, None].astype(precision)
        total += spectra @ spectra.T
    return total / pixels.shape[1]


def project(pixels: np.ndarray, vector: np.ndarray, precision: Precision = "float64") -> np.ndarray:
    """Inner product `[pixels]` of each of `pixels` `[bands, pixels]` with `vector` `[bands]`."""
    found = np.empty(pixels.shape[1], precision)
    vector = vector.astype(precision)
    for part, spectra in blocks(pixels, precision):
        np.matmul(vector, spectra, out=found[part])
    return found


def solve(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Solution of `matrix` x = `vector` for a positive definite matrix.

    Raises:
        DataError: If the matrix is singular: a dead or doubled band, or fewer pixels than bands.
    """
    try:
        return np.asarray(scipy.linalg.solve(matrix, vector, assume_a="pos", check_finite=False))
    except (np.linalg.LinAlgError, scipy.linalg.LinAlgWarning) as error:
        raise _singular(matrix) from error


def factor(matrix: np.ndarray) -> np.ndarray:
    """Lower Cholesky factor of a positive definite matrix; raises `DataError` as `solve` does."""
    try:
        return np.asarray(scipy.linalg.cholesky(matrix, lower=True, check_finite=False))
    except np.linalg.LinAlgError as error:
        raise _singular(matrix) from error


def _singular(matrix: np.ndarray) -> DataError:
    return DataError(
        "The spectra do not vary in all bands, so their covariance has no inverse",
        got=f"{np.linalg.matrix_rank(matrix)} independent bands",
        expected=f"{len(matrix)}",
        fix="Leave out dead and doubled bands, or take more pixels than bands",
    )
