"""How galaxies and stars look: Sersic profiles and Moffat point spreads in Fourier space, and spectra.

A Sersic profile is I(r) ~ exp(-b_n (r / R_e)^(1/n)), b_n so that half the light of the endless profile lies within R_e
(Sersic 1963; Graham and Driver 2005), cut at 20 R_e (99.0 % of the endless light for n = 4, more for smaller n).
The optics spread light as a Moffat function (Moffat 1969). Pictures are made in Fourier space, where the profile, the
optics and the pixel multiply and the total is the value at zero frequency: no light is lost between pixels.

Spectra are ours: stars are black bodies; galaxies are an old (4600 K) and a young (18000 K) black body behind dust
(optical depth ~ lambda^-0.7, Charlot and Fall 2000), with a step at 400 nm and none below 91.2 nm, redshifted.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import fft, special

#: Where a Sersic profile is cut, in R_e.
CUT = 20.0
#: Frequencies times R_e (or the width of the optics) at which transforms are tabled.
_K = np.geomspace(1e-3, 1e3, 600)


def sersic_b(n: float) -> float:
    """b_n of a Sersic profile."""
    return float(special.gammaincinv(2 * n, 0.5))


@lru_cache(maxsize=256)
def _sersic_table(n: float) -> np.ndarray:
    """Fourier transform of the profile of unit light at `_K`, by Gauss-Legendre quadrature in light.

    Equal steps in light, not in radius, put the nodes where the light is.
    """
    b = sersic_b(n)
    whole = special.gammainc(2 * n, b * CUT ** (1 / n))
    nodes, weights = np.polynomial.legendre.leggauss(1000)
    # quantiles crowd to both ends, where the radius runs to 0 and to the cut
    share = 0.5 * (1 + np.sin(0.5 * np.pi * nodes))
    weights = weights * 0.25 * np.pi * np.cos(0.5 * np.pi * nodes)
    radius = (special.gammaincinv(2 * n, share * whole) / b) ** n
    return np.asarray(special.j0(_K[:, None] * radius) @ (weights / weights.sum()))


@lru_cache(maxsize=16)
def _moffat_table(beta: float) -> np.ndarray:
    """Fourier transform of a Moffat function of unit light and unit scale at `_K`."""
    order = beta - 1
    return np.asarray(special.kv(order, _K) * _K**order * 2 ** (1 - order) / special.gamma(order))


def sersic_transform(n: float, k: np.ndarray) -> np.ndarray:
    """Fourier transform of a round Sersic profile of unit light at `k` = 2 pi frequency times R_e; n to 0.05."""
    return _looked_up(k, _sersic_table(round(n * 20) / 20))


def moffat_transform(fwhm: float, beta: float, k: np.ndarray) -> np.ndarray:
    """Fourier transform of a Moffat function of unit light at `k` = 2 pi frequency, in 1 / unit of `fwhm`."""
    return _looked_up(k * fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1)), _moffat_table(beta))


def _looked_up(k: np.ndarray, table: np.ndarray) -> np.ndarray:
    """A tabled transform, linear in log k; one below the table."""
    place = np.log(np.maximum(k, _K[0]) / _K[0]) * ((len(_K) - 1) / np.log(_K[-1] / _K[0]))
    found = np.interp(place, np.arange(len(_K)), table)
    return np.where(k < _K[0], 1.0, found)


def stamp(
    centre: tuple[float, float],
    size: int,
    fwhm: float,
    beta: float,
    sersic: tuple[float, float, float, float] | None = None,
    fold: int = 3,
) -> np.ndarray:
    """A source of unit light on `size` x `size` pixels; the sum is one.

    Args:
        centre: `(col, row)` of its middle, counted from the corner of the first pixel.
        size: Edge of the stamp, pixels.
        fwhm: Of the optics, pixels.
        beta: Of the optics' Moffat function.
        sersic: n, R_e along the major axis in pixels, ratio of the axes, and angle of the major axis from the columns
            toward the rows in radians; None for a point.
        fold: How many times the Nyquist frequency the transform is followed; what lies beyond folds back.
    """
    total = np.zeros((size, size // 2 + 1), np.complex128)
    for i in range(-(fold // 2), fold // 2 + 1):
        u = np.arange(size // 2 + 1)[None] / size + i
        across = np.exp(-2j * np.pi * u * (centre[0] - 0.5))
        for j in range(-(fold // 2), fold // 2 + 1):
            v = fft.fftfreq(size)[:, None] + j
            total += _transform(u, v, fwhm, beta, sersic) * (across * np.exp(-2j * np.pi * v * (centre[1] - 0.5)))
    return np.asarray(fft.irfft2(total, (size, size)))


def _transform(
    u: np.ndarray, v: np.ndarray, fwhm: float, beta: float, sersic: tuple[float, float, float, float] | None
) -> np.ndarray:
    """Transform of a centred source seen by the optics and a square pixel at frequencies in cycles per pixel."""
    found = np.sinc(u) * np.sinc(v) * moffat_transform(fwhm, beta, 2 * np.pi * np.hypot(u, v))
    if sersic is not None:
        n, radius, ratio, angle = sersic
        major = u * np.cos(angle) + v * np.sin(angle)
        minor = ratio * (v * np.cos(angle) - u * np.sin(angle))
        found = found * sersic_transform(n, 2 * np.pi * radius * np.hypot(major, minor))
    return np.asarray(found)


def black_body(wavelength: np.ndarray, kelvin: np.ndarray) -> np.ndarray:
    """Planck's law per unit frequency, relative, at `wavelength` nm."""
    x = 1.4388e7 / (np.asarray(wavelength, float) * kelvin)
    return np.asarray(1 / (np.asarray(wavelength, float) ** 3 * np.expm1(np.minimum(x, 500))))


def galaxy_spectrum(wavelength: np.ndarray, redshift: np.ndarray, young: np.ndarray, dust: np.ndarray) -> np.ndarray:
    """Flux per unit frequency of galaxies, relative; the arguments broadcast.

    Args:
        wavelength: Observed, nm.
        redshift: Of each.
        young: Share of the young stars in the light at 550 nm, 0..1.
        dust: Optical depth at 550 nm.
    """
    rest = wavelength / (1 + redshift)
    old = black_body(rest, np.array(4600.0)) / black_body(np.array(550.0), np.array(4600.0))
    new = black_body(rest, np.array(18000.0)) / black_body(np.array(550.0), np.array(18000.0))
    step = np.where(rest < 400, 1 - 0.45 * (1 - young), 1.0) * (rest > 91.2) * np.where(rest < 121.6, 0.4, 1.0)
    return np.asarray(((1 - young) * old + young * new) * step * np.exp(-dust * ((rest / 550) ** -0.7 - 1)))
