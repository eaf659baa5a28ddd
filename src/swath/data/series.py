"""Time series of images: dated frames of the same bands, read on the grid of a patch or on one of their own around it.

Convention: dates are whole days since 1970-01-01, UTC. Values are physical; where a frame is not valid they are zero.
A frame whose pixels lie on those of the asked grid is cut, all others are warped, from any CRS (`swath.geo.warp`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from swath.data.sources import Source
from swath.errors import BandError, ConfigError, DataError, ReadError
from swath.geo.grids import is_geographic, shape_of
from swath.geo.warp import warp
from swath.sensors.bands import Bands

#: Mean radius of the Earth in metres.
_EARTH = 6_371_008.8


@dataclass(frozen=True, slots=True)
class View:
    """A grid of its own on which a series is read: a square with the middle of the patch, larger or coarser than it.

    Attributes:
        resolution: Edge of a pixel in metres; for pictures without CRS in the unit of their grid.
        size: Edge of the square in pixels.
    """

    resolution: float
    size: int

    def __post_init__(self) -> None:
        if not (self.resolution > 0 and self.size >= 1):
            raise ConfigError(
                "A series cannot be viewed so",
                got=f"resolution {self.resolution}, size {self.size}",
                expected="a positive resolution and at least one pixel",
            )

    def around(self, patch: GeoBox) -> GeoBox:
        """The square around the middle of `patch`, in its CRS."""
        height, width = shape_of(patch)
        x, y = patch.affine @ (width / 2, height / 2)
        across, down = _units(patch, y)
        across, down = self.resolution * across, self.resolution * down
        half = self.size / 2
        affine = Affine(across, 0, x - half * across, 0, -down, y + half * down)
        return GeoBox((self.size, self.size), affine, patch.crs)


@dataclass(frozen=True, slots=True)
class SeriesInput:
    """What a network takes of a series.

    Attributes:
        bands: Bands of each frame, in order.
        view: The grid that it is read on; None for that of the patch.
    """

    bands: Bands
    view: View | None = None


@dataclass(frozen=True)
class Frame:
    """One date of a series.

    Attributes:
        time: When it was taken; without time zone it is UTC.
        source: Its pixels, on any grid.
    """

    time: datetime
    source: Source


@dataclass(frozen=True)
class Series:
    """Frames of the same bands, sorted by time as they are given in any order.

    Attributes:
        frames: The frames.
        view: How a patch of the scene reads it; None for the patch's own grid.

    Raises:
        DataError: If there is no frame.
        BandError: If frames differ in sensor, bands or units.
    """

    frames: tuple[Frame, ...]
    view: View | None = None

    def __post_init__(self) -> None:
        if not self.frames:
            raise DataError("A series without frames is not defined", expected="at least one dated image")
        object.__setattr__(self, "frames", tuple(sorted(self.frames, key=lambda frame: _utc(frame.time))))
        first = self.frames[0].source
        for frame in self.frames[1:]:
            bands = frame.source.bands
            if len(bands) != len(first.bands) or bands.require(first.bands, frame.source.name) != tuple(
                range(len(first.bands))
            ):
                raise BandError(
                    f"{frame.source.name} has other bands than {first.name}, a frame of the same series",
                    got=", ".join(bands.names),
                    expected=", ".join(first.bands.names),
                )

    def __len__(self) -> int:
        return len(self.dates)

    @property
    def bands(self) -> Bands:
        """Bands of each frame."""
        return self.frames[0].source.bands

    @property
    def dates(self) -> np.ndarray:
        """Day of each frame, int64 `[T]`."""
        epoch = date(1970, 1, 1)
        return np.array([(_utc(frame.time).date() - epoch).days for frame in self.frames], np.int64)

    def read(self, patch: GeoBox, on_error: Literal["raise", "skip"] = "raise") -> tuple[np.ndarray, np.ndarray]:
        """Read all frames for a patch.

        Args:
            patch: Grid of the patch; the view says which ground around it is read.
            on_error: Whether a frame that cannot be read raises, or is invalid.

        Returns:
            Physical values `[T, C, h, w]`, float32, and validity `[T, h, w]`; invalid pixels are zero.

        Raises:
            ReadError: If a frame is damaged.
            GridError: If one of patch and frame has no CRS and the other has.
        """
        grid = patch if self.view is None else self.view.around(patch)
        values = np.zeros((len(self.frames), len(self.bands), *shape_of(grid)), np.float32)
        valid = np.zeros((len(self.frames), *shape_of(grid)), bool)
        for number, frame in enumerate(self.frames):
            try:
                stored, seen = warp(frame.source, grid)
            except ReadError:
                if on_error == "raise":
                    raise
                continue
            values[number] = np.where(seen, frame.source.bands.decode(stored), 0)
            valid[number] = seen
        return values, valid


def same_inputs(some: Mapping[str, SeriesInput], others: Mapping[str, SeriesInput]) -> bool:
    """Whether two sets of series have the same names, bands, units and views."""

    def key(inputs: Mapping[str, SeriesInput]) -> dict[str, object]:
        return {name: (s.bands.sensor, s.bands.names, s.bands.units, s.view) for name, s in inputs.items()}

    return key(some) == key(others)


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _units(grid: GeoBox, y: float) -> tuple[float, float]:
    """Units of a grid's CRS in a metre, across and down, at `y`."""
    if grid.crs is None:
        return 1.0, 1.0
    unit = float(grid.crs.proj.axis_info[0].unit_conversion_factor)  # metres, or radians
    if is_geographic(grid):
        down = 1 / (unit * _EARTH)
        return down / max(float(np.cos(y * unit)), 1e-6), down
    return 1 / unit, 1 / unit
