"""Imaging spectroscopy: radiance from 400 to 2500 nm, with plumes of methane or carbon dioxide.

L = (E_sun cos / pi) (rho_path + T rho) in W m-2 sr-1 um-1, with the sun as a black body of 5778 K (Planck), and a plume
that takes exp(-k(lambda) X AMF) of it (Beer and Lambert). X is the column in ppm m. The unit absorption k is a smooth
envelope of ours over the vibration bands of each gas, with line-like ripple; it is not a spectroscopic data base.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from odc.geo.geobox import GeoBox
from scipy.special import ndtri

from swath.sensors.bands import Bands
from swath.sensors.catalogue import hyperspectral
from swath.simulate import light, noise, spectra
from swath.simulate.atmosphere import Atmosphere, terms
from swath.simulate.moment import Leak, Moment
from swath.simulate.optical import averaged, finer
from swath.simulate.painting import paint
from swath.simulate.surface import axes
from swath.simulate.world import World

#: Absorption bands: centre nm, half width nm, unit absorption at the centre per ppm m.
_GASES = {
    "ch4": ((1666, 24, 2.4e-6), (1790, 35, 1.6e-6), (2205, 40, 3.0e-6), (2305, 50, 1.0e-5), (2370, 35, 1.25e-5)),
    "co2": ((1575, 18, 1.5e-7), (1605, 15, 1.5e-7), (2010, 20, 4.0e-6), (2060, 18, 3.2e-6)),
}
#: Mass of a column of 1 ppm m over 1 m2 at 1013 hPa and 288 K, kg: molar mass / molar volume * 1e-6.
MASS_PER_PPM_M = {"ch4": 0.01604 / 0.02364 * 1e-6, "co2": 0.04401 / 0.02364 * 1e-6}


def bands(step: float = 7.4, first: float = 400.0, last: float = 2480.0) -> Bands:
    """Bands every `step` nm, named by their centre; radiance."""
    centres = np.arange(first, last + step / 2, step)
    return hyperspectral("imaging_spectrometer", centres.tolist(), [1.15 * step] * len(centres))


def unit_absorption(gas: str, wavelengths: np.ndarray) -> np.ndarray:
    """Absorption per ppm m of a `gas` at `wavelengths` nm."""
    at = np.asarray(wavelengths, float)
    envelope = sum(k * np.exp(-(((at - c) / w) ** 2)) for c, w, k in _GASES[gas])
    return np.asarray(envelope) * (1 + 0.35 * np.sin(at * 2 * np.pi / 31))


def solar(wavelengths: np.ndarray) -> np.ndarray:
    """Irradiance of the sun at the top of the air, W m-2 um-1: Planck's law at 5778 K seen under 6.794e-5 sr."""
    m = np.asarray(wavelengths, float) * 1e-9
    planck = 2 * 6.626e-34 * 2.998e8**2 / m**5 / (np.exp(6.626e-34 * 2.998e8 / (m * 1.381e-23 * 5778)) - 1)
    return planck * 6.794e-5 * 1e-6


@dataclass(frozen=True)
class Plume:
    """A plume and its truth.

    Attributes:
        column: Enhancement of the column, ppm m `[H, W]`.
        mass: Mass in the picture, kg.
        rate: Emission, kg/h.
        wind: m/s.
        source: x and y.
        gas: `ch4` or `co2`.
    """

    column: np.ndarray
    mass: float
    rate: float
    wind: float
    source: tuple[float, float]
    gas: str


def plume(
    grid: GeoBox,
    source: tuple[float, float],
    rate: float,
    wind: float = 3.5,
    direction: float = 70.0,
    gas: str = "ch4",
    seed: int = 0,
) -> Plume:
    """A Gaussian plume (Pasquill and Gifford, class C) whose axis and density are torn by fractal turbulence.

    The column integral across the wind is rate / wind (conservation of mass); turbulence keeps it on each distance.

    Args:
        grid: Where, in metres.
        source: x and y.
        rate: Emission, kg/h.
        wind: m/s.
        direction: To which the wind blows, degrees clockwise from north.
        gas: `ch4` or `co2`.
        seed: Which turbulence.
    """
    x, y = axes(grid)
    azimuth = np.radians(direction)
    dx, dy = x[None] - source[0], y[:, None] - source[1]
    along = dx * np.sin(azimuth) + dy * np.cos(azimuth)
    across = dx * np.cos(azimuth) - dy * np.sin(azimuth)
    far = np.maximum(along, 0.5 * grid.affine.a)
    width = np.maximum(0.11 * far / np.sqrt(1 + 1e-4 * far), 0.6 * grid.affine.a)
    sway = noise.fractal_at(far, np.full_like(far, 0.5), 450, seed + 5, 4, 0.6) * 0.9 * width
    shape = np.exp(-0.5 * ((across - sway) / width) ** 2) / (np.sqrt(2 * np.pi) * width)
    puffs = np.exp(0.55 * noise.fractal_at(far, across, 220, seed + 6, 5, 0.6))
    density = np.where(along > 0, shape * puffs / np.exp(0.15), 0.0)
    per_metre = rate / 3600 / wind
    column = (density * per_metre / MASS_PER_PPM_M[gas]).astype(np.float32)
    mass = float(column.sum(dtype=np.float64) * MASS_PER_PPM_M[gas] * grid.affine.a**2)
    return Plume(column, mass, rate, wind, source, gas)


def leaking(grid: GeoBox, leak: Leak) -> Plume:
    """The plume of a leak on a grid; its turbulence follows from its place."""
    seed = noise.key("leak", *(round(v) for v in leak.source)) % 2**20
    return plume(grid, leak.source, leak.rate, leak.wind, leak.direction, leak.gas, seed)


@dataclass(frozen=True)
class Cube:
    """A hyperspectral picture.

    Attributes:
        radiance: W m-2 sr-1 um-1 `[bands, H, W]` float32, noisy.
        bands: What they are.
        grid: Where.
        plumes: The plumes in it.
        abundance: Share of each of `spectra.MATERIALS` in each pixel `[materials, H, W]`.
    """

    radiance: np.ndarray
    bands: Bands
    grid: GeoBox
    plumes: tuple[Plume, ...]
    abundance: np.ndarray


def observe(
    world: World,
    moment: Moment,
    grid: GeoBox,
    plumes: tuple[Plume, ...] = (),
    described: Bands | None = None,
    fine: int = 4,
    snr: float = 300.0,
    air: Atmosphere | None = None,
) -> Cube:
    """See part of a world with an imaging spectrometer.

    Args:
        world: The world.
        moment: When.
        grid: Pixels, for example of `optical.sensor_grid(world, 20, bounds)`; the plumes are on it too.
        plumes: Plumes over it.
        described: Bands; by default `bands()`.
        fine: Fine pixels per pixel and side.
        snr: Signal-to-noise ratio at a radiance of 10 W m-2 sr-1 um-1.
        air: Atmosphere; by default clear.
    """
    described = described or bands()
    nm = np.array([b.wavelength for b in described], float)
    surface = paint(world, finer(grid, fine), moment)
    sunlit = light.direct(surface.dsm, surface.above, surface.grid.affine.a, moment.sun)
    grain = np.maximum(1 + surface.table.texture[surface.row] * surface.grain, 0.2)
    materials = surface.table.weights.shape[1]
    # mixing is linear, so shares are averaged once for all bands: lit and unlit ones apart
    shares = np.zeros((2, materials, *grid.shape), np.float32)
    abundance = np.zeros((materials, *grid.shape), np.float32)
    present = np.flatnonzero(surface.table.weights[np.unique(surface.row)].any(0))
    for m in present:
        plane = surface.table.weights[:, m][surface.row]
        abundance[m] = averaged(plane, fine)
        shares[0, m] = averaged(plane * grain * sunlit, fine)
        shares[1, m] = averaged(plane * grain, fine)
    pure = spectra.seen_by(nm, np.array([b.fwhm for b in described], float)).astype(np.float32)
    path, through, albedo = terms(nm, air or Atmosphere(), moment.sun.elevation)
    mu = max(np.sin(moment.sun.elevation), 0.05)
    mass = 1 + 1 / mu
    power = solar(nm) * mu / np.pi
    sky = light.diffuse_share(nm)
    cube = np.empty((len(nm), *grid.shape), np.float32)
    x, y = axes(grid)
    col, row = (np.round(v / grid.affine.a - 0.5).astype(np.int64) for v in (x, y))
    instant = noise.key(world.seed, "spectrometer", int(moment.time.timestamp())) % 2**40
    absorbed = {gas: sum(p.column for p in plumes if p.gas == gas) for gas in {p.gas for p in plumes}}
    for b in range(len(nm)):
        lit, dim = (np.tensordot(pure[present, b], shares[k, present], 1) for k in (0, 1))
        rho = (1 - sky[b]) * lit + sky[b] * dim
        radiance = power[b] * (path[b] + through[b] * rho / (1 - albedo[b] * rho))
        for gas, column in absorbed.items():
            radiance = radiance * np.exp(-unit_absorption(gas, nm[b : b + 1])[0] * column * mass)
        draw = ndtri(np.clip(noise.uniform(col[None], row[:, None], instant + b), 1e-9, 1 - 1e-9))
        spread = 10 / snr * np.sqrt(0.15 + 0.85 * np.maximum(radiance, 0) / 10)
        cube[b] = radiance + spread * draw
    return Cube(cube, described, grid, plumes, abundance)
