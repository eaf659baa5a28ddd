"""Optical sensors: what each sees of one surface.

Ground reflectance of a row is its mixture of material spectra in the band; light, atmosphere and clouds act on it; the
detector averages it over its footprint (exactly, over the fine pixels) and the optics blur it with a Gaussian; photon
noise and read noise follow the band's signal-to-noise ratio; the result is stored as the sensor stores it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy import ndimage
from scipy.special import ndtri

from swath.sensors.bands import Bands
from swath.sensors.catalogue import sensor as catalogued
from swath.simulate import landcover as lc
from swath.simulate import light, noise, spectra
from swath.simulate.atmosphere import Atmosphere, gas_transmission, terms
from swath.simulate.clouds import Sky, Veil, reflectance, transmission, veil
from swath.simulate.moment import Moment
from swath.simulate.painting import paint
from swath.simulate.surface import Surface, axes
from swath.simulate.world import World


@dataclass(frozen=True)
class Optical:
    """An optical sensor.

    Attributes:
        bands: Its bands with wavelength and width; how they are stored.
        pixel: Ground size of the finest band's pixels, m.
        fine: Fine pixels per pixel and side on which the surface is painted.
        coarser: Factor on `pixel` for the native pixels of each band.
        blur: Full width at half maximum of the optics, in native pixels.
        snr: Signal-to-noise ratio of each band at a reflectance of 0.2.
        top: Whether it gives reflectance at the top of the atmosphere instead of at the ground.
        dtype: Of the stored numbers.
        picture: Whether it stores pictures, toned for the eye, instead of reflectance.
        response: Centre and full width of each band, nm, where `bands` do not say.
        origin: Where a pixel corner lies, modulo the pixel, m.
    """

    bands: Bands
    pixel: float
    fine: int
    coarser: tuple[int, ...]
    blur: float
    snr: tuple[float, ...]
    top: bool
    dtype: str = "uint16"
    picture: bool = False
    response: tuple[tuple[float, float], ...] | None = None
    origin: float = 0.0

    @property
    def id(self) -> str:
        """Name of the sensor."""
        return self.bands.sensor

    @property
    def wavelengths(self) -> np.ndarray:
        """Centre of each band, nm."""
        return np.array([r[0] for r in self.response] if self.response else [b.wavelength for b in self.bands], float)

    @property
    def widths(self) -> np.ndarray:
        """Full width at half maximum of each band, nm."""
        return np.array([r[1] for r in self.response] if self.response else [b.fwhm for b in self.bands], float)


@dataclass(frozen=True)
class Image:
    """What a sensor saw.

    Attributes:
        values: Stored numbers `[bands, H, W]`.
        bands: What they are.
        grid: Where they are.
        moment: When.
        veil: Clouds and their shadows on the same pixels.
        covers: Land-cover codes of the fine pixels, `fine` times as many a side, uint8.
    """

    values: np.ndarray
    bands: Bands
    grid: GeoBox
    moment: Moment
    veil: Veil
    covers: np.ndarray

    @property
    def landcover(self) -> np.ndarray:
        """Land-cover code that covers most of each pixel `[H, W]` uint8."""
        return majority(self.covers, self.covers.shape[0] // self.grid.shape[0])


#: Centre and full width, nm, of the colours of cameras.
_COLOURS = ((660.0, 60.0), (560.0, 60.0), (480.0, 60.0), (830.0, 90.0))

#: The sensors by their name in `swath.sensors.catalogue`. Pixels are public facts; noise and blur are ours.
SENSORS = {
    "sentinel2_l1c": Optical(
        catalogued("sentinel2_l1c"), 10.0, 4, (6, 1, 1, 1, 2, 2, 2, 1, 2, 6, 6, 2, 2), 0.9,
        (129, 154, 168, 142, 117, 89, 105, 174, 72, 114, 50, 100, 100), True,
    ),
    "sentinel2_l2a": Optical(
        catalogued("sentinel2_l2a"), 10.0, 4, (6, 1, 1, 1, 2, 2, 2, 1, 2, 6, 2, 2), 0.9,
        (129, 154, 168, 142, 117, 89, 105, 174, 72, 114, 100, 100), False,
    ),
    "landsat8": Optical(
        catalogued("landsat8").select(["B1", "B2", "B3", "B4", "B5", "B6", "B7"]), 30.0, 10, (1,) * 7, 0.9,
        (130, 130, 100, 90, 90, 100, 100), False, origin=15.0,
    ),
    "planetscope4": Optical(catalogued("planetscope4"), 3.0, 3, (1,) * 4, 1.5, (60,) * 4, False),
    "rgb": Optical(catalogued("rgb"), 0.5, 2, (1,) * 3, 0.8, (45,) * 3, False, "uint8", True, _COLOURS[:3]),
    "naip": Optical(catalogued("naip"), 0.6, 2, (1,) * 4, 0.8, (45,) * 4, False, "uint8", True, _COLOURS),
    "modis_mod09": Optical(
        catalogued("modis_mod09"), 463.3127, 32, (1,) * 7, 1.2, (128, 200, 240, 220, 75, 270, 110), False, "int16"
    ),
}  # fmt: skip


def sensor_grid(
    world: World, pixel: float, bounds: tuple[float, float, float, float] | None = None, origin: float = 0.0
) -> GeoBox:
    """The grid of all pixels of a sensor that lie whole within `bounds` (by default the world)."""
    west, south, east, north = world.bounds if bounds is None else bounds
    left = np.ceil(round((west - origin) / pixel, 6)) * pixel + origin
    top = np.floor(round((north - origin) / pixel, 6)) * pixel + origin
    width, height = int((east - left) / pixel + 1e-6), int((top - south) / pixel + 1e-6)
    return GeoBox((max(height, 0), max(width, 0)), Affine(pixel, 0, left, 0, -pixel, top), world.grid.crs)


def finer(grid: GeoBox, factor: int) -> GeoBox:
    """The same ground with pixels `factor` times smaller."""
    return GeoBox((grid.shape[0] * factor, grid.shape[1] * factor), grid.affine @ Affine.scale(1 / factor), grid.crs)


def averaged(values: np.ndarray, factor: int) -> np.ndarray:
    """Means over squares of `factor` pixels a side; `values` `[H, W]` with sides that are multiples of it."""
    if factor == 1:
        return values
    height, width = values.shape
    return values.reshape(height // factor, factor, width // factor, factor).mean((1, 3), dtype=np.float32)


def shares(codes: np.ndarray, factor: int) -> np.ndarray:
    """Share of each class of `landcover.CLASSES` over squares of `factor` pixels a side `[classes, H, W]` float32."""
    return np.stack([averaged((codes == code).astype(np.float32), factor) for code in lc.CLASSES.codes])


def majority(codes: np.ndarray, factor: int) -> np.ndarray:
    """Land-cover code that covers most of each square of `factor` pixels a side `[H, W]` uint8; the first of equals."""
    return codes if factor == 1 else np.array(lc.CLASSES.codes, np.uint8)[shares(codes, factor).argmax(0)]


def observe(
    world: World,
    sensor: Optical,
    moment: Moment,
    grid: GeoBox | None = None,
    sky: Sky | None = None,
    air: Atmosphere | None = None,
) -> Image:
    """See a world with a sensor.

    Args:
        world: The world.
        sensor: Which sensor.
        moment: When.
        grid: Pixels of the finest bands, on the sensor's lattice; by default all that lie within the world. Memory
            grows with this grid: take windows of `sensor_grid` of large worlds, as `rasters.write_raster` does.
        sky: Clouds; by default none.
        air: Atmosphere; by default clear.
    """
    sky, air = sky or Sky(), air or Atmosphere()
    grid = grid or sensor_grid(world, sensor.pixel, origin=sensor.origin)
    # whole native pixels of the coarsest band, and room for shadows that reach in from outside
    unit = max(sensor.coarser)
    least = max(2 * unit, int(np.ceil(30 / sensor.pixel)))
    col = round((grid.affine.c - sensor.origin) / sensor.pixel)
    row = round((sensor.origin - grid.affine.f) / sensor.pixel)
    left, top = least + (col - least) % unit, least + (row - least) % unit
    height, width = (-(-(n + least + before) // unit) * unit for n, before in zip(grid.shape, (top, left), strict=True))
    outer = GeoBox((height, width), grid.affine @ Affine.translation(-left, -top), grid.crs)
    surface = paint(world, finer(outer, sensor.fine), moment)
    seen = reflect(surface, sensor, sky, air, world.seed + 500)
    inner = np.s_[:, top : top + grid.shape[0], left : left + grid.shape[1]]
    x, y = axes(grid)
    over = veil(x, y, sky, moment.sun, moment.time.timestamp(), world.seed + 500)
    stored = _stored(sensor, seen[inner], grid, moment, world.seed)
    west, south, east, north = world.bounds
    outside = (x < west) | (x > east) | ((y < south) | (y > north))[:, None]
    for plane, band in zip(stored, sensor.bands, strict=True):
        plane[outside] = 0 if band.nodata is None else band.nodata
    left, top = left * sensor.fine, top * sensor.fine
    covers = surface.landcover[top : top + grid.shape[0] * sensor.fine, left : left + grid.shape[1] * sensor.fine]
    return Image(stored, sensor.bands, grid, moment, over, covers)


def lit_reflectance(surface: Surface, wavelengths: np.ndarray, widths: np.ndarray) -> list[np.ndarray]:
    """Reflectance of the fine pixels under the sun, relative to flat ground: one `[H, W]` for each band."""
    table = surface.table.weights @ spectra.seen_by(wavelengths, widths).astype(np.float32)
    sunlit = light.direct(surface.dsm, surface.above, surface.grid.affine.a, surface.moment.sun)
    grain = np.maximum(1 + surface.table.texture[surface.row] * surface.grain, 0.2)
    made = []
    for number, share in enumerate(light.diffuse_share(wavelengths)):
        made.append(table[:, number][surface.row] * grain * ((1 - share) * sunlit + share).astype(np.float32))
    return made


def reflect(surface: Surface, sensor: Optical, sky: Sky, air: Atmosphere, seed: int) -> np.ndarray:
    """Noise-free reflectance `[bands, h, w]` on the sensor's pixels over a painted surface; `seed` chooses the sky."""
    moment = surface.moment
    wavelengths = sensor.wavelengths
    path, through, albedo = terms(wavelengths, air, moment.sun.elevation)
    # half of the vapour lies above the cumulus, none of it above the cirrus
    gas = np.sqrt(gas_transmission(wavelengths, air.water, 1 + 1 / max(np.sin(moment.sun.elevation), 0.05)))
    shape = surface.row.shape[0] // sensor.fine, surface.row.shape[1] // sensor.fine
    grid = GeoBox(shape, surface.grid.affine @ Affine.scale(sensor.fine), surface.grid.crs)
    made = np.empty((len(wavelengths), *shape), np.float32)
    fine = lit_reflectance(surface, wavelengths, sensor.widths)
    x, y = axes(grid)
    over = veil(x, y, sky, moment.sun, moment.time.timestamp(), seed)
    for number, share in enumerate(light.diffuse_share(wavelengths)):
        ground = averaged(fine[number], sensor.fine)
        fine[number] = np.empty(0)
        ground *= (1 - share) * over.sunlight + share
        nm = wavelengths[number]
        if sensor.top:
            ground = path[number] + through[number] * ground / (1 - albedo[number] * ground)
        ground = ground * transmission(over.depth) + (gas[number] if sensor.top else 1) * reflectance(over.depth, nm)
        ground = ground * transmission(over.cirrus) + reflectance(over.cirrus * 4, nm, ice=True)
        coarser = sensor.coarser[number]
        native = averaged(ground, coarser) if coarser > 1 else ground
        native = ndimage.gaussian_filter(native, sensor.blur / 2.3548)
        made[number] = native.repeat(coarser, 0).repeat(coarser, 1) if coarser > 1 else native
    return made


def toned(values: np.ndarray) -> np.ndarray:
    """Reflectance as 8-bit picture values: 0.37 is white, gamma 1.7 (ours)."""
    return 255 * np.clip(values / 0.37, 0, 1) ** (1 / 1.7)


def _stored(sensor: Optical, values: np.ndarray, grid: GeoBox, moment: Moment, seed: int) -> np.ndarray:
    """`values` with noise, as the sensor stores them. The noise of a pixel depends on its place, not on the window."""
    col = np.round(axes(grid)[0] / sensor.pixel - 0.5).astype(np.int64)
    row = np.round(axes(grid)[1] / sensor.pixel - 0.5).astype(np.int64)
    instant = noise.key(seed, sensor.id, int(moment.time.timestamp())) % 2**40
    limits = np.iinfo(sensor.dtype)
    made = np.empty(values.shape, sensor.dtype)
    for number, (band, snr, plane) in enumerate(zip(sensor.bands, sensor.snr, values, strict=True)):
        native = sensor.coarser[number]
        draw = noise.uniform((col // native)[None], (row // native)[:, None], instant + number)
        # read noise and photon noise: variance has a constant part and one that grows with the signal
        spread = 0.2 / snr * np.sqrt(0.3 + 0.7 * np.maximum(plane, 0) / 0.2)
        noisy = plane + spread * ndtri(np.clip(draw, 1e-9, 1 - 1e-9))
        stored = toned(noisy) if sensor.picture else (noisy - band.offset) / band.scale
        # the number for nodata is never a value
        least = max(limits.min, 1) if band.nodata == 0 else 0 if sensor.picture else limits.min + 1
        made[number] = np.clip(np.round(stored), least, limits.max)
    return made
