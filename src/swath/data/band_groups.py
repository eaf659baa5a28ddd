"""netCDF files of one place and many dates, with a group for each band: the files of Sen4AgriNet.

A group holds a variable of its own name with the dimensions time, y and x. Coarse bands have larger pixels of the same
ground; each of their pixels is repeated onto the finest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from swath.errors import DataError, MissingExtraError, ReadError, SwathError
from swath.geo.grids import pixel_grid, shape_of
from swath.sensors.bands import Bands

#: Group whose pixels are the finest.
_REFERENCE = "B02"


@dataclass(frozen=True, eq=False)
class BandGroups:
    """A file, opened and checked; equal only to itself.

    Attributes:
        path: The file.
        grid: Of the finest bands; a picture where the file says no coordinates.
        times: When the images were taken, UTC, in the order of the file.
        attributes: Of the file, as text.
        dtype: Type of the stored numbers.
    """

    path: Path
    grid: GeoBox
    times: tuple[datetime, ...]
    attributes: dict[str, str]
    dtype: np.dtype

    def read(self, bands: Bands, dates: Sequence[int] | None = None) -> np.ndarray:
        """Stored numbers `[dates, bands, height, width]` of the whole place; None takes all dates.

        Raises:
            ReadError: If the file is damaged.
            DataError: If a band has another size or other dates.
        """
        return np.stack([self._band(name, dates) for name in bands.names], 1)

    def plane(self, name: str) -> np.ndarray:
        """Numbers `[height, width]` of a group without dates: `labels`, `parcels`.

        Raises:
            ReadError: If the file is damaged or lacks the group.
            DataError: If it has another size or holds no whole numbers.
        """
        with _group(self.path, name) as group:
            values = _variable(group, name, self.path).values
        if values.shape != shape_of(self.grid):
            raise DataError(f"`{name}` of {self.path} has another size", got=values.shape, expected=shape_of(self.grid))
        if not np.issubdtype(values.dtype, np.integer):
            raise DataError(f"`{name}` of {self.path} holds no whole numbers", got=values.dtype, expected="uint32")
        return values.astype(np.int64)

    def _band(self, name: str, dates: Sequence[int] | None) -> np.ndarray:
        with _group(self.path, name) as group:
            found = _variable(group, name, self.path)
            height, width = shape_of(self.grid)
            if found.ndim != 3 or found.shape[0] != len(self.times):
                raise DataError(
                    f"Band {name} of {self.path} has other dates than {_REFERENCE}",
                    got=found.shape,
                    expected=f"{len(self.times)} dates",
                )
            times = height // max(found.shape[1], 1)
            if found.shape[1] * times != height or found.shape[2] * times != width:
                raise DataError(
                    f"Band {name} of {self.path} does not fit the pixels of {_REFERENCE}",
                    got=found.shape[1:],
                    expected=f"{height} x {width} divided by a whole number",
                )
            if found.dtype != self.dtype:
                raise DataError(f"Band {name} of {self.path} is of another type", got=found.dtype, expected=self.dtype)
            values = (found if dates is None else found[list(dates)]).values
        return values if times == 1 else values.repeat(times, 1).repeat(times, 2)


def open_band_groups(path: str | Path, crs: str | None = None, dtype: str = "uint16") -> BandGroups:
    """Open a file; only what describes it is read.

    Args:
        path: The file.
        crs: Of its coordinates `x` and `y`, which are taken as the middles of pixels; None leaves a picture.
        dtype: Type that its bands must have.

    Raises:
        ReadError: If it is missing, damaged, or lacks a group.
        DataError: If it is of another type, or its times cannot be read.
        MissingExtraError: If h5netcdf or xarray is not installed.
    """
    path = Path(path)
    with _group(path, None) as root:
        attributes = {str(name): str(value) for name, value in root.attrs.items()}
    with _group(path, _REFERENCE) as group:
        found = _variable(group, _REFERENCE, path)
        if found.ndim != 3:
            raise DataError(f"Band {_REFERENCE} of {path} is no series", got=found.dims, expected="time, y, x")
        if found.dtype != np.dtype(dtype):
            raise DataError(f"Band {_REFERENCE} of {path} is of another type", got=found.dtype, expected=dtype)
        times = _times(group, found.shape[0], path)
        grid = _grid(group, (found.shape[1], found.shape[2]), crs)
    return BandGroups(path, grid, times, attributes, np.dtype(dtype))


@contextmanager
def _group(path: Path, name: str | None) -> Iterator[Any]:
    """A group of a file as an xarray dataset of stored numbers, with the libraries' errors as ours."""
    try:
        import h5netcdf  # noqa: F401
        import xarray
    except ImportError as error:
        raise MissingExtraError(error.name or "h5netcdf", "netcdf") from error
    if not path.is_file():
        raise ReadError(f"{path} does not exist")
    try:
        with xarray.open_dataset(path, group=name, engine="h5netcdf", mask_and_scale=False) as group:
            yield group
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        if isinstance(error, SwathError):
            raise
        if "group" in str(error):
            raise ReadError(f"{path} has no group `{name}`", got=error) from error
        raise ReadError(
            f"{path} is damaged, or no netCDF file", got=error, fix="Check that the file is whole"
        ) from error


def _variable(group: Any, name: str, path: Path) -> Any:
    """The variable of a group of the same name."""
    if name not in group.variables:
        raise ReadError(f"Group `{name}` of {path} has no variable", got=", ".join(group.variables), expected=name)
    return group[name]


def _times(group: Any, count: int, path: Path) -> tuple[datetime, ...]:
    stored = group["time"].values if "time" in group.variables else np.empty(0)
    if stored.dtype.kind != "M" or len(stored) != count:
        raise DataError(
            f"Times of {path} cannot be read",
            got=f"{len(stored)} of type {stored.dtype}",
            expected=f"{count}, with units such as `days since 1970-01-01`",
        )
    seconds = stored.astype("datetime64[s]").astype(np.int64).tolist()
    return tuple(datetime.fromtimestamp(second, UTC) for second in seconds)


def _grid(group: Any, shape: tuple[int, int], crs: str | None) -> GeoBox:
    if crs is None or not {"x", "y"} <= set(group.variables):
        return pixel_grid(*shape)
    x, y = (group[name].values.astype(float) for name in ("x", "y"))
    if len(x) != shape[1] or len(y) != shape[0] or min(shape) < 2:
        return pixel_grid(*shape)
    right, down = (x[-1] - x[0]) / (len(x) - 1), (y[-1] - y[0]) / (len(y) - 1)
    return GeoBox(shape, Affine(right, 0, x[0] - right / 2, 0, down, y[0] - down / 2), crs)
