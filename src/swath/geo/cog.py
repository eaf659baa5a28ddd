"""Cloud-Optimised GeoTIFFs, written from rows as they come, whole or not at all.

Rows go into a tiled GeoTIFF under a temporary name; when all are there, GDAL's COG driver lays it out anew with
overviews, and the result is renamed. Memory does not grow with the height of the raster.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

import numpy as np
import rasterio
import rasterio.shutil
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RioWindow

from swath.errors import GridError, WriteError
from swath.files import replacing, write_text
from swath.geo.grids import shape_of

#: Height and width of the tiles in the file.
BLOCK = 512
#: GDAL's own cache while writing; its default is a share of the machine's memory.
_CACHE_MB = 64

Legend = Mapping[int, tuple[str, tuple[int, int, int]]]


def write_cog(
    path: str | Path,
    rows: Iterable[np.ndarray],
    grid: GeoBox,
    *,
    count: int,
    dtype: np.dtype | str,
    nodata: float | None = None,
    band_names: Sequence[str] = (),
    legend: Legend | None = None,
    tags: Mapping[str, str] | None = None,
    overviews: Literal["nearest", "average", "mode"] = "nearest",
) -> Path:
    """Write a Cloud-Optimised GeoTIFF.

    Args:
        path: The file.
        rows: Arrays `[count, height, width]` from top to bottom that together fill the grid.
        grid: Where they are; without CRS, a picture in pixel coordinates.
        count: Number of bands.
        dtype: Of the file.
        nodata: Stored number of invalid pixels.
        band_names: Description of each band.
        legend: Name and colour of each code, for class maps of 8 bit: a colour table and category names, as QGIS and
            GDAL read them; the names stand in `<path>.aux.xml`.
        tags: Metadata of the file.
        overviews: How overviews are made; classes take `nearest` or `mode`.

    Returns:
        The path.

    Raises:
        GridError: If the rows do not fill the grid.
        WriteError: If the file cannot be written: no space, no rights.
    """
    path = Path(path)
    height, width = shape_of(grid)
    place = {} if grid.crs is None else {"crs": str(grid.crs), "transform": grid.affine}
    profile = {
        "driver": "GTiff", "height": height, "width": width, "count": count, "dtype": dtype, "nodata": nodata,
        "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "zstd", "zstd_level": 1,
        "bigtiff": "if_safer", **place,
    }  # fmt: skip
    with replacing(path) as final, _scratch(path) as scratch, _gdal(path):
        with rasterio.open(scratch, "w", **{k: v for k, v in profile.items() if v is not None}) as raster:
            filled = 0
            for block in _blocks(rows):
                if filled + block.shape[1] > height or block.shape[::2] != (count, width):
                    raise GridError(
                        "Rows do not fit the grid",
                        got=f"{block.shape} at row {filled}",
                        expected=f"[{count}, rows, {width}], {height} rows in all",
                    )
                raster.write(block, window=RioWindow(0, filled, width, block.shape[1]))
                filled += block.shape[1]
            if filled != height:
                raise GridError("Rows do not fill the grid", got=f"{filled} rows", expected=f"{height} rows")
            for number, name in enumerate(band_names, 1):
                raster.set_band_description(number, name)
            if legend and np.dtype(dtype).itemsize == 1:
                raster.write_colormap(1, {code: (*colour, 255) for code, (_, colour) in legend.items()})
            raster.update_tags(**(tags or {}))
        rasterio.shutil.copy(
            scratch, final, driver="COG", compress="deflate", predictor="yes", blocksize=BLOCK, bigtiff="if_safer",
            overview_resampling=overviews, num_threads=1,
        )  # fmt: skip
    if legend:
        write_text(path.with_name(path.name + ".aux.xml"), _category_names(legend))
    return path


def problems(path: str | Path) -> list[str]:
    """What keeps a file from being a Cloud-Optimised GeoTIFF: no tiles, no overviews, directories behind the data."""
    with rasterio.open(path) as raster:
        found = []
        if raster.driver != "GTiff":
            return [f"the driver is {raster.driver}"]
        if max(raster.shape) > BLOCK:
            if not raster.profile.get("tiled"):
                found.append("it is not tiled")
            if not raster.overviews(1):
                found.append("it has no overviews")
        if raster.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") != "COG":
            found.append("its layout is not that of a COG")
        return found


def _blocks(rows: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same rows in arrays of `BLOCK` rows, so that each tile of the file is written once."""
    held: list[np.ndarray] = []
    for part in rows:
        while part.shape[1]:
            missing = BLOCK - sum(h.shape[1] for h in held)
            held.append(part[:, :missing])
            part = part[:, missing:]
            if held[-1].shape[1] == missing:
                yield np.concatenate(held, 1) if len(held) > 1 else held[0]
                held = []
    if held:
        yield np.concatenate(held, 1)


@contextlib.contextmanager
def _scratch(path: Path) -> Iterator[str]:
    """A name beside `path` for a file that does not survive the block."""
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".scratch.tif", dir=path.parent)
    os.close(handle)
    try:
        yield name
    finally:
        for left in (name, f"{name}.aux.xml"):
            Path(left).unlink(missing_ok=True)


@contextlib.contextmanager
def _gdal(path: Path) -> Iterator[None]:
    """GDAL with a small cache and its errors as ours."""
    try:
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield
    except RasterioError as error:
        raise WriteError(
            f"Cannot write {path}", got=error, fix="Check the rights of the folder and the free space of the disk"
        ) from error


def _category_names(legend: Legend) -> str:
    """GDAL's side file with the name of each code."""
    names = "".join(
        f"<Category>{escape(legend[code][0]) if code in legend else ''}</Category>" for code in range(max(legend) + 1)
    )
    return f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames></PAMRasterBand></PAMDataset>\n'


def describe_bands(
    names: Sequence[str], dtype: Any, nodata: float | None, unit: str | None = None
) -> list[dict[str, Any]]:
    """Bands as a STAC item describes them."""
    common = {"data_type": str(np.dtype(dtype)), "nodata": nodata, "unit": unit}
    kept = {key: value for key, value in common.items() if value is not None}
    return [{"name": name, **kept} for name in names]
