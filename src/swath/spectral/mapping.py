"""Enhancement maps of whole cubes, tile by tile or by detector columns: memory holds one tile and the map."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
from odc.geo.geobox import GeoBox

from swath.errors import ConfigError, DataError
from swath.geo.windows import Window
from swath.sensors.bands import Bands
from swath.spectral import filters
from swath.spectral.absorption import absorption_of, wavelengths
from swath.spectral.selection import Strategy, select
from swath.spectral.statistics import Precision

#: `mag1c_columns` takes statistics of detector columns, the others of tiles.
FilterName = Literal["mag1c_sas", "mag1c", "mag1c_columns", "matched_filter", "ace", "cem"]
FILTERS: tuple[FilterName, ...] = get_args(FilterName)
UNITS: dict[FilterName, str] = {**dict.fromkeys(FILTERS, "ppm m"), "ace": "1", "cem": "1"}
#: Radiance W m-2 sr-1 um-1 and wavelengths nm in which mag1c takes a detector for saturated.
_SATURATED, _SATURATED_NM = 60.0, (1945.0, 2485.0)
#: Columns that are read at once.
_READ_COLUMNS = 64
#: Valid pixels per band below which a column or tile gets no map (our choice).
_PIXELS_PER_BAND = 2
#: uW cm-2 sr-1 nm-1, in which scores of CEM are published, in W m-2 sr-1 um-1.
_CEM_UNIT = 10.0


class Cube(Protocol):
    """A source of which bands can be picked, for example `swath.data.cubes.Cube`."""

    name: str
    grid: GeoBox
    bands: Bands
    dtype: np.dtype

    def pick(self, indices: Sequence[int]) -> Cube:
        """Only the bands at `indices`."""
        ...

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `swath.data.sources.Source.read`."""
        ...


@dataclass(frozen=True)
class Mapper:
    """How a cube becomes a map.

    Attributes:
        filter: Which filter.
        absorption: Table of the unit absorption per ppm m; None takes methane of the package.
        count: Bands that the filter sees; None takes all that the strategy allows.
        strategy: How they are chosen.
        tile: Edge of a tile, about, in pixels; tiles of a cube are of equal size.
        columns: Neighbouring detector columns that share statistics.
        precision: Of the passes over pixels.
        published: Whether the sample of Mag1c-SAS may be as small as in the release.
    """

    filter: FilterName = "mag1c_sas"
    absorption: Path | None = None
    count: int | None = 50
    strategy: Strategy = "variance"
    tile: int = 512
    columns: int = 1
    precision: Precision = "float64"
    published: bool = False

    def __post_init__(self) -> None:
        if self.filter not in FILTERS:
            raise ConfigError("There is no such filter", got=self.filter, expected=", ".join(FILTERS))
        if self.precision not in get_args(Precision):
            raise ConfigError("There is no such precision", got=self.precision, expected="float64 or float32")
        if self.tile < 16 or self.columns < 1:
            raise ConfigError("Tiles or groups of columns are too small", got=f"{self.tile} and {self.columns} pixels")

    def chosen(self, cube: Cube) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the bands that the filter sees, and their absorption per ppm m."""
        absorption = absorption_of(cube.bands, self.absorption)
        indices = select(wavelengths(cube.bands), absorption, self.count, self.strategy)
        return indices, absorption[indices]

    def map(self, cube: Cube) -> np.ndarray:
        """Enhancement `[height, width]` float32, in `UNITS` of the filter; NaN where it could not be measured.

        Raises:
            BandError: If the cube lacks wavelengths or bands.
            DataError: If nowhere enough pixels are valid.
        """
        indices, absorption = self.chosen(cube)
        picked = cube.pick(indices.tolist())
        found = np.full(cube.grid.shape, np.nan, np.float32)
        for window, groups in self._windows(cube):
            values, valid = picked.read(window)
            valid &= usable(values, picked.bands)
            part = found[window.slices]
            for group in groups:
                self._fill(part[:, group], values[:, :, group], valid[:, group], absorption)
        if self.filter == "cem":
            found *= cube.bands[0].scale / _CEM_UNIT
        if np.isnan(found).all():
            raise DataError(
                f"{cube.name} has nowhere enough valid pixels",
                expected=f"{_PIXELS_PER_BAND * len(indices)} in a tile or a group of columns",
                fix="Check its nodata value, take fewer bands, or group more columns",
            )
        return found

    def _fill(self, part: np.ndarray, values: np.ndarray, valid: np.ndarray, absorption: np.ndarray) -> None:
        count = int(valid.sum())
        if count < _PIXELS_PER_BAND * len(absorption):
            return
        whole = count == valid.size
        pixels = values.reshape(len(values), -1) if whole else values[:, valid]
        found = self._run(pixels, absorption)
        if whole:
            part[:] = found.reshape(part.shape)
        else:
            part[valid] = found

    def _run(self, pixels: np.ndarray, absorption: np.ndarray) -> np.ndarray:
        functions: dict[str, Callable[..., np.ndarray]] = {
            "mag1c_sas": partial(filters.mag1c_sas, fewest=1 if self.published else None),
            "mag1c_columns": filters.mag1c,
        }
        run = functions.get(self.filter) or getattr(filters, self.filter)
        return np.asarray(run(pixels, absorption, precision=self.precision))

    def _windows(self, cube: Cube) -> Iterator[tuple[Window, list[slice]]]:
        """What is read at once, and the columns of it that share statistics."""
        height, width = cube.grid.shape
        if self.filter == "mag1c_columns":
            step = max(1, _READ_COLUMNS // self.columns) * self.columns
            for left in range(0, width, step):
                size = min(step, width - left)
                starts = range(0, size, self.columns)
                yield Window(0, left, height, size), [slice(s, min(s + self.columns, size)) for s in starts]
            return
        rows, cols = (np.linspace(0, n, max(1, round(n / self.tile)) + 1).astype(int) for n in (height, width))
        for top, bottom in itertools.pairwise(rows):
            for left, right in itertools.pairwise(cols):
                yield Window(int(top), int(left), int(bottom - top), int(right - left)), [slice(None)]


def usable(values: np.ndarray, bands: Bands) -> np.ndarray:
    """Pixels `[height, width]` of stored `values` `[bands, height, width]` that are neither saturated nor stuck.

    A detector column is stuck where it gives one spectrum over all of at least three rows.
    """
    low, high = _SATURATED_NM
    good = np.ones(values.shape[1:], bool)
    for plane, band in zip(values, bands, strict=True):
        if low <= (band.wavelength or 0) <= high:
            good &= plane * band.scale <= _SATURATED
    if values.shape[1] > 2:
        stuck = np.flatnonzero((values[0] == values[0, :1]).all(0))
        good[:, stuck[(values[:, :, stuck] == values[:, :1, stuck]).all((0, 1))]] = False
    return good
