"""EMIT L1B radiance (NetCDF 4): a cube in the sensor's own geometry, with the look-up table to the map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from swath.data.cubes import MICROWATTS, Cube, Lookup, sorted_bands
from swath.errors import MissingExtraError, ReadError
from swath.geo.grids import pixel_grid
from swath.geo.windows import Window


def open_emit(path: Path) -> Cube:
    """Open an EMIT granule `EMIT_L1B_RAD_*.nc`.

    Raises:
        ReadError: If it is missing, damaged or no such granule.
        MissingExtraError: If h5py is not installed.
    """
    try:
        import h5py  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtraError("h5py", "methane") from error
    try:
        with h5py.File(path, "r") as file:
            radiance = file["radiance"]
            rows, cols, _ = radiance.shape
            dtype = radiance.dtype
            fill = float(np.ravel(radiance.attrs.get("_FillValue", -9999.0))[0])
            nm, fwhm = (np.asarray(file[f"sensor_band_parameters/{name}"], float) for name in ("wavelengths", "fwhm"))
            lookup = _lookup(file)
    except (OSError, KeyError, ValueError) as error:
        problem = f"{path} does not exist" if not path.exists() else f"{path} is no EMIT radiance, or damaged"
        raise ReadError(problem, got=error, expected="EMIT_L1B_RAD_*.nc with `radiance`") from error
    bands, order = sorted_bands("emit", nm, fwhm, MICROWATTS, fill, str(path))

    def reader(positions: Sequence[int], window: Window) -> np.ndarray:
        first, last = min(positions), max(positions) + 1
        try:
            with h5py.File(path, "r") as file:
                part = file["radiance"][window.row : window.row_stop, window.col : window.col_stop, first:last]
        except OSError as error:
            raise ReadError(f"{path} is damaged", got=error, fix="Check that the file is whole") from error
        return np.ascontiguousarray(np.moveaxis(part, -1, 0)[[p - first for p in positions]])

    return Cube(str(path), pixel_grid(rows, cols), bands, dtype, reader, order.tolist(), lookup)


def _lookup(file: Any) -> Lookup | None:
    """The table `location/glt_*`, which counts from 1; 0 means no pixel."""
    if "location" not in file or "glt_x" not in file["location"] or "geotransform" not in file.attrs:
        return None
    x, dx, x_row, y, y_col, dy = (float(v) for v in np.ravel(file.attrs["geotransform"]))
    crs = file.attrs.get("spatial_ref", "EPSG:4326")
    col, row = (np.asarray(file[f"location/{name}"], np.int64) - 1 for name in ("glt_x", "glt_y"))
    grid = GeoBox(row.shape, Affine(dx, x_row, x, y_col, dy, y), crs.decode() if isinstance(crs, bytes) else str(crs))
    return Lookup(grid, np.where(col >= 0, row, -1), col)
