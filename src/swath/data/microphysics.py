"""Day microphysics of a granule as a source: the picture is made window by window, as it is read."""

from __future__ import annotations

import numpy as np

from swath.data.sources import Source
from swath.errors import DataError
from swath.geo.grids import same_grid, shape_of
from swath.geo.windows import Window
from swath.sensors.catalogue import resolve, sensor
from swath.sensors.microphysics import day_microphysics


class DayMicrophysics:
    """Bands 1, 20 and 31 of MODIS as a picture of three bytes; a `Source`.

    Args:
        granule: The three bands of sensor `modis_day_microphysics`, in any order and with others among them.
        zenith: Zenith angle of the sun in degrees, one band on the same pixels; where the sun is down nothing is
            valid. None where it is day everywhere.

    Raises:
        BandError: If a band is missing or in another unit.
        DataError: If the zenith lies on other pixels.
    """

    def __init__(self, granule: Source, zenith: Source | None = None) -> None:
        self._order = list(granule.bands.require(sensor("modis_day_microphysics"), granule.name))
        if zenith is not None and not (len(zenith.bands) == 1 and same_grid(zenith.grid, granule.grid)):
            raise DataError(
                f"{zenith.name} does not tell the zenith of {granule.name}",
                got=f"{len(zenith.bands)} bands of {shape_of(zenith.grid)} pixels",
                expected=f"1 band of {shape_of(granule.grid)} pixels at the same place",
            )
        self.name, self.grid = granule.name, granule.grid
        self.bands, self.dtype = resolve("rgb"), np.dtype(np.uint8)
        self._granule, self._zenith = granule, zenith

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`."""
        stored, valid = self._granule.read(window)
        red, shortwave, thermal = self._granule.bands.decode(stored)[self._order]
        zenith = None
        if self._zenith is not None:
            angle, known = self._zenith.read(window)
            zenith = np.where(known, self._zenith.bands.decode(angle)[0], np.nan)
        picture, day = day_microphysics(red, shortwave, thermal, zenith)
        valid = valid & day
        return np.where(valid, picture, 0).astype(np.uint8), valid
