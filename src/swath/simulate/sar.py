"""Radar: backscatter with speckle, looking sideways, and interferograms.

sigma0 of a cover is a table of ours in dB for VV and VH at 38 degrees, near published C-band means; it falls with the
local incidence angle as cos^n, rises with wet soil, and buildings whose walls face the radar answer by double bounce.
Intensity of L looks is gamma distributed (Goodman 1976). Slant geometry: pixels move toward the sensor by height / tan
of the incidence angle (foreshortening; no layover).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from odc.geo.geobox import GeoBox
from scipy import ndimage
from scipy.special import gammaincinv, ndtri

from swath.sensors.catalogue import sensor
from swath.simulate import landcover as lc
from swath.simulate import noise
from swath.simulate.moment import Moment
from swath.simulate.optical import averaged, finer, sensor_grid
from swath.simulate.painting import paint
from swath.simulate.spectra import MATERIALS
from swath.simulate.surface import SOURCES, Surface, axes
from swath.simulate.world import World

#: sigma0 in dB at 38 degrees, VV and VH, by land-cover code 1..9 (ours).
_SIGMA0 = {
    lc.WATER: (-20.0, -28.0),
    lc.FOREST: (-9.0, -14.5),
    lc.GRASS: (-12.5, -19.5),
    lc.CROP: (-11.5, -18.0),
    lc.WETLAND: (-10.5, -17.5),
    lc.BARE: (-14.0, -23.0),
    lc.BUILDING: (-4.5, -13.0),
    lc.ROAD: (-15.5, -23.5),
    lc.PAVED: (-10.5, -19.0),
}

BANDS = sensor("sentinel1_grd_power").select(["VV", "VH"])


@dataclass(frozen=True)
class Radar:
    """How a radar looks.

    Attributes:
        pixel: Ground size of a pixel, m.
        fine: Fine pixels per pixel and side.
        looks: Equivalent number of looks.
        incidence: From the vertical at the ground, degrees.
        heading: Direction of flight, degrees clockwise from north; it looks to the right of it.
        wavelength: m.
    """

    pixel: float = 10.0
    fine: int = 4
    looks: float = 4.4
    incidence: float = 38.0
    heading: float = 348.0
    wavelength: float = 0.0555


@dataclass(frozen=True)
class RadarImage:
    """Backscatter.

    Attributes:
        power: sigma0, linear `[2, H, W]` (VV, VH) with speckle.
        clean: The same without speckle.
        grid: Where.
    """

    power: np.ndarray
    clean: np.ndarray
    grid: GeoBox


def backscatter(world: World, moment: Moment, radar: Radar | None = None, grid: GeoBox | None = None) -> RadarImage:
    """See a world with a radar; pixels of one window get the same speckle in any window."""
    radar = radar or Radar()
    grid = grid or sensor_grid(world, radar.pixel)
    margin = int(np.ceil(60 / radar.pixel))
    outer = grid.pad(margin)
    surface = paint(world, finer(outer, radar.fine), moment)
    fine = _sigma0(surface, radar)
    clean = np.stack([averaged(_foreshortened(plane, surface, radar), radar.fine) for plane in fine])
    clean = clean[:, margin : margin + grid.shape[0], margin : margin + grid.shape[1]]
    clean = np.stack([ndimage.gaussian_filter(plane, 0.7) for plane in clean])
    x, y = axes(grid)
    col, row = (np.round(v / radar.pixel - 0.5).astype(np.int64) for v in (x, y))
    instant = noise.key(world.seed, "speckle", int(moment.time.timestamp())) % 2**40
    # the quantiles of the gamma law, tabled once, because inverting it for every pixel is slow
    steps = (np.arange(4096) + 0.5) / 4096
    quantiles = gammaincinv(radar.looks, steps) / radar.looks
    speckle = np.stack(
        [np.interp(noise.uniform(col[None], row[:, None], instant + k), steps, quantiles) for k in range(2)]
    )
    floor = 10 ** np.array([-2.6, -2.9])[:, None, None]
    return RadarImage(((clean + floor) * speckle).astype(np.float32), clean.astype(np.float32), grid)


def _look(radar: Radar) -> tuple[float, float]:
    """Unit vector on the ground from the sensor to the scene: east, north."""
    azimuth = np.radians(radar.heading + 90)
    return float(np.sin(azimuth)), float(np.cos(azimuth))


def _sigma0(surface: Surface, radar: Radar) -> np.ndarray:
    """Backscatter of the fine pixels `[2, H, W]`, linear."""
    size, moment = surface.grid.affine.a, surface.moment
    table = surface.table
    decibel = np.zeros((2, len(table.landcover)))
    for code, values in _SIGMA0.items():
        decibel[:, table.landcover == code] = np.array(values)[:, None]
    share = {m: table.weights[:, MATERIALS.index(m)] for m in ("leaf", "soil", "wet_soil", "turbid_water", "snow")}
    crop = table.landcover == lc.CROP
    # crops scatter in their volume, bare soil by its wetness, flooded paddies like water
    decibel[0, crop] += (2.0 * share["leaf"] - 2.0)[crop] + 4.0 * moment.wetness * (share["soil"] + share["wet_soil"])[
        crop
    ]
    decibel[1, crop] += (5.0 * share["leaf"] - 4.0)[crop]
    decibel[:, crop] -= 8.0 * share["turbid_water"][crop]
    wet = np.isin(table.landcover, (lc.GRASS, lc.BARE))
    decibel[:, wet] += 3.0 * (moment.wetness - 0.3)
    ships = table.layer == SOURCES.index("ships")
    decibel[:, ships] = np.array([[6.0], [-4.0]])
    power = 10 ** (decibel / 10)
    fine = power[:, surface.row] * np.exp(0.25 * surface.grain)
    down, right = np.gradient(ndimage.gaussian_filter(surface.ground, 1.0), size)
    east, north = _look(radar)
    toward = right * east - down * north
    theta = np.radians(radar.incidence)
    local = np.clip(theta + np.arctan(toward), 0.05, 1.5)
    # the slope that faces the sensor rises away from it: its normal tilts toward the sensor and the angle shrinks
    local = np.clip(2 * theta - local, 0.05, 1.5)
    fine *= (np.cos(local) / np.cos(theta)) ** 1.5 * np.sin(theta) / np.sin(local)
    built = surface.landcover == lc.BUILDING
    if built.any():
        wall_down, wall_right = np.gradient(surface.above, size)
        facing = np.maximum(wall_right * east - wall_down * north, 0) * size
        bounce = np.where(facing > 1.5, 0.12 * facing, 0.0)
        fine[0] += bounce
        fine[1] += 0.08 * bounce
    return fine


def _foreshortened(plane: np.ndarray, surface: Surface, radar: Radar) -> np.ndarray:
    """The picture with each pixel moved toward the sensor by its height above the mean / tan(incidence)."""
    east, north = _look(radar)
    relief = ndimage.gaussian_filter(surface.ground, 2.0)
    # terrain-corrected products carry only what a smooth terrain model misses
    shift = (surface.ground - relief) / np.tan(np.radians(radar.incidence)) / surface.grid.affine.a
    if np.abs(shift).max() < 0.3:
        return plane
    row, col = np.mgrid[: plane.shape[0], : plane.shape[1]].astype(np.float32)
    return ndimage.map_coordinates(plane, [row - shift * north, col + shift * east], order=1, mode="nearest")


@dataclass(frozen=True)
class Interferogram:
    """Two passes compared.

    Attributes:
        phase: Wrapped phase, radians `[H, W]`, noisy.
        unwrapped: True phase without noise `[H, W]`.
        coherence: True coherence `[H, W]`, 0..1.
        deformation: Motion toward the sensor between the passes, m `[H, W]`.
        grid: Where.
    """

    phase: np.ndarray
    unwrapped: np.ndarray
    coherence: np.ndarray
    deformation: np.ndarray
    grid: GeoBox


#: Coherence that is left after twelve days, by land-cover code (ours, near C-band experience).
_STABLE = {
    lc.WATER: 0.04, lc.FOREST: 0.22, lc.GRASS: 0.5, lc.CROP: 0.42, lc.WETLAND: 0.35, lc.BARE: 0.8,
    lc.BUILDING: 0.92, lc.ROAD: 0.75, lc.PAVED: 0.85,
}  # fmt: skip


def interferogram(
    world: World,
    first: Moment,
    second: Moment,
    deformation: np.ndarray | float = 0.0,
    baseline: float = 60.0,
    radar: Radar | None = None,
    grid: GeoBox | None = None,
    damping: np.ndarray | float = 1.0,
) -> Interferogram:
    """The interferogram of two passes.

    phase = 4 pi / lambda (d + B h / (R sin(theta))) + air; coherence decays as stable^(days / 12) (temporal) times
    1 - B / 5 km (spatial); the phase of L looks scatters with the variance (1 - c^2) / (2 L c^2) (Rosen et al. 2000).

    Args:
        world: The world.
        first: The first pass.
        second: The second pass.
        deformation: Motion toward the sensor, m, a number or `[H, W]`.
        baseline: Perpendicular baseline, m.
        radar: How the radar looks; its looks are taken five times, as for multilooked products.
        grid: Where; by default the world at 20 m.
        damping: Further factor on the coherence, for example of damaged blocks, a number or `[H, W]`.
    """
    radar = radar or Radar()
    grid = grid or sensor_grid(world, 20.0)
    surface = paint(world, finer(grid, 4), second)
    table = np.zeros(10)
    for code, value in _STABLE.items():
        table[code] = value
    stable = averaged(table[surface.landcover].astype(np.float32), 4)
    height = averaged(surface.ground, 4)
    days = abs((second.time - first.time).total_seconds()) / 86400
    coherence = stable ** (days / 12) * max(0.0, 1 - baseline / 5000) * damping
    x, y = axes(grid)
    air = np.zeros(grid.shape)
    for moment, sign in ((first, -1), (second, 1)):
        seed = noise.key(world.seed, "air", int(moment.time.timestamp())) % 2**40
        air = air + sign * 0.7 * noise.fractal(x, y, 8000, seed, 6, 0.45)
    distance = 700_000 / np.cos(np.radians(radar.incidence))
    topographic = baseline * height / (distance * np.sin(np.radians(radar.incidence)))
    moved = np.broadcast_to(np.asarray(deformation, np.float32), grid.shape)
    true = 4 * np.pi / radar.wavelength * (moved + topographic) + air
    looks = 5 * radar.looks
    spread = np.minimum(
        np.sqrt((1 - coherence**2) / (2 * looks * np.maximum(coherence, 0.02) ** 2)), np.pi / np.sqrt(3)
    )
    col, row = (np.round(v / grid.affine.a - 0.5).astype(np.int64) for v in (x, y))
    seed = noise.key(world.seed, "phase", int(first.time.timestamp()), int(second.time.timestamp())) % 2**40
    draw = ndtri(np.clip(noise.uniform(col[None], row[:, None], seed), 1e-9, 1 - 1e-9))
    phase = np.angle(np.exp(1j * (true + spread * draw)))
    return Interferogram(phase.astype(np.float32), true.astype(np.float32), coherence.astype(np.float32), moved, grid)


def point_source(
    grid: GeoBox, centre: tuple[float, float], depth: float, volume: float, incidence: float = 38.0
) -> np.ndarray:
    """Motion toward the sensor, m, over a point source of inflation (Mogi 1958), seen at an incidence angle.

    Args:
        grid: Where.
        centre: Over the source, x and y.
        depth: Of the source, m.
        volume: Change of its volume, m3.
        incidence: Degrees; the horizontal part is left out.
    """
    x, y = axes(grid)
    reach2 = (x[None] - centre[0]) ** 2 + (y[:, None] - centre[1]) ** 2
    up = 0.75 * volume / np.pi * depth / (depth**2 + reach2) ** 1.5
    return (up * np.cos(np.radians(incidence))).astype(np.float32)
