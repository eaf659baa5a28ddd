"""A series of monthly composites, made of the dates of another as they are read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from odc.geo.geobox import GeoBox

from swath.data.monthly import fill_gaps, month_starts, monthly_medians
from swath.data.scenes import Scene
from swath.data.series import Series
from swath.errors import ConfigError


@dataclass(frozen=True)
class MonthlySeries(Series):
    """The medians of some months of the year in which most frames lie; months without image are filled.

    All months of the year are composed and filled (`swath.data.monthly`), so that what lies before and after the months
    that are asked for helps to fill them.

    Attributes:
        first: The first month, 1 to 12.
        last: The last month.

    Raises:
        ConfigError: If the months are not in order.
    """

    first: int = 1
    last: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.first <= self.last <= 12:
            raise ConfigError("Months are not in order", got=f"{self.first} to {self.last}", expected="within 1 to 12")

    @property
    def dates(self) -> np.ndarray:
        """Start of each month in days since 1970-01-01, int64 `[months]`."""
        return self._starts()[self.first - 1 : self.last].astype(np.int64)

    def read(self, patch: GeoBox, on_error: Literal["raise", "skip"] = "raise") -> tuple[np.ndarray, np.ndarray]:
        """See `Series.read`; `[months, C, h, w]`."""
        values, valid = super().read(patch, on_error)
        times = np.array([frame.time.replace(tzinfo=None) for frame in self.frames], "datetime64[us]")
        starts = self._starts()
        filled, known = fill_gaps(*monthly_medians(values, valid, times, str(starts[0])[:7], len(starts)), starts)
        return filled[self.first - 1 : self.last], known[self.first - 1 : self.last]

    def _starts(self) -> np.ndarray:
        (year, _), *_ = Counter(frame.time.year for frame in self.frames).most_common(1)
        return month_starts(f"{year}-01", 12)


def monthly(scene: Scene, name: str, first: int, last: int) -> Scene:
    """The scene with the series called `name` as the composites of the months `first` to `last`."""
    series = scene.series[name]
    if isinstance(series, MonthlySeries):
        return scene
    return replace(scene, series={**scene.series, name: MonthlySeries(series.frames, series.view, first, last)})
