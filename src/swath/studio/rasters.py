"""Raster files opened for showing: only formats that hold their own pixels, pictures without CRS included."""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rio_tiler.errors import NoOverviewWarning
from rio_tiler.io import Reader

from swath.errors import ReadError

#: GDAL tells formats by content, so a virtual raster under another suffix would open too, and could name any file or
#: URL. These drivers cannot.
DRIVERS = ("GTiff", "COG", "PNG", "JPEG", "JP2OpenJPEG")
#: Readers that a thread keeps open.
_KEPT = 12
#: A picture without CRS is shown as if its pixels were metres of the web's map projection, its corner at 0, 0.
_PICTURE = {"src_crs": "EPSG:3857", "crs": "EPSG:3857"}

_open_files = threading.local()


def opened(path: Path) -> Any:
    """The raster file at `path`, open for reading.

    Raises:
        ReadError: If it is no raster of a served format, or holds no bands or complex numbers.
    """
    try:
        with rasterio.Env(), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            raster = DatasetReader(str(path), driver=list(DRIVERS))
    except RasterioError as error:
        raise ReadError(
            f"{path.name} cannot be read as a raster", got=str(error).replace(f"{path.parent}/", "")
        ) from error
    if not raster.count or "complex" in raster.dtypes[0]:
        raster.close()
        raise ReadError(f"{path.name} cannot be shown", got="no bands, or complex numbers")
    return raster


def picture_transform(height: int) -> Affine:
    """Where pixels of a picture without CRS are shown, in metres."""
    return Affine(1.0, 0.0, 0.0, 0.0, -1.0, float(height))


def reader(path: Path) -> Reader:
    """A rio-tiler reader of the file, kept open by this thread until the file changes or others push it out.

    Raises:
        ReadError: As `opened`.
    """
    kept: OrderedDict[tuple[Path, int], Any] = _open_files.__dict__.setdefault("kept", OrderedDict())
    key = (path, path.stat().st_mtime_ns)
    if key in kept:
        kept.move_to_end(key)
        return kept[key]
    raster = opened(path)
    if raster.crs is None:
        place = picture_transform(raster.height)
        raster = WarpedVRT(
            raster, src_transform=place, transform=place, height=raster.height, width=raster.width, **_PICTURE
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoOverviewWarning)  # `layers` says from which zoom on it is shown
        kept[key] = Reader(str(path), dataset=raster)
    if len(kept) > _KEPT:
        _, old = kept.popitem(last=False)
        old.dataset.close()
    return kept[key]
