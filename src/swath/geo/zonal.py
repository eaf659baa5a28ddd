"""Statistics of a raster within zones.

Convention: a pixel belongs to a zone that covers its centre (with `exact=True`, by the share of it that the zone
covers). Numbers are those that the raster holds; only valid pixels count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio.features
import shapely
from odc.geo.geobox import GeoBox

from swath.errors import ConfigError, DataError, GridError, MissingExtraError
from swath.geo.grids import require_crs, require_north_up, shape_of, window_grid
from swath.geo.reproject import to_grid
from swath.geo.warp import Raster
from swath.geo.windows import Window, whole

STATISTICS = ("mean", "std", "min", "max", "sum", "count", "median", "majority")

#: Pixels that are read at once.
_BLOCK = 1 << 22
#: What exactextract calls them.
_EXACT = {"std": "stdev", "majority": "mode"}


def zonal_statistics(
    raster: Raster | np.ndarray,
    zones: gpd.GeoDataFrame,
    statistics: Sequence[str] = STATISTICS,
    *,
    grid: GeoBox | None = None,
    valid: np.ndarray | None = None,
    exact: bool = False,
) -> pd.DataFrame:
    """Summarise the valid pixels of a raster in each zone.

    The raster is read once, in blocks of rows. Only `median` and `majority` hold more than one row of numbers a zone:
    the distinct values of each.

    Args:
        raster: A source, or an array `[bands, height, width]` or `[height, width]` with its `grid`.
        zones: Polygons in any CRS; they may overlap.
        statistics: Any of `STATISTICS`. `std` divides by the count; of equally frequent values, `majority` is the
            lowest.
        grid: Where an array is.
        valid: Validity `[height, width]` of an array; by default where it is finite.
        exact: Weigh pixels by the share that a zone covers, with exactextract; needs a north-up grid.

    Returns:
        A row for each zone, with the index of `zones`. Columns are named as the statistics, or `b1_mean`, `b2_mean`,
        ... where there are several bands. A zone without valid pixels has count (and sum) 0 and NaN for the rest.

    Raises:
        ConfigError: If a statistic is unknown.
        DataError: If a zone is not a polygon.
        GridError: If an array comes without grid, or grid and zones do not fit together.
        MissingExtraError: If `exact` is asked for without exactextract.
    """
    if unknown := sorted(set(statistics) - set(STATISTICS)):
        raise ConfigError("Unknown statistic", got=", ".join(unknown), expected=", ".join(STATISTICS))
    strange = ~zones.geometry.geom_type.isin(["Polygon", "MultiPolygon"])
    if strange.any():
        raise DataError("Zones must be polygons", got=sorted({str(kind) for kind in zones.geom_type[strange]}))
    source = _Held(raster, grid, valid) if isinstance(raster, np.ndarray) else raster
    shapes, index = to_grid(zones.geometry.to_numpy(), zones.crs, source.grid)
    work = _exact if exact else _burnt
    columns = work(source, shapes, index, len(zones), statistics)
    bands = len(columns)
    named = {
        f"b{band}_{name}" if bands > 1 else name: values
        for band, found in enumerate(columns, 1)
        for name, values in found.items()
    }
    return pd.DataFrame(named, index=zones.index)


def numbered_statistics(
    values: np.ndarray, numbers: np.ndarray, statistics: Sequence[str] = STATISTICS, valid: np.ndarray | None = None
) -> pd.DataFrame:
    """Summarise the valid pixels of a raster in zones that another raster numbers.

    Args:
        values: `[bands, height, width]`.
        numbers: Number of the zone of each pixel, `[height, width]`; 0 and less is no zone.
        statistics: See `zonal_statistics`.
        valid: Validity `[height, width]`; by default where every band is finite.

    Returns:
        A row for each number that occurs, which is its index; columns as `zonal_statistics` names them.

    Raises:
        ConfigError: If a statistic is unknown.
        GridError: If the rasters differ in size.
    """
    if unknown := sorted(set(statistics) - set(STATISTICS)):
        raise ConfigError("Unknown statistic", got=", ".join(unknown), expected=", ".join(STATISTICS))
    if values.shape[1:] != numbers.shape:
        raise GridError("Values and numbers of zones differ in size", got=numbers.shape, expected=values.shape[1:])
    valid = np.isfinite(values).all(0) if valid is None else valid
    found, zone = np.unique(numbers[numbers > 0], return_inverse=True)
    counted = valid[numbers > 0]
    columns = {}
    for band, plane in enumerate(values, 1):
        running = _Sums.empty(len(found))
        inside = plane[numbers > 0][counted].astype(np.float64)
        running.add(zone[counted], inside, bool({"median", "majority"} & set(statistics)))
        for name, column in running.statistics(statistics).items():
            columns[f"b{band}_{name}" if len(values) > 1 else name] = column
    return pd.DataFrame(columns, index=found)


class _Held:
    """An array as a raster to read."""

    def __init__(self, values: np.ndarray, grid: GeoBox | None, valid: np.ndarray | None) -> None:
        values = values[None] if values.ndim == 2 else values
        if grid is None or values.shape[1:] != shape_of(grid):
            raise GridError(
                "An array needs the grid that it is on", got=grid and shape_of(grid), expected=values.shape[1:]
            )
        self.grid, self.dtype = grid, values.dtype
        self._values, self._valid = values, np.isfinite(values).all(0) if valid is None else valid

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        return self._values[:, *window.slices], self._valid[window.slices]


@dataclass
class _Sums:
    """Running statistics of one band, `[zones]` each.

    Counts, means and sums of squared deviations of blocks are merged as in Chan, Golub and LeVeque 1983,
    https://doi.org/10.1080/00031305.1983.10483115.
    """

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    low: np.ndarray
    high: np.ndarray
    pairs: list[np.ndarray]

    @classmethod
    def empty(cls, zones: int) -> _Sums:
        count, mean, squares = np.zeros((3, zones))
        return cls(count, mean, squares, np.full(zones, np.inf), np.full(zones, -np.inf), [])

    def add(self, zone: np.ndarray, values: np.ndarray, distinct: bool) -> None:
        """Take in `values` `[n]` of the zones numbered `zone` `[n]`."""
        size = len(self.count)
        count = np.bincount(zone, minlength=size)
        some = np.maximum(count, 1)
        mean = np.bincount(zone, values, size) / some
        squares = np.bincount(zone, (values - mean[zone]) ** 2, size)
        total = np.maximum(self.count + count, 1)
        apart = mean - self.mean
        self.squares += squares + apart**2 * self.count * count / total
        self.mean += apart * count / total
        self.count += count
        np.minimum.at(self.low, zone, values)
        np.maximum.at(self.high, zone, values)
        if distinct:
            table, code = np.unique(values, return_inverse=True)
            pairs, many = np.unique(zone * len(table) + code, return_counts=True)
            self.pairs.append(np.stack([pairs // len(table), table[pairs % len(table)], many]))

    def statistics(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """The named statistics, `[zones]` each."""
        none = self.count == 0
        found = {
            "count": self.count.astype(np.int64),
            "sum": self.mean * self.count,
            "mean": np.where(none, np.nan, self.mean),
            "std": np.where(none, np.nan, np.sqrt(self.squares / np.maximum(self.count, 1))),
            "min": np.where(none, np.nan, self.low),
            "max": np.where(none, np.nan, self.high),
        }
        if self.pairs:
            found["median"], found["majority"] = _ranked(np.concatenate(self.pairs, 1), len(none))
        return {name: found.get(name, np.full(len(none), np.nan)) for name in names}


def _ranked(pairs: np.ndarray, zones: int) -> tuple[np.ndarray, np.ndarray]:
    """Median and majority of each zone from `[3, n]`: zone, value, and how often it occurs (in one block)."""
    table, code = np.unique(pairs[1], return_inverse=True)
    key = pairs[0].astype(np.int64) * len(table) + code
    order = np.argsort(key)
    key, starts = np.unique(key[order], return_index=True)
    many = np.add.reduceat(pairs[2][order], starts)
    zone, value = key // len(table), table[key % len(table)]
    present, starts = np.unique(zone, return_index=True)
    stops = np.append(starts[1:], len(zone))
    ends = np.cumsum(many)
    before = ends[starts] - many[starts]
    total = ends[stops - 1] - before
    median, majority = np.full((2, zones), np.nan)
    # values are sorted, so the middle ones are found by how many come before them
    lower = value[np.searchsorted(ends, before + (total - 1) // 2, side="right")]
    upper = value[np.searchsorted(ends, before + total // 2, side="right")]
    median[present] = (lower + upper) / 2
    most = np.repeat(np.maximum.reduceat(many, starts), stops - starts)
    places = np.where(many == most, np.arange(len(many)), len(many))
    majority[present] = value[np.minimum.reduceat(places, starts)]
    return median, majority


def _burnt(
    source: Raster, shapes: np.ndarray, index: np.ndarray, zones: int, names: Sequence[str]
) -> list[dict[str, np.ndarray]]:
    """Statistics by pixel centres: zones that do not overlap are burnt together."""
    distinct = bool({"median", "majority"} & set(names))
    layers = _layers(shapes, index)
    sums: list[_Sums] = []
    for window in _blocks(source.grid, shapes):
        values, valid = source.read(window)
        sums = sums or [_Sums.empty(zones) for _ in values]
        part = window_grid(source.grid, window)
        touching = _touching(shapes, part)
        for layer in np.unique(layers[touching]):
            chosen = touching[layers[touching] == layer]
            numbers = rasterio.features.rasterize(
                zip(shapes[chosen], (index[chosen] + 1).tolist(), strict=True),
                out_shape=window.shape,
                transform=part.affine,
                dtype=np.int32,
            )
            at = np.flatnonzero((numbers > 0) & valid)
            zone = numbers.reshape(-1)[at] - 1
            for plane, running in zip(values, sums, strict=True):
                running.add(zone, plane.reshape(-1)[at].astype(np.float64), distinct)
    if not sums:
        sums = [_Sums.empty(zones) for _ in source.read(Window(0, 0, 1, 1))[0]]
    return [running.statistics(names) for running in sums]


def _blocks(grid: GeoBox, shapes: np.ndarray) -> Iterator[Window]:
    """Windows of whole rows, cut to the columns and rows of the zones."""
    if not len(shapes):
        return
    x0, y0, x1, y1 = shapely.total_bounds(shapes)
    inverse = ~grid.affine
    corners = np.array([inverse @ (x, y) for x in (x0, x1) for y in (y0, y1)])
    left, top = np.floor(corners.min(0)).astype(int)
    right, bottom = np.ceil(corners.max(0)).astype(int)
    needed = Window(top, left, bottom - top, right - left).intersect(whole(shape_of(grid)))
    if needed.empty:
        return
    step = max(1, _BLOCK // needed.width)
    for row in range(needed.row, needed.row_stop, step):
        yield Window(row, needed.col, min(step, needed.row_stop - row), needed.width)


def _touching(shapes: np.ndarray, grid: GeoBox) -> np.ndarray:
    """Places of the shapes whose bounds touch those of a grid."""
    box = grid.extent.boundingbox
    bounds = shapely.bounds(shapes)
    apart = (
        (bounds[:, 0] > box.right) | (bounds[:, 2] < box.left) | (bounds[:, 1] > box.top) | (bounds[:, 3] < box.bottom)
    )
    return np.flatnonzero(~apart)


def _layers(shapes: np.ndarray, index: np.ndarray) -> np.ndarray:
    """A layer number for each shape, such that shapes of one layer share no area."""
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    earlier = index[second] < index[first]
    first, second = first[earlier], second[earlier]
    sharing = ~shapely.touches(shapes[first], shapes[second])
    layers = np.zeros(len(shapes), np.int64)
    rivals: dict[int, list[int]] = {}
    for one, other in zip(first[sharing].tolist(), second[sharing].tolist(), strict=True):
        rivals.setdefault(one, []).append(other)
    for one in sorted(rivals):
        taken = {int(layers[other]) for other in rivals[one]}
        layers[one] = next(layer for layer in range(len(taken) + 1) if layer not in taken)
    return layers


def _exact(
    source: Raster, shapes: np.ndarray, index: np.ndarray, zones: int, names: Sequence[str]
) -> list[dict[str, np.ndarray]]:
    """Statistics by covered share."""
    try:
        from exactextract import exact_extract
        from exactextract.raster import RasterSource
    except ImportError as error:
        raise MissingExtraError("exactextract", "zonal") from error
    require_north_up(source.grid, "The raster")
    crs = require_crs(source.grid, "The raster").proj
    box = source.grid.extent.boundingbox
    a = source.grid.affine

    class Band(RasterSource):
        """One band, read by window."""

        def __init__(self, band: int) -> None:
            super().__init__()
            self.band = band

        def res(self) -> tuple[float, float]:
            return a.a, -a.e

        def extent(self) -> tuple[float, float, float, float]:
            return box.left, box.bottom, box.right, box.top

        def nodata_value(self) -> float:
            return float("nan")

        def srs_wkt(self) -> str:
            return crs.to_wkt()

        def read_window(self, x0: int, y0: int, nx: int, ny: int) -> np.ndarray:
            values, valid = source.read(Window(y0, x0, ny, nx))
            return np.where(valid, values[self.band].astype(np.float64), np.nan)

    joined = gpd.GeoDataFrame({"zone": index}, geometry=shapes, crs=crs).dissolve("zone").reset_index()
    wanted = [f"{name}={_EXACT.get(name, name)}" for name in names]
    columns = []
    for band in range(len(source.read(Window(0, 0, 1, 1))[0])):
        found: dict[str, np.ndarray] = {}
        table: Any = exact_extract(Band(band), joined, wanted, include_cols=["zone"], output="pandas")
        for name in names:
            values = np.full(zones, 0.0 if name in ("count", "sum") else np.nan)
            values[table["zone"].to_numpy()] = table[name].to_numpy(float)
            found[name] = values
        columns.append(found)
    return columns
