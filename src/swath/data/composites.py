"""Seasonal composites: the median over dates of what was seen, pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
from odc.geo.geobox import GeoBox

from swath.data.scenes import Scene
from swath.data.sources import Source
from swath.data.warped import on_grid
from swath.errors import BandError, ConfigError, DataError
from swath.geo.warp import Resampling
from swath.geo.windows import Window
from swath.sensors.bands import Bands

#: Bytes of observations that are held at once; larger windows are read in strips.
_BUDGET = 1 << 28


class MedianComposite:
    """The median of several dates as one source, float32 in physical units.

    Each date counts only where it is valid; of an even number of dates the two middle ones are averaged.

    Args:
        sources: One for each date, all with the same bands.
        grid: Where; by default the grid of the first. Sources on other grids are warped as they are read.
        names: What the bands are called now, for example `red_before`; by default as in the sources.
        minimum: Valid dates below which a pixel is invalid.
        resampling: How sources are warped.

    Raises:
        DataError: If there are no sources.
        BandError: If the sources differ in sensor, bands or units, or `names` is of another length.
        ConfigError: If the minimum is not positive.
        GridError: If grids differ and one has no CRS.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        grid: GeoBox | None = None,
        names: Sequence[str] | None = None,
        minimum: int = 1,
        resampling: Resampling = "bilinear",
    ) -> None:
        if not sources:
            raise DataError("A composite of no dates is not defined", expected="at least one source")
        if minimum < 1:
            raise ConfigError("A composite needs valid dates", got=f"minimum={minimum}", expected="1 or more")
        first = sources[0].bands
        for source in sources[1:]:
            if len(source.bands) != len(first) or source.bands.require(first, source.name) != tuple(range(len(first))):
                raise BandError(
                    f"{source.name} has other bands than {sources[0].name}",
                    got=", ".join(source.bands.names),
                    expected=", ".join(first.names),
                )
        names = first.names if names is None else tuple(names)
        if len(names) != len(first):
            raise BandError("A composite is named otherwise than it has bands", got=names, expected=first.names)
        self.bands = Bands(
            first.sensor,
            tuple(
                replace(band, name=name, scale=1.0, offset=0.0, nodata=None, aliases=())
                for band, name in zip(first, names, strict=True)
            ),
        )
        self.name = f"median of {len(sources)} dates from {sources[0].name}"
        self.grid = sources[0].grid if grid is None else grid
        self.dtype = np.dtype(np.float32)
        self._minimum = minimum
        self._sources = tuple(on_grid(source, self.grid, resampling) for source in sources)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`."""
        values = np.zeros((len(self.bands), *window.shape), np.float32)
        valid = np.zeros(window.shape, bool)
        row_bytes = 4 * len(self._sources) * len(self.bands) * max(window.width, 1)
        step = max(1, _BUDGET // row_bytes)
        for start in range(0, window.height, step):
            rows = slice(start, min(start + step, window.height))
            strip = Window(window.row + rows.start, window.col, rows.stop - rows.start, window.width)
            values[:, rows], valid[rows] = self._strip(strip)
        return values, valid

    def _strip(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        dates = np.empty((len(self._sources), len(self.bands), *window.shape), np.float32)
        seen = np.zeros(window.shape, np.int64)
        for date, source in zip(dates, self._sources, strict=True):
            stored, valid = source.read(window)
            date[:] = np.where(valid, source.bands.decode(stored), np.nan)
            seen += valid
        valid = seen >= self._minimum
        return np.where(valid, median_of_seen(dates, seen), 0), valid


def median_of_seen(dates: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Median over the first axis.

    Args:
        dates: Values `[dates, bands, height, width]`, NaN where not seen; sorted in place.
        seen: Number of dates that are not NaN, `[height, width]`.

    Returns:
        Medians `[bands, height, width]`; NaN where no date was seen.
    """
    dates.sort(axis=0)  # NaN last
    low, high = np.maximum(seen - 1, 0) // 2, seen // 2
    high = np.minimum(high, len(dates) - 1)
    middle = [np.take_along_axis(dates, np.broadcast_to(at, dates[:1].shape), 0)[0] for at in (low, high)]
    return (middle[0] + middle[1]) / 2


def in_season(time: datetime, first: int, last: int) -> bool:
    """Whether a time lies in the months `first` to `last`, both included; a season may go over New Year.

    Raises:
        ConfigError: If a month is not 1 to 12.
    """
    if not (1 <= first <= 12 and 1 <= last <= 12):
        raise ConfigError("A season is not named by months", got=f"{first} to {last}", expected="1 to 12")
    if first <= last:
        return first <= time.month <= last
    return time.month >= first or time.month <= last


def of_season(scenes: Sequence[Scene], first: int, last: int, year: int | None = None) -> list[Scene]:
    """The scenes of a season.

    Args:
        scenes: Dated scenes.
        first: First month, 1 to 12.
        last: Last month, included; before `first` where the season goes over New Year.
        year: Year in which the season begins; None takes all years.

    Raises:
        DataError: If a scene has no time, or none is of the season.
    """
    if undated := [scene.id for scene in scenes if scene.time is None]:
        raise DataError("Scenes without a time are of no season", got=", ".join(undated[:5]))
    chosen = [
        scene
        for scene in scenes
        if scene.time is not None
        and in_season(scene.time, first, last)
        and year in (None, scene.time.year - int(scene.time.month < first and first > last))
    ]
    if not chosen:
        raise DataError(
            "No scene is of the season",
            got=f"{len(scenes)} scenes",
            expected=f"months {first} to {last}" + ("" if year is None else f" of {year}"),
        )
    return chosen
