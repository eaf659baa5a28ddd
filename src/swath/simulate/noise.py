"""Noise that is the same wherever, whenever and at whatever resolution it is asked for.

A white-noise lattice is a hash of its integer coordinates, so no block of a world needs its neighbours. Between
lattice points the noise is the uniform cubic B-spline of the lattice values: smooth, nearly isotropic, near Gaussian.

Convention: `x` are the easting of columns `[W]`, `y` the northing of rows `[H]`; fields are `[H, W]` float32.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

#: Standard deviation of a uniform(-1, 1) lattice after B-spline interpolation: sqrt(1/3) * mean of the summed squared
#: weights over the cell, 151/315.
_SPREAD = np.sqrt(1 / 3) * 151 / 315


def key(*parts: object) -> int:
    """A 63-bit seed of `parts`, the same in every process."""
    state = np.array(0x9E3779B97F4A7C15, np.uint64)
    for byte in "\x1f".join(str(part) for part in parts).encode():
        state = _scramble(state ^ np.uint64(byte))
    return int(state) >> 1


def rng(*parts: object) -> np.random.Generator:
    """A random generator for `parts`, the same in every process."""
    return np.random.default_rng(key(*parts))


def uniform(ix: np.ndarray, iy: np.ndarray, seed: int) -> np.ndarray:
    """Uniform numbers in [0, 1) hashed from integer coordinates; the arguments broadcast."""
    with np.errstate(over="ignore"):
        mixed = np.asarray(ix).astype(np.int64).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = _scramble(mixed + np.uint64(seed))
        mixed = _scramble(mixed ^ (np.asarray(iy).astype(np.int64).astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)))
    return (mixed >> np.uint64(11)) * 2.0**-53


def fractal(
    x: np.ndarray,
    y: np.ndarray,
    scale: float,
    seed: int,
    octaves: int = 5,
    gain: float = 0.5,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """Fractional Brownian noise of mean 0 and variance about 1 on the axes `x` and `y`.

    Args:
        x: Easting of the columns `[W]`, metres.
        y: Northing of the rows `[H]`, metres.
        scale: Lattice spacing of the first octave, metres; each further octave halves it.
        seed: Which noise.
        octaves: Number of octaves.
        gain: Amplitude of an octave relative to the one before.
        stretch: Factors on `scale` along x and y.
    """
    total = np.zeros((len(y), len(x)), np.float32)
    for octave in range(octaves):
        step = scale / 2**octave
        along_x, first_x = _weights(x, step * stretch[0])
        along_y, first_y = _weights(y, step * stretch[1])
        ix = first_x + np.arange(along_x.shape[1])
        iy = first_y + np.arange(along_y.shape[1])
        lattice = (uniform(ix[None], iy[:, None], seed + 7919 * octave) * 2 - 1).astype(np.float32)
        lattice *= gain**octave / _SPREAD
        total += (along_x @ (along_y @ lattice).T).T
    return total / np.sqrt(sum(gain ** (2 * o) for o in range(octaves)), dtype=np.float32)


def fractal_at(
    x: np.ndarray, y: np.ndarray, scale: float, seed: int, octaves: int = 5, gain: float = 0.5
) -> np.ndarray:
    """`fractal` at the points `(x, y)`, any equal shapes."""
    total = np.zeros(np.shape(x), np.float64)
    for octave in range(octaves):
        step = scale / 2**octave
        ix, wx = _taps(np.asarray(x, np.float64), step)
        iy, wy = _taps(np.asarray(y, np.float64), step)
        for i in range(4):
            for j in range(4):
                lattice = uniform(ix + i, iy + j, seed + 7919 * octave) * 2 - 1
                total += gain**octave / _SPREAD * wx[i] * wy[j] * lattice
    return total / np.sqrt(sum(gain ** (2 * o) for o in range(octaves)))


def _taps(at: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """First lattice index and the four cubic B-spline weights `[4, ...]` at `at`."""
    place = at / step
    first = np.floor(place).astype(np.int64)
    t = place - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    return first - 1, weights


def _weights(at: np.ndarray, step: float) -> tuple[sparse.csr_matrix, int]:
    """Interpolation weights `[len(at), lattice]` and the first lattice index."""
    first, weights = _taps(np.asarray(at, np.float64), step)
    start = int(first.min())
    cols = (first - start)[None] + np.arange(4)[:, None]
    rows = np.broadcast_to(np.arange(len(at)), cols.shape)
    shape = len(at), int(cols.max()) + 1
    matrix = sparse.csr_matrix((weights.ravel().astype(np.float32), (rows.ravel(), cols.ravel())), shape)
    return matrix, start


def _scramble(z: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
