"""The clear atmosphere: from reflectance at the ground to reflectance at the top.

rho_toa = T_gas (rho_path + T_down T_up rho / (1 - s rho)) (Vermote et al. 1997), with Rayleigh optical depth after
Hansen and Travis (1974), aerosol after Angstrom's law, single-scattering path reflectance, and water vapour and oxygen
as Gaussian absorption bands (strengths ours).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Absorption bands of the air: centre nm, half width nm, optical depth at one air mass and 2 cm of water vapour.
_GAS = (
    (688, 4, 0.35), (762, 4, 1.2), (720, 12, 0.2), (820, 14, 0.18), (940, 26, 1.0), (1130, 35, 1.3),
    (1380, 48, 6.0), (1870, 70, 6.0), (2010, 14, 0.7), (2060, 14, 0.5), (2550, 90, 4.0),
)  # fmt: skip


@dataclass(frozen=True)
class Atmosphere:
    """State of the air.

    Attributes:
        aerosol: Aerosol optical depth at 550 nm.
        water: Water vapour, cm.
    """

    aerosol: float = 0.12
    water: float = 2.0


def rayleigh_depth(wavelengths: np.ndarray) -> np.ndarray:
    """Rayleigh optical depth at sea level (Hansen and Travis 1974)."""
    um = np.asarray(wavelengths, float) / 1000
    return 0.008569 * um**-4 * (1 + 0.0113 * um**-2 + 0.00013 * um**-4)


def gas_transmission(wavelengths: np.ndarray, water: float, air_mass: float) -> np.ndarray:
    """Transmission of the absorbing gases on a path of `air_mass`."""
    at = np.asarray(wavelengths, float)
    depth = sum(k * np.exp(-(((at - centre) / width) ** 2)) for centre, width, k in _GAS)
    return np.exp(-np.asarray(depth) * np.sqrt(air_mass * max(water, 0.0) / 2.0))


def terms(
    wavelengths: np.ndarray, air: Atmosphere, sun_elevation: float, view_elevation: float = np.pi / 2
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Path reflectance, transmission down and up (with gas), and spherical albedo, each `[wavelengths]`."""
    mu_sun, mu_view = max(np.sin(sun_elevation), 0.05), max(np.sin(view_elevation), 0.05)
    rayleigh = rayleigh_depth(wavelengths)
    aerosol = air.aerosol * (np.asarray(wavelengths, float) / 550) ** -1.3
    cosine = -mu_sun * mu_view
    phase_r = 0.75 * (1 + cosine**2)
    g = 0.65
    phase_a = (1 - g**2) / (1 + g**2 - 2 * g * cosine) ** 1.5
    path = (rayleigh * phase_r + 0.92 * aerosol * phase_a) / (4 * mu_sun * mu_view)
    # half of what Rayleigh and most of what aerosol scatters still goes down
    loss = 0.5 * rayleigh + 0.16 * aerosol
    through = np.exp(-loss / mu_sun) * np.exp(-loss / mu_view)
    gas = gas_transmission(wavelengths, air.water, 1 / mu_sun + 1 / mu_view)
    return path * gas, through * gas, 0.85 * rayleigh / (1 + rayleigh) + 0.1 * aerosol
