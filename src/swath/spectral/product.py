"""What networks see of a cube: red, green, blue and the enhancement that a filter finds, as a source."""

from __future__ import annotations

import threading
from functools import cached_property

import numpy as np

from swath.errors import BandError
from swath.geo.windows import Window, whole
from swath.sensors.bands import Band, Bands
from swath.spectral.mapping import Cube, Mapper

#: What the bands are divided by before they are cut at 0 and 2: the published factors.
FACTORS = {
    "aviris_ng": (247.29258728, 280.84561157, 299.62350464, 1218.28137207),
    "emit": (98.91703491, 112.33824463, 119.84940185, 2436.56274414),
}
#: Values are cut here after division.
HIGHEST = 2.0
#: Centres of red, green and blue, nm, and how far the nearest band may lie from them.
COLOURS_NM, _APART_NM = (640.0, 550.0, 460.0), 20.0
#: The bands of a product: three of radiance, and the enhancement.
PRODUCT = Bands(
    "gas_product",
    (
        *(Band(name, "radiance", nm) for name, nm in zip(("red", "green", "blue"), COLOURS_NM, strict=True)),
        Band("enhancement", "ppm m"),
    ),
)


class GasProduct:
    """The bands `PRODUCT` of a cube, a `swath.data.sources.Source`.

    The enhancement of the whole cube is computed when it is first read, and kept: four bytes a pixel.

    Attributes:
        cube: The cube.
        name: Its path.
        grid: Where it is.
        bands: `PRODUCT`.
        dtype: float32.

    Args:
        cube: The cube.
        mapper: The filter; its map is in ppm m.

    Raises:
        BandError: If the cube has no band near red, green or blue.
    """

    def __init__(self, cube: Cube, mapper: Mapper) -> None:
        nm = np.array([np.nan if band.wavelength is None else band.wavelength for band in cube.bands])
        nearest = [int(np.nanargmin(np.abs(nm - centre))) for centre in COLOURS_NM]
        if (np.abs(nm[nearest] - COLOURS_NM) > _APART_NM).any():
            raise BandError(
                f"{cube.name} has no colours",
                got=f"bands from {np.nanmin(nm):.0f} to {np.nanmax(nm):.0f} nm",
                expected=f"bands near {', '.join(f'{centre:.0f}' for centre in COLOURS_NM)} nm",
                fix="Give a cube that holds them, or use the filters alone (methane_onboard)",
            )
        self.cube, self.name, self.grid = cube, cube.name, cube.grid
        self.bands, self.dtype = PRODUCT, np.dtype(np.float32)
        self._colours, self._mapper = cube.pick(nearest), mapper
        self._mapping = threading.Lock()

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `swath.data.sources.Source.read`."""
        values = np.zeros((len(PRODUCT), *window.shape), np.float32)
        colours, valid = self._colours.read(window)
        values[:3] = self._colours.bands.decode(colours)
        with self._mapping:
            enhancement = self.enhancement
        inside = window.intersect(whole(self.grid.shape))
        if not inside.empty:
            values[3][inside.relative_to(window).slices] = enhancement[inside.slices]
        valid &= np.isfinite(values[3])
        values[:, ~valid] = 0
        return values, valid

    @cached_property
    def enhancement(self) -> np.ndarray:
        """The filter's map `[height, width]`, float32, ppm m; NaN where it could not be measured."""
        return self._mapper.map(self.cube)
