"""Vectors: files, rasters of them, and polygons of rasters.

Convention: coordinates are `(x, y)`, east or longitude first. GeoJSON is always longitude and latitude (RFC 7946). A
pixel belongs to a polygon that covers its centre, and to a line that passes through it (GDAL's rules).
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import rasterio.features
import shapely
from odc.geo.geobox import GeoBox
from pyproj import CRS
from pyproj.exceptions import CRSError

from swath.errors import ConfigError, DataError, GridError, InputError, MissingExtraError, ReadError, WriteError
from swath.files import replacing
from swath.geo.areas import cell_areas
from swath.geo.grids import coordinates, require_crs, shape_of
from swath.geo.reproject import project, to_grid, turned
from swath.geo.windows import Window

_log = logging.getLogger(__name__)

#: Pixels whose areas are worked out at once.
_BLOCK = 1 << 20
# rasterio changes the filters of warnings while it rasterises, which two threads must not do at once.
_rasterising = threading.Lock()
#: GDAL's drivers by suffix; None is GeoParquet, which geopandas writes.
_DRIVERS = {".parquet": None, ".geoparquet": None, ".gpkg": "GPKG", ".geojson": "GeoJSON", ".fgb": "FlatGeobuf"}


def read_vectors(path: str | Path, layer: str | None = None, crs: str | None = None) -> gpd.GeoDataFrame:
    """Read a vector file: GeoJSON, GeoPackage, Shapefile, FlatGeobuf, GeoParquet or another that GDAL knows.

    Rows without geometry are left out and broken geometries are made valid; both are logged as warnings.

    Args:
        path: The file.
        layer: Name of the layer, where the file has several.
        crs: CRS of the coordinates, where the file does not say.

    Raises:
        ReadError: If the file is missing or cannot be read.
        ConfigError: If `layer` or `crs` is unknown, or a layer must be named.
        DataError: If the file holds no geometry or coordinates that are not finite.
        GridError: If the CRS is missing, or `crs` is another one than that of the file.
    """
    path = Path(path)
    if not path.exists():
        raise ReadError(f"{path} does not exist", expected="a vector file")
    frame = _read_parquet(path) if path.suffix in (".parquet", ".geoparquet") else _read_layer(path, layer)
    if not isinstance(frame, gpd.GeoDataFrame):
        raise DataError(f"{path} holds a table without geometry", got=f"columns {list(frame.columns)}")
    frame = _with_crs(frame, crs, path)
    present = ~(frame.geometry.isna() | frame.geometry.is_empty)
    if not present.all():
        _log.warning("%s: %d rows without geometry are left out", path, int((~present).sum()))
        frame = frame[present].reset_index(drop=True)
    if frame.empty:
        raise DataError(f"{path} holds no geometry", expected="at least one")
    if not np.isfinite(frame.total_bounds).all() or not np.isfinite(shapely.get_coordinates(frame.geometry)).all():
        raise DataError(f"{path} holds coordinates that are not finite", fix="Remove or repair these geometries")
    broken = ~frame.geometry.is_valid
    if broken.any():
        _log.warning("%s: %d broken geometries are made valid", path, int(broken.sum()))
        whole = shapely.make_valid(frame.geometry.to_numpy(), method="structure", keep_collapsed=False)
        frame = frame.set_geometry(gpd.GeoSeries(whole, index=frame.index, crs=frame.crs))
        frame = frame[~frame.geometry.is_empty].reset_index(drop=True)
        if frame.empty:
            raise DataError(f"{path} holds only geometries that are broken beyond repair")
    return frame


def write_vectors(frame: gpd.GeoDataFrame, path: str | Path) -> None:
    """Write geometries with their attributes, in the format of the suffix: .parquet, .gpkg, .geojson or .fgb.

    GeoJSON is reprojected to longitude and latitude.

    Raises:
        ConfigError: If the suffix is another.
        GridError: If GeoJSON is asked for without CRS.
        WriteError: If the file cannot be written.
    """
    path = Path(path)
    if path.suffix not in _DRIVERS:
        raise ConfigError(f"Cannot tell the format of {path}", got=path.suffix or "no suffix", expected=list(_DRIVERS))
    driver = _DRIVERS[path.suffix]
    if driver == "GeoJSON":
        if frame.crs is None:
            raise GridError(
                "GeoJSON needs longitude and latitude",
                got="no CRS",
                fix="Write .gpkg or .parquet, which can do without",
            )
        frame = frame.to_crs("EPSG:4326")
    with replacing(path) as temporary:
        temporary.unlink()  # GDAL would open the empty file as one to append to
        try:
            if driver is None:
                _need_pyarrow()
                frame.to_parquet(temporary)
            else:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
                    pyogrio.write_dataframe(frame, temporary, driver=driver, layer=re.sub(r"\W+", "_", path.stem))
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FieldError) as error:
            raise WriteError(f"Cannot write {path}", got=error) from error


def rasterize(
    geometries: gpd.GeoSeries | gpd.GeoDataFrame,
    values: Sequence[float] | np.ndarray,
    grid: GeoBox,
    *,
    fill: float,
    dtype: np.dtype | type | str,
    all_touched: bool = False,
) -> np.ndarray:
    """Burn polygons, lines and points; of those that meet in a pixel, the last one counts.

    Geometries in another CRS are reprojected, their edges densified so that they stay within a tenth of a pixel.

    Args:
        geometries: Any kinds, with their CRS.
        values: The number to burn for each.
        grid: Where to burn.
        fill: The number elsewhere.
        dtype: Type of the result.
        all_touched: Whether polygons and lines take every pixel that they touch.

    Returns:
        `[height, width]` of `dtype`.

    Raises:
        InputError: If a number does not fit `dtype`, or there are more or fewer values than geometries.
        GridError: If one side has a CRS and the other has none.
    """
    dtype, values = np.dtype(dtype), np.asarray(values)
    if len(values) != len(geometries):
        raise InputError("Every geometry needs a value", got=f"{len(values)} values", expected=len(geometries))
    burnt = np.append(values, fill)
    with np.errstate(invalid="ignore", over="ignore"):
        if not np.array_equal(burnt.astype(dtype).astype(burnt.dtype), burnt, equal_nan=burnt.dtype.kind == "f"):
            raise InputError(
                f"A value does not fit {dtype}", got=f"{burnt.min()} to {burnt.max()}", expected=str(dtype)
            )
    shapes, index = to_grid(geometries.geometry.to_numpy(), geometries.crs, grid)
    if not len(shapes):
        return np.full(grid.shape, fill, dtype)
    return burn(shapes, values[index], grid, fill=fill, dtype=dtype, all_touched=all_touched)


def burn(
    shapes: np.ndarray,
    values: np.ndarray,
    grid: GeoBox,
    *,
    fill: float = 0,
    dtype: np.dtype | type | str = np.uint8,
    all_touched: bool = False,
) -> np.ndarray:
    """As `rasterize`, of shapes that are in the coordinates of `grid` already; nothing is checked."""
    dtype = np.dtype(dtype)
    work = np.uint8 if dtype.kind == "b" else dtype
    with _rasterising:
        raster = rasterio.features.rasterize(
            zip(shapes, np.asarray(values).astype(work).tolist(), strict=True),
            out_shape=shape_of(grid),
            transform=grid.affine,
            fill=fill,
            dtype=work,
            all_touched=all_touched,
        )
    return raster.astype(dtype, copy=False)


def polygonize(
    classes: np.ndarray, grid: GeoBox, *, valid: np.ndarray | None = None, connectivity: int = 4
) -> gpd.GeoDataFrame:
    """Outline connected pixels of one number.

    Args:
        classes: `[height, width]`, integers of up to 32 bit.
        grid: Where they are.
        valid: `[height, width]`, bool: pixels to outline; by default all.
        connectivity: 4, or 8 to join pixels that touch at a corner.

    Returns:
        A row for each polygon, from top to bottom by where it is closed: `value`, `geometry` along pixel edges in the
        grid's CRS, and, for a grid with CRS, `area_m2`: the area of its pixels on the ellipsoid.

    Raises:
        InputError: If the array is not of integers or does not fit the grid.
    """
    if classes.shape != shape_of(grid) or classes.dtype.kind not in "iub":
        raise InputError(
            "This array cannot be outlined",
            got=f"{classes.dtype} {classes.shape}",
            expected=f"integers of shape {shape_of(grid)}",
        )
    if connectivity not in (4, 8):
        raise ConfigError("Pixels connect to 4 or 8 others", got=connectivity, expected="4 or 8")
    numbers = classes.astype(np.int32)
    if not np.array_equal(numbers, classes):
        raise InputError("A number is too large to outline", got=classes.max(), expected="32-bit integers")
    found = list(rasterio.features.shapes(numbers, valid, connectivity, grid.affine))
    outlines = [shapely.geometry.shape(outline) for outline, _ in found]
    columns = {"value": np.array([value for _, value in found], np.int64)}
    if grid.crs is not None:
        columns["area_m2"] = _pixel_areas(outlines, grid)
    outlines = [outline if outline.is_valid else shapely.make_valid(outline) for outline in outlines]
    return gpd.GeoDataFrame(columns, geometry=outlines, crs=grid.crs.proj if grid.crs is not None else None)


def _pixel_areas(outlines: list[shapely.Polygon], grid: GeoBox) -> np.ndarray:
    """Sum of the areas of the pixels in each of disjoint outlines, in square metres."""
    totals = np.zeros(len(outlines) + 1)
    if not outlines:
        return totals[1:]
    height, width = shape_of(grid)
    numbers = rasterio.features.rasterize(
        zip(outlines, range(1, len(outlines) + 1), strict=True),
        out_shape=(height, width),
        transform=grid.affine,
        dtype=np.int32,
    )
    step = max(1, _BLOCK // width)
    for row in range(0, height, step):
        window = Window(row, 0, min(step, height - row), width)
        part = numbers[window.slices].ravel()
        totals += np.bincount(part, cell_areas(grid, window).ravel(), len(totals))
    return totals[1:]


def footprint(grid: GeoBox, densify: int = 21) -> shapely.Polygon | shapely.MultiPolygon:
    """Outline of a grid in longitude and latitude (EPSG:4326), between -180 and 180 degrees.

    A grid across the antimeridian is cut there; one that holds a pole reaches to it, over all longitudes.

    Args:
        grid: The grid.
        densify: Points along each side, at least 2.

    Raises:
        GridError: If the grid has no CRS or lies where its projection is undefined.
    """
    crs = require_crs(grid, "The grid")
    height, width = shape_of(grid)
    down, across = np.linspace(0, height, densify)[:-1], np.linspace(0, width, densify)[:-1]
    rows = np.concatenate([down, np.full_like(across, height), height - down, np.zeros_like(across)])
    cols = np.concatenate([np.zeros_like(down), across, np.full_like(down, width), width - across])
    outline = np.array([shapely.Polygon(np.column_stack(coordinates(grid, rows, cols)))])
    if crs != "EPSG:4326":
        outline, _ = project(outline, crs.proj, CRS.from_epsg(4326))
    if not len(outline):
        raise GridError("The grid reaches beyond where its CRS is defined", got=f"{crs} {tuple(grid.affine[:6])}")
    world = shapely.box(-180, -90, 180, 90)
    parts = shapely.get_parts(
        shapely.get_parts(shapely.intersection([turned(outline[0], turn) for turn in (-360, 0, 360)], world))
    )
    return shapely.orient_polygons(shapely.union_all(parts[shapely.area(parts) > 0]))


def _read_parquet(path: Path) -> gpd.GeoDataFrame:
    _need_pyarrow()
    try:
        return gpd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ReadError(f"{path} is not a readable GeoParquet file", got=error) from error


def _need_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet") from error


def _read_layer(path: Path, layer: str | None) -> gpd.GeoDataFrame:
    try:
        layers = pyogrio.list_layers(path)
        spatial = [name for name, kind in layers if kind is not None]
        if layer is None and len(spatial) > 1:
            raise ConfigError(f"{path} has several layers", got=spatial, fix="Name one with `layer:`")
        if layer is not None and layer not in layers[:, 0]:
            raise ConfigError(f"{path} has no layer '{layer}'", expected=list(layers[:, 0]))
        chosen = layer or (spatial[0] if spatial else None)
        return pyogrio.read_dataframe(path, layer=chosen, force_2d=True)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, shapely.errors.GEOSException) as error:
        raise ReadError(f"{path} is not a readable vector file", got=error) from error


def _with_crs(frame: gpd.GeoDataFrame, crs: str | None, path: Path) -> gpd.GeoDataFrame:
    if crs is None:
        if frame.crs is None:
            raise GridError(f"{path} has no coordinate reference system", fix="Give it with `crs:` / `--crs`")
        return frame
    try:
        given = CRS.from_user_input(crs)
    except CRSError as error:
        raise ConfigError("The CRS cannot be understood", got=crs, expected="for example EPSG:32633") from error
    if frame.crs is not None and frame.crs != given:
        raise GridError(
            f"{path} says another CRS than the given one", got=crs, expected=frame.crs, fix="Leave `crs:` / `--crs` out"
        )
    return frame if frame.crs is not None else frame.set_crs(given)
