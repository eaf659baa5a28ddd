"""Heat and light at night: brightness temperature by cover and hour, and the glow of lamps.

Surface temperature is air temperature plus a warming by the sun that each material shows with its own strength and lag
(a damped daily wave, after Jackson 1984's force-restore reading); brightness temperature takes the emissivity at 11 um.
"""

from __future__ import annotations

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from rasterio import features
from scipy import ndimage

from swath.sensors.bands import Band, Bands
from swath.simulate import noise
from swath.simulate.moment import Moment
from swath.simulate.optical import averaged, finer
from swath.simulate.painting import paint
from swath.simulate.spectra import MATERIALS
from swath.simulate.surface import axes
from swath.simulate.world import World

THERMAL_BANDS = Bands("thermal", (Band("B10", "K", 10895.0, nodata=0.0),))
NIGHT_BANDS = Bands("viirs_dnb", (Band("DNB", "nW cm-2 sr-1", 700.0, nodata=-999.0),))

#: Warming at noon K, lag h, cooling at night K, emissivity at 11 um; materials that are not named take the first row.
_THERMAL = {
    "": (10.0, 1.5, 3.0, 0.96),
    "soil": (17.0, 1.5, 4.0, 0.955), "wet_soil": (9.0, 2.0, 2.5, 0.97), "sand": (19.0, 1.2, 5.0, 0.945),
    "rock": (15.0, 2.5, 2.5, 0.95), "leaf": (3.0, 1.0, 3.5, 0.985), "broadleaf": (1.5, 1.0, 1.5, 0.985),
    "conifer": (2.0, 1.0, 1.2, 0.985), "dry": (14.0, 1.0, 5.0, 0.965), "clear_water": (-2.0, 4.0, -4.0, 0.99),
    "turbid_water": (-1.5, 4.0, -3.5, 0.99), "mud_water": (-1.0, 4.0, -3.0, 0.985), "asphalt": (21.0, 2.5, -1.5, 0.96),
    "concrete": (14.0, 2.5, -0.5, 0.95), "roof_tiles": (17.0, 1.0, 3.0, 0.94), "slate": (21.0, 1.0, 3.5, 0.95),
    "metal": (12.0, 0.5, 6.0, 0.7), "blue_metal": (15.0, 0.5, 5.0, 0.85), "tar_paper": (25.0, 1.2, 3.0, 0.95),
    "char": (20.0, 1.0, 3.0, 0.96), "snow": (-8.0, 1.0, 6.0, 0.985),
}  # fmt: skip


def temperature(
    world: World, grid: GeoBox, moment: Moment, air: float = 293.0, fine: int = 4, noise_k: float = 0.2
) -> np.ndarray:
    """Brightness temperature at 11 um, K `[H, W]` float32.

    Args:
        world: The world.
        grid: Pixels.
        moment: When; the sun's elevation sets the warming.
        air: Temperature of the air at sea level, K.
        fine: Fine pixels per pixel and side.
        noise_k: Noise-equivalent temperature difference, K.
    """
    surface = paint(world, finer(grid, fine), moment)
    facts = np.array([_THERMAL.get(m, _THERMAL[""]) for m in MATERIALS])
    warm, cool = max(np.sin(moment.sun.elevation), 0.0), max(-np.sin(moment.sun.elevation), 0.0)
    weights = surface.table.weights / np.maximum(surface.table.weights.sum(1, keepdims=True), 1e-6)
    # a material that lags has not reached its warming in the morning and keeps some of it in the evening
    morning = -1.0 if moment.sun.azimuth < np.pi else 1.0
    gain = warm * (1 + 0.08 * morning * (facts[:, 1] - 1.5))
    above_air = weights @ (facts[:, 0] * gain - facts[:, 2] * cool)
    emissivity = weights @ facts[:, 3]
    kinetic = air - 0.0065 * np.maximum(surface.ground, 0) + above_air[surface.row] + 0.6 * surface.grain
    # radiance at 11 um goes nearly with the fifth power of temperature
    brightness = averaged((kinetic * emissivity[surface.row] ** 0.22).astype(np.float32), fine)
    x, y = axes(grid)
    col, row = (np.round(v / grid.affine.a - 0.5).astype(np.int64) for v in (x, y))
    instant = noise.key(world.seed, "thermal", int(moment.time.timestamp())) % 2**40
    draw = sum(noise.uniform(col[None], row[:, None], instant + k) for k in range(12)) - 6
    return (brightness + noise_k * draw).astype(np.float32)


def night_lights(world: World, grid: GeoBox, blur: float = 0.8) -> np.ndarray:
    """Upward light at night, nW cm-2 sr-1 `[H, W]` float32: lamps along streets and windows of buildings.

    Args:
        world: The world.
        grid: Pixels, for example 500 m ones.
        blur: Of the instrument, as the standard deviation in pixels.
    """
    west, north = grid.affine @ (0, 0)
    east, south = grid.affine @ (grid.shape[1], grid.shape[0])
    size = min(20.0, grid.affine.a)
    factor = max(1, round(grid.affine.a / size))
    small = finer(grid, factor)
    lamps = np.zeros(small.shape, np.float32)
    ways = world.layer("roads", (west, south, east, north))
    ways = ways[ways["highway"] != "track"]
    ways = ways[
        (ways["highway"] == "residential") | (ways["settlement"].fillna(-1) >= 0 if "settlement" in ways else False)
    ]
    if len(ways):
        lit = np.where(ways["highway"] == "residential", 14.0, 26.0).astype(np.float32)
        lamps = features.rasterize(
            zip(ways.geometry, lit, strict=True), small.shape, transform=small.affine, dtype="float32", all_touched=True
        )
    houses = world.layer("buildings", (west, south, east, north))
    if len(houses):
        at = shapely.get_coordinates(shapely.centroid(houses.geometry.to_numpy()))
        col, row = ~small.affine @ (at[:, 0], at[:, 1])
        inside = (col >= 0) & (col < small.shape[1]) & (row >= 0) & (row < small.shape[0])
        power = (
            6.0
            * houses["building:levels"].to_numpy()[inside]
            * shapely.area(houses.geometry.to_numpy()[inside])
            / size**2
        )
        np.add.at(lamps, (row[inside].astype(int), col[inside].astype(int)), power.astype(np.float32))
    return (ndimage.gaussian_filter(averaged(lamps, factor), blur) + 0.15).astype(np.float32)
