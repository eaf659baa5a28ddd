"""Every instrument that a world can be seen with, by name, behind one way to look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import NamedTuple

import numpy as np
from odc.geo.geobox import GeoBox

from swath.errors import UnknownNameError
from swath.sensors.bands import Band, Bands
from swath.simulate import hyperspectral, sar, thermal, truth
from swath.simulate.atmosphere import Atmosphere
from swath.simulate.clouds import Sky
from swath.simulate.moment import Moment
from swath.simulate.optical import SENSORS, Optical, observe
from swath.simulate.world import World


class Seen(NamedTuple):
    """What an instrument stores, and the truth that fell out with it.

    Attributes:
        values: Stored numbers `[bands, H, W]`.
        clouds: 0 clear, 1 shadow, 2 cloud `[H, W]`, for instruments that clouds hide the ground from.
        landcover: Codes of `landcover.CLASSES` `[H, W]`, where the look gives them at no cost.
    """

    values: np.ndarray
    clouds: np.ndarray | None = None
    landcover: np.ndarray | None = None


@dataclass(frozen=True)
class Instrument:
    """What sees a world.

    Attributes:
        bands: What it stores.
        pixel: Ground size of its pixels, m.
        dtype: Of the stored numbers.
        look: Sees the world at a moment on a grid under a sky, through the air.
        fine: Fine pixels per pixel and side from which labels on its pixels are counted.
        origin: Where a pixel corner lies, modulo the pixel, m.
    """

    bands: Bands
    pixel: float
    dtype: str
    look: Callable[[World, Moment, GeoBox, Sky, Atmosphere], Seen]
    fine: int
    origin: float = 0.0


def instrument(name: str) -> Instrument:
    """The instrument of that name.

    Raises:
        UnknownNameError: If there is none.
    """
    if name not in INSTRUMENTS:
        raise UnknownNameError(f"The simulator has no sensor '{name}'", expected=", ".join(INSTRUMENTS))
    return INSTRUMENTS[name]


def _optical(camera: Optical, world: World, moment: Moment, grid: GeoBox, sky: Sky, air: Atmosphere) -> Seen:
    seen = observe(world, camera, moment, grid, sky, air)
    clouds = (2 * seen.veil.cloudy + seen.veil.shaded).astype(np.uint8)
    return Seen(seen.values, clouds, seen.landcover)


def _radar(world: World, moment: Moment, grid: GeoBox, _sky: Sky, _air: Atmosphere) -> Seen:
    return Seen(sar.backscatter(world, moment, grid=grid).power)


def _pair(world: World, moment: Moment, grid: GeoBox, _sky: Sky, _air: Atmosphere) -> Seen:
    """Phase and coherence of the pass of this moment with the one twelve days before."""
    before = replace(moment, time=moment.time - timedelta(days=12))
    pair = sar.interferogram(world, before, moment, grid=grid)
    return Seen(np.stack([pair.phase, pair.coherence]))


def _heat(world: World, moment: Moment, grid: GeoBox, _sky: Sky, _air: Atmosphere) -> Seen:
    return Seen(thermal.temperature(world, grid, moment)[None])


def _lamps(world: World, _moment: Moment, grid: GeoBox, _sky: Sky, _air: Atmosphere) -> Seen:
    return Seen(thermal.night_lights(world, grid)[None])


def _heights(world: World, moment: Moment, grid: GeoBox, _sky: Sky, _air: Atmosphere) -> Seen:
    return Seen(np.stack(truth.elevation(world, grid, moment)).astype(np.float32))


def _spectra(world: World, moment: Moment, grid: GeoBox, _sky: Sky, air: Atmosphere) -> Seen:
    plumes = tuple(hyperspectral.leaking(grid, leak) for leak in moment.leaks)
    return Seen(hyperspectral.observe(world, moment, grid, plumes, air=air).radiance)


#: Instruments by name: the optical ones of `optical.SENSORS`, and all others.
INSTRUMENTS: dict[str, Instrument] = {
    **{
        name: Instrument(s.bands, s.pixel, s.dtype, partial(_optical, s), s.fine, s.origin)
        for name, s in SENSORS.items()
    },
    sar.BANDS.sensor: Instrument(sar.BANDS.with_storage(nodata=0.0), 10.0, "float32", _radar, 4),
    "sentinel1_insar": Instrument(
        Bands("sentinel1_insar", (Band("phase", "rad"), Band("coherence", "1"))), 20.0, "float32", _pair, 4
    ),
    "thermal": Instrument(Bands("thermal", (Band("T11", "K", 11000.0),)), 70.0, "float32", _heat, 16),
    "night_lights": Instrument(Bands("night_lights", (Band("DNB", "nW cm-2 sr-1"),)), 500.0, "float32", _lamps, 16),
    "elevation": Instrument(Bands("elevation", (Band("dem", "m"), Band("dsm", "m"))), 1.0, "float32", _heights, 1),
    hyperspectral.bands().sensor: Instrument(hyperspectral.bands(), 30.0, "float32", _spectra, 12),
}
