"""Point spreads: their widths, kernels that turn one into another, and points at any place between pixels."""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

from swath.errors import DataError


def tidy(psf: np.ndarray, name: str = "A mosaic") -> np.ndarray:
    """A point spread, or a grid `[R, C, h, w]` of them, with odd edges, middles on the middle pixel and sums of one.

    Raises:
        DataError: If a stamp is no picture, not finite, or has no light.
    """
    psf = np.asarray(psf, np.float64)
    if psf.ndim == 4:
        return np.array([[tidy(stamp, name) for stamp in row] for row in psf])
    if psf.ndim != 2 or min(psf.shape) < 3 or not np.isfinite(psf).all() or psf.sum() <= 0:
        raise DataError(
            f"The point spread of {name} cannot be used",
            got=f"shape {psf.shape}, sum {np.nansum(psf):.4g}",
            expected="a stamp of at least 3 x 3 finite pixels with a positive sum",
        )
    edge = max(psf.shape) | 1
    psf = np.pad(psf, [(0, edge - n) for n in psf.shape])
    peak = np.maximum(psf, 0)
    middle = ndimage.center_of_mass(peak**2)  # squares: noise of the wings must not pull
    away = [edge // 2 - at for at in middle]
    if np.hypot(*away) >= 2:
        raise DataError(
            f"The point spread of {name} does not stand in the middle of its stamp",
            got=f"{np.hypot(*away):.1f} pixels away",
            fix="Cut the stamp around its peak",
        )
    if np.hypot(*away) > 0.1:
        psf = ndimage.shift(psf, away, order=5, mode="constant")
    return psf / psf.sum()


def fwhm(psf: np.ndarray) -> float:
    """Full width at half maximum, pixels: the diameter of the disc that is as large as the part above half the peak.

    The stamp is refined sixteen times in Fourier space first, so that a width of two pixels is measured too.
    """
    lit = np.abs(np.argwhere(psf > psf.max() / 1000) - psf.shape[0] // 2).max() + 1
    half, middle = min(int(lit), psf.shape[0] // 2), psf.shape[0] // 2
    inner = slice(middle - half, middle + half + 1)
    fine = _refined(psf[inner, inner], 16)
    return float(2 * np.sqrt((fine > fine.max() / 2).sum() / np.pi) / 16)


def matching_kernel(source: np.ndarray, target: np.ndarray, regularisation: float = 1e-6) -> np.ndarray:
    """The kernel that turns one point spread into a wider one.

    Wiener's filter with a Laplacian as penalty (Boucaud et al. 2016): K = S* T / (|S|^2 + mu |L|^2), sum one.

    Args:
        source: The sharper point spread.
        target: The wider one.
        regularisation: mu.
    """
    edge = max(*source.shape, *target.shape)
    size = fft.next_fast_len(2 * edge, real=True)
    S, T = (_transform(stamp, size) for stamp in (source, target))
    v, u = fft.fftfreq(size)[:, None], fft.rfftfreq(size)[None]
    laplacian = 4 - 2 * np.cos(2 * np.pi * v) - 2 * np.cos(2 * np.pi * u)
    kernel = fft.irfft2(S.conj() * T / (np.abs(S) ** 2 + regularisation * laplacian**2), (size, size))
    kernel = np.roll(kernel, (edge // 2, edge // 2), (0, 1))[:edge, :edge]
    return np.asarray(kernel / kernel.sum())


def convolved(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A picture convolved with a kernel, same size; beyond the edge lies nothing."""
    from scipy.signal import oaconvolve

    return np.asarray(oaconvolve(values.astype(np.float64), kernel, mode="same"))


def point(psf: np.ndarray, x: float, y: float) -> tuple[np.ndarray, int, int]:
    """A point of unit light at `x`, `y`: its stamp, and the row and column of the stamp's first pixel."""
    col, row = round(x), round(y)
    size = psf.shape[0] + 2
    stamp = np.zeros((size, size))
    stamp[1:-1, 1:-1] = psf
    shifted = ndimage.fourier_shift(fft.rfft2(stamp), (y - row, x - col), n=size)
    return fft.irfft2(shifted, (size, size)), row - size // 2, col - size // 2


def resampled(psf: np.ndarray, factor: float) -> np.ndarray:
    """A point spread on pixels that are `factor` times as small."""
    half = int(psf.shape[0] // 2 * factor)
    at = psf.shape[0] // 2 + np.arange(-half, half + 1) / factor
    fine = ndimage.map_coordinates(psf, np.meshgrid(at, at, indexing="ij"), order=3, mode="constant")
    return np.asarray(fine / fine.sum())


def _transform(stamp: np.ndarray, size: int) -> np.ndarray:
    """Fourier transform of a stamp whose middle pixel is the origin."""
    padded = np.zeros((size, size))
    padded[: stamp.shape[0], : stamp.shape[1]] = stamp
    return np.asarray(fft.rfft2(np.roll(padded, [-(n // 2) for n in stamp.shape], (0, 1))))


def _refined(psf: np.ndarray, fold: int) -> np.ndarray:
    n, size = psf.shape[0], psf.shape[0] * fold
    before = size // 2 - n // 2
    spectrum = np.pad(fft.fftshift(fft.fft2(psf)), (before, size - n - before))
    return np.asarray(fft.ifft2(fft.ifftshift(spectrum)).real)
