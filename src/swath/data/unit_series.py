"""Sequences of units out of images: mean and deviation of every band within each unit, date by date."""

from __future__ import annotations

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
from odc.geo.geobox import GeoBox

from swath.data.monthly_series import MonthlySeries
from swath.data.series import Series
from swath.geo.grids import window_grid
from swath.geo.windows import Window
from swath.geo.zonal import zonal_statistics
from swath.sensors.bands import Band, Bands

#: Statistics of a unit.
STATISTICS = ("mean", "std")


def unit_features(bands: Bands) -> Bands:
    """Mean and deviation of each band, one band after the other; the mean keeps the aliases of its band."""
    features = []
    for band in bands:
        features += [
            Band(f"{band.name}_mean", band.unit, band.wavelength, aliases=band.aliases),
            Band(f"{band.name}_std", band.unit, band.wavelength),
        ]
    return Bands(f"{bands.sensor}_units", tuple(features))


def unit_values(series: Series, units: gpd.GeoDataFrame) -> np.ndarray:
    """Mean and deviation of the valid pixels whose centre lies in each unit.

    Args:
        series: The images.
        units: Polygons in any CRS.

    Returns:
        Physical values `[units, T, 2 C]`, float32, in the order of `unit_features`; NaN where nothing was seen.

    Raises:
        DataError: If a unit is no polygon.
        GridError: If units and images do not fit together.
        ReadError: If an image is damaged.
    """
    if isinstance(series, MonthlySeries):
        found = _statistics(_Composed(series), units, len(series) * len(series.bands))
        return found.reshape(len(units), len(series), -1).astype(np.float32)
    # mean and deviation of what is stored become physical, band by band
    scale = np.array([(band.scale, abs(band.scale)) for band in series.bands]).ravel()
    offset = np.array([(band.offset, 0.0) for band in series.bands]).ravel()
    steps = [_statistics(frame.source, units, len(series.bands)) * scale + offset for frame in series.frames]
    return np.stack(steps, 1).astype(np.float32)


def filled_steps(values: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Sequences with gaps on the straight line between the steps around them, and before and after all steps level.

    Args:
        values: `[N, T, C]`, NaN where nothing was seen; a unit that was never seen stays NaN.
        days: Day of each step, rising `[T]`.
    """
    filled = values.copy()
    seen = np.isfinite(values).all(2)
    for unit in np.flatnonzero(seen.any(1) & ~seen.all(1)):
        known = seen[unit]
        for place in range(values.shape[2]):
            filled[unit, :, place] = np.interp(days, days[known], values[unit, known, place])
    filled[~seen.any(1)] = np.nan
    return filled


class _Composed:
    """A monthly series as one raster of all months, read by window on the grid of its first frame."""

    def __init__(self, series: MonthlySeries) -> None:
        self.grid: GeoBox = series.frames[0].source.grid
        self.dtype = np.dtype(np.float32)
        self._series = series

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        values, valid = self._series.read(window_grid(self.grid, window))
        return values.reshape(-1, *window.shape), np.asarray(valid.any(0))


def _statistics(raster: object, units: gpd.GeoDataFrame, bands: int) -> np.ndarray:
    """Statistics `[units, bands * 2]`."""
    table = zonal_statistics(raster, units, STATISTICS)  # type: ignore[arg-type]
    names = [f"b{band}_{name}" if bands > 1 else name for band in range(1, bands + 1) for name in STATISTICS]
    return table[names].to_numpy(np.float64)


def common_steps(series: Sequence[Series]) -> np.ndarray | None:
    """Days of the steps that all series share, `[T]`; None where they differ."""
    first, *others = [one.dates for one in series]
    return first if all(np.array_equal(first, other) for other in others) else None
