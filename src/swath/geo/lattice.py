"""Smooth functions of pixel positions: exact on a lattice, linear in between.

Convention: positions are fractional `(row, col)` from the top-left corner of the grid; pixel centres are at `+ 0.5`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: A function of rows `[h]` and columns `[w]` that gives values `[..., h, w]`.
PixelFunction = Callable[[np.ndarray, np.ndarray], np.ndarray]


def interpolate(exact: PixelFunction, shape: tuple[int, int], tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Values of a function at all pixel centres, from as few exact ones as will do.

    The lattice is refined by halves until the middles of its cells and of their edges are right to `tolerance`. Where
    cells shrink to pixels, or values are not finite, every pixel is exact.

    Args:
        exact: The function.
        shape: `(height, width)` of the grid.
        tolerance: Largest difference of a linear value from the exact one.

    Returns:
        Values `[..., height, width]`, and those of the lattice `[..., h, w]` from the first to the last pixel centre.
    """
    height, width = shape
    cells = 4
    while cells < max(shape) / 2:
        lattice = exact(_spread(height, cells), _spread(width, cells))
        rough = lattice[..., :: 2 if height > 1 else 1, :: 2 if width > 1 else 1]
        if np.abs(_between(rough, lattice.shape[-2:]) - lattice).max() <= tolerance:
            return _between(lattice, shape), lattice
        cells *= 2
    every = exact(np.arange(height) + 0.5, np.arange(width) + 0.5)
    return every, every


def _between(nodes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`nodes` `[..., h, w]` linearly interpolated to `[..., *shape]` between the same ends."""
    return _hats(shape[0], nodes.shape[-2]) @ nodes @ _hats(shape[1], nodes.shape[-1]).T


def _spread(size: int, cells: int) -> np.ndarray:
    """Pixel centres from the first to the last, `cells` equal steps apart."""
    return np.arange(cells + 1) * ((size - 1) / cells) + 0.5 if size > 1 else np.array([0.5])


def _hats(size: int, nodes: int) -> np.ndarray:
    """Weights `[size, nodes]` of linear interpolation."""
    at = np.arange(size) * ((nodes - 1) / max(size - 1, 1))
    return np.maximum(1 - np.abs(at[:, None] - np.arange(nodes)), 0)
