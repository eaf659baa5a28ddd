"""Raster files as sources: rasterio opens them, and plain GeoTIFFs are decoded block by block without GDAL."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import rasterio
from odc.geo.crs import CRS, CRSError
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RioWindow

from swath.data.blocks import BlockCache, default_cache
from swath.data.buffers import take
from swath.data.remote import remote_options, with_retries
from swath.data.sources import valid_pixels
from swath.data.tiff import damaged, require_unchanged, stamp, tiff_blocks
from swath.errors import BandError, GridError, ReadError
from swath.geo.grids import pixel_grid, require_north_up
from swath.geo.windows import Window, whole
from swath.sensors.bands import Band, Bands

#: Blocks that GDAL decodes are at least this many pixels high and wide, where the raster is.
_LEAST_BLOCK = 256
#: GDAL's quick way through a whole PNG takes what a truncated file lacks for black, without an error.
_STRICT = {"GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO"}


class _Blocks(Protocol):
    """A raster cut into blocks `[bands, height, width]` of `block_shape`, in the file's band order."""

    @property
    def block_shape(self) -> tuple[int, int]: ...

    def read(self, row: int, col: int) -> np.ndarray: ...


class RasterSource:
    """The bands of a raster file, a `swath.data.sources.Source`; made by `open_raster`."""

    def __init__(
        self,
        name: str,
        grid: GeoBox,
        bands: Bands,
        dtype: np.dtype,
        *,
        blocks: _Blocks,
        mask: _Blocks | None,
        alpha: int | None,
        cache: BlockCache | None,
        key: tuple[object, ...],
        reopen: dict[str, Any],
    ) -> None:
        self.name, self.grid, self.bands, self.dtype = name, grid, bands, dtype
        self._blocks, self._mask, self._alpha, self._cache = blocks, mask, alpha, cache
        self._key, self._reopen = key, reopen
        self._data: slice | list[int] = slice(0, len(bands))
        if alpha is not None and alpha < len(bands):
            self._data = [i for i in range(len(bands) + 1) if i != alpha]
        self._always_valid = dtype.kind != "f" and all(band.nodata is None for band in bands)

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes open the file themselves and share their own cache.
        return _open_again, (self._reopen,)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `swath.data.sources.Source.read`.

        Raises:
            ReadError: If the file is gone, has changed since it was opened, or is damaged there.
        """
        shape = (len(self.bands), *window.shape)
        inside = window.intersect(whole(self.grid.shape))
        if inside.empty:
            return np.zeros(shape, self.dtype), np.zeros(window.shape, bool)
        partial = inside != window
        values = np.zeros(shape, self.dtype) if partial else take(shape, self.dtype)
        valid = np.zeros(window.shape, bool)
        valid[inside.relative_to(window).slices] = True
        for block, here, there in self._pieces("values", self._blocks, window, inside):
            values[:, *here] = block[self._data][:, *there]
            if self._alpha is not None:
                valid[here] &= block[self._alpha][there] != 0
        if self._mask is not None:
            for block, here, there in self._pieces("mask", self._mask, window, inside):
                valid[here] &= block[0][there] != 0
        if not self._always_valid:
            valid &= valid_pixels(values, self.bands)
        return values, valid

    def _pieces(
        self, kind: str, blocks: _Blocks, window: Window, inside: Window
    ) -> Iterator[tuple[np.ndarray, tuple[slice, slice], tuple[slice, slice]]]:
        """Each block that `inside` touches, with its place in `window` and the part of it that falls there."""
        cache = self._cache or default_cache()
        height, width = blocks.block_shape
        for row in range(inside.row // height, -(-inside.row_stop // height)):
            for col in range(inside.col // width, -(-inside.col_stop // width)):
                block = cache.get((*self._key, kind, row, col), lambda r=row, c=col: blocks.read(r, c))  # type: ignore[misc]
                frame = Window(row * height, col * width, height, width)
                shared = frame.intersect(inside)
                yield block, shared.relative_to(window).slices, shared.relative_to(frame).slices


def open_raster(
    path: str | os.PathLike[str],
    *,
    bands: Bands | None = None,
    crs: str | int | CRS | None = None,
    nodata: float | None = None,
    cache: BlockCache | None = None,
) -> RasterSource:
    """Open a raster file or URL.

    Validity comes from nodata (of `nodata`, else of `bands`, else of the file), NaN and infinity, the file's mask, and
    its alpha band. An alpha band is no data, unless `bands` names as many bands as the file holds: some four-band
    images are stored with their infrared band marked as alpha.

    Args:
        path: A file, a URL, or another name that GDAL opens.
        bands: What the bands of the file are, in its order. By default sensor `custom`, with the names, units, scales
            and offsets of the file, or `b1`, `b2`, ... in `dn`.
        crs: Overrides the file's CRS; `none` takes the file as a picture in pixel coordinates.
        nodata: Stored number of invalid pixels in every band; overrides the file and `bands`.
        cache: Where decoded blocks are kept; by default the cache of the process.

    Raises:
        ReadError: If the file is missing, is no raster, has no bands, holds complex numbers or is truncated.
        GridError: If it is rotated, sheared or south-up, or `crs` is unknown or cannot apply.
        BandError: If `bands` are not as many as the file's.
    """
    name = os.fspath(path)
    with _opened(name) as file:
        if file.count == 0:
            raise ReadError(
                f"{name} has no bands of its own",
                got=f"{len(file.subdatasets)} data sets inside: {', '.join(file.subdatasets[:4])}",
                fix="Name one of them",
            )
        dtype = np.result_type(*file.dtypes)
        if dtype.kind == "c":
            raise ReadError(
                f"{name} holds complex numbers", expected="real ones", fix="Take amplitude or intensity first"
            )
        grid = _grid(file, name, crs)
        alpha = _alpha(file, bands)
        described = _bands(file, name, bands, nodata, alpha)
        flags = file.mask_flag_enums[0]
        masked = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        fill = 0.0 if file.nodata is None else file.nodata
        gdal_block, uniform = file.block_shapes[0], len(set(file.dtypes)) == 1
        shape = (file.count, *file.shape)
        tiff_like = file.driver in ("GTiff", "COG")
    status = os.stat(name) if os.path.exists(name) else None
    fast = tiff_blocks(name, fill) if tiff_like and uniform and status else None
    if fast is not None and (fast.shape, fast.dtype) != (shape, dtype):
        fast = None
    state = stamp(status) if status else None
    slow_block = _joined(gdal_block, shape[1:])
    return RasterSource(
        name,
        grid,
        described,
        dtype,
        blocks=fast or _GdalBlocks(name, state, slow_block, shape[1:], dtype),
        mask=_GdalBlocks(name, state, slow_block, shape[1:], None) if masked else None,
        alpha=alpha,
        cache=cache,
        key=(os.path.realpath(name) if status else name, state),
        reopen={"path": name, "bands": bands, "crs": crs, "nodata": nodata},
    )


class _GdalBlocks:
    """Blocks as GDAL reads them, with one handle a thread; of the bands, or of the mask where `dtype` is None."""

    def __init__(
        self,
        name: str,
        state: tuple[int, int] | None,
        block_shape: tuple[int, int],
        shape: tuple[int, ...],
        dtype: np.dtype | None,
    ) -> None:
        self.block_shape = block_shape
        self._name, self._state, self._shape, self._dtype = name, state, shape, dtype
        self._handles = threading.local()

    def read(self, row: int, col: int) -> np.ndarray:
        """Block number `row` from the top and `col` from the left, cut at the edge of the raster."""
        (height, width), (rows, cols) = self.block_shape, self._shape
        top, left = row * height, col * width
        window = RioWindow(left, top, min(width, cols - left), min(height, rows - top))
        try:
            if self._state is not None:
                require_unchanged(self._name, self._state, os.stat(self._name))
            return with_retries(self._name, lambda: self._attempt(window), RasterioError)
        except (RasterioError, FileNotFoundError) as error:
            where = (top, top + window.height, left, left + window.width)
            raise damaged(f"{self._name} is damaged in", where, (row, col), _reason(error)) from error

    def _attempt(self, window: RioWindow) -> np.ndarray:
        with remote_options(self._name), rasterio.Env(**_STRICT):
            try:
                if not hasattr(self._handles, "file"):
                    self._handles.file = _open(self._name)
                if self._dtype is None:
                    return self._handles.file.read_masks(1, window=window)[None]
                return self._handles.file.read(window=window, out_dtype=self._dtype)
            except RasterioError:
                if hasattr(self._handles, "file"):
                    del self._handles.file  # it may hold half of a transfer
                raise


_warnings = threading.Lock()


def _open(name: str) -> Any:
    # Files without georeference are decided on by `_grid`; rasterio's warning would say it twice.
    with _warnings, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        file = rasterio.open(name)
        if file.driver != "netCDF" or not file.transform.is_identity:
            return file
        # GDAL turns NetCDF upside down where nothing says which way is north: swaths keep the order of the file.
        file.close()
        with rasterio.Env(GDAL_NETCDF_BOTTOMUP="NO"):
            return rasterio.open(name)


@contextmanager
def _opened(name: str) -> Iterator[Any]:
    try:
        with remote_options(name), with_retries(name, lambda: _open(name), RasterioError) as file:
            yield file
    except (RasterioError, OSError, ValueError) as error:
        if isinstance(error, ReadError | GridError | BandError):
            raise
        local = "://" not in name and not name.startswith("/vsi")
        missing = local and "\0" not in name and not os.path.exists(name)
        raise ReadError(
            f"{name} does not exist" if missing else f"{name} cannot be read as a raster",
            got=None if missing else _reason(error),
            fix="Check the path" if missing else "Check that the file is whole and of a format that GDAL reads",
        ) from error


def _reason(error: BaseException) -> str:
    # GDAL's own message, where there is one, stands in the cause.
    return str(error.__cause__ or error).rstrip(".")


def _open_again(arguments: dict[str, Any]) -> RasterSource:
    return open_raster(**arguments)


def _grid(file: Any, name: str, crs: str | int | CRS | None) -> GeoBox:
    """The grid of an open file; a picture where it has no geotransform or `crs` is `none`."""
    placed = not file.transform.is_identity
    unwanted = isinstance(crs, str) and crs.casefold() == "none"
    if unwanted or (crs is None and not placed):
        return pixel_grid(*file.shape)
    if not placed:
        raise GridError(
            f"{name} has no geotransform, so a CRS does not place it",
            got=f"crs {crs}",
            fix="Georeference it first, or work in pixel coordinates with `--crs none`",
        )
    if crs is None and file.crs is not None:
        authority = file.crs.to_authority(confidence_threshold=100)
        crs = ":".join(authority) if authority else file.crs.to_wkt()
    try:
        grid = GeoBox(file.shape, file.transform, crs)
    except CRSError as error:
        raise GridError(f"The CRS of {name} is unknown", got=crs, expected="a code like EPSG:32632, or WKT") from error
    require_north_up(grid, name)
    return grid


def _alpha(file: Any, bands: Bands | None) -> int | None:
    """Position of the alpha band, where it is one and not named as data."""
    if file.count == 1 or ColorInterp.alpha not in file.colorinterp:
        return None
    if bands is not None and len(bands) == file.count:
        return None
    return file.colorinterp.index(ColorInterp.alpha)


def _bands(file: Any, name: str, bands: Bands | None, nodata: float | None, alpha: int | None) -> Bands:
    """`bands`, or those that the file describes, with the nodata that applies."""
    positions = [i for i in range(file.count) if i != alpha]
    if bands is None:
        described = [file.descriptions[i] or f"b{i + 1}" for i in positions]
        names = described if len({d.casefold() for d in described}) == len(described) else None
        bands = Bands(
            "custom",
            tuple(
                Band(
                    names[n] if names else f"b{i + 1}",
                    file.units[i] or "dn",
                    scale=file.scales[i],
                    offset=file.offsets[i],
                )
                for n, i in enumerate(positions)
            ),
        )
    if len(bands) != len(positions):
        raise BandError(
            f"{name} has another number of bands",
            got=f"{len(positions)} bands" + ("" if alpha is None else " and alpha"),
            expected=f"{len(bands)}: {', '.join(bands.names)}",
            fix="Name the bands of the file, in its order, with `bands:`",
        )
    return Bands(
        bands.sensor,
        tuple(
            replace(band, nodata=_number(nodata, band.nodata, file.nodatavals[i]))
            for band, i in zip(bands, positions, strict=True)
        ),
    )


def _number(*choices: float | None) -> float | None:
    """The first choice that is not None; integral ones as int, which compares with integer pixels without a copy."""
    chosen = next((value for value in choices if value is not None), None)
    return int(chosen) if chosen is not None and float(chosen).is_integer() else chosen


def _joined(block: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, int]:
    """The smallest multiple of GDAL's block that is not tiny, at most the raster."""
    height, width = (min(size, b * -(-_LEAST_BLOCK // b)) for b, size in zip(block, shape, strict=True))
    return height, width
