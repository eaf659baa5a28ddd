"""Hyperspectral cubes as sources: ENVI files (AVIRIS-NG and others), EMIT NetCDF, folders of one GeoTIFF a band.

Convention: whatever order a file has, bands rise in wavelength, in nanometres, and decode to radiance in
W m-2 sr-1 um-1; 1 uW cm-2 sr-1 nm-1, in which AVIRIS-NG and EMIT are published, is 10 of it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RioWindow

from swath.data.raster import open_raster
from swath.data.sources import valid_pixels
from swath.data.stack import StackSource
from swath.errors import BandError, ReadError
from swath.geo.windows import Window, whole
from swath.sensors.bands import Bands
from swath.sensors.catalogue import hyperspectral

#: One uW cm-2 sr-1 nm-1 in W m-2 sr-1 um-1.
MICROWATTS = 10.0
#: No sunlit ground shines brighter between 2100 and 2400 nm, W m-2 sr-1 um-1: detectors saturate at 60.
_BRIGHTEST = 150.0
_BAND_FILE = re.compile(r"(?P<sensor>TOA_[A-Za-z0-9]+)_(?P<nm>\d+(?:\.\d+)?)nm\.tif{1,2}$")

#: Reads stored numbers of bands (by position in the file) in a window inside the grid.
Reader = Callable[[Sequence[int], Window], np.ndarray]


@dataclass(frozen=True)
class Lookup:
    """Where each map pixel lies in the sensor's own geometry.

    Attributes:
        grid: The map.
        row: Row of the cube `[height, width]`, -1 where there is none.
        col: Column of the cube.
    """

    grid: GeoBox
    row: np.ndarray
    col: np.ndarray

    def project(self, plane: np.ndarray, fill: float) -> np.ndarray:
        """Values `[height, width]` on the map of a `plane` in the sensor's geometry."""
        return np.where(self.row >= 0, plane[np.maximum(self.row, 0), np.maximum(self.col, 0)], fill)


class Cube:
    """A cube, a `swath.data.sources.Source` of which single bands can be read without the others.

    Attributes:
        name: Its path.
        grid: Where it is; a picture where the cube is in the sensor's own geometry.
        bands: Rising in wavelength.
        dtype: Of the stored numbers.
        lookup: The way to the map, where the cube itself is in the sensor's own geometry.
    """

    def __init__(
        self,
        name: str,
        grid: GeoBox,
        bands: Bands,
        dtype: np.dtype,
        reader: Reader,
        positions: Sequence[int],
        lookup: Lookup | None = None,
    ) -> None:
        self.name, self.grid, self.bands, self.dtype, self.lookup = name, grid, bands, dtype, lookup
        self._reader, self._positions = reader, tuple(positions)

    def pick(self, indices: Sequence[int]) -> Cube:
        """Only the bands at `indices`, in that order."""
        bands = Bands(self.bands.sensor, tuple(self.bands[i] for i in indices))
        positions = [self._positions[i] for i in indices]
        return Cube(self.name, self.grid, bands, self.dtype, self._reader, positions, self.lookup)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `swath.data.sources.Source.read`; a pixel that is zero in all bands is invalid too."""
        values = np.zeros((len(self.bands), *window.shape), self.dtype)
        valid = np.zeros(window.shape, bool)
        inside = window.intersect(whole(self.grid.shape))
        if not inside.empty:
            here = inside.relative_to(window).slices
            found = self._reader(self._positions, inside)
            values[:, *here] = found
            valid[here] = valid_pixels(found, self.bands) & found.any(0)
        return values, valid


def open_cube(path: str | Path, crs: str | None = None) -> Cube:
    """Open a cube: an ENVI file or its header, an EMIT `.nc`, or a folder of `TOA_<SENSOR>_<nm>nm.tif`.

    Args:
        path: The file or folder.
        crs: Of an ENVI file that lacks one; `none` for pixel coordinates.

    Raises:
        ReadError: If it is missing, truncated or of another format.
        BandError: If wavelengths are missing, doubled or in an unknown unit, or values cannot be radiance.
        GridError: If its grid is rotated.
    """
    path = Path(path)
    if path.suffix == ".hdr":
        path = next((p for p in (path.with_suffix(""), path.with_suffix(".img")) if p.is_file()), path.with_suffix(""))
    if path.is_dir():
        cube = _open_folder(path)
    elif path.suffix.casefold() in (".nc", ".nc4"):
        from swath.data.emit import open_emit

        cube = open_emit(path)
    else:
        cube = _open_envi(path, crs)
    _require_radiance(cube)
    return cube


def sorted_bands(
    sensor: str, nm: np.ndarray, fwhm: np.ndarray | None, scale: float, nodata: float | None, name: str
) -> tuple[Bands, np.ndarray]:
    """Bands in rising order, and the position of each in the file.

    Raises:
        BandError: If wavelengths are not finite, not in nanometres or doubled.
    """
    if not np.isfinite(nm).all():
        raise BandError(f"Wavelengths of {name} are not finite")
    order = np.argsort(nm, kind="stable")
    widths = None if fwhm is None else fwhm[order].tolist()
    bands = hyperspectral(sensor, nm[order].tolist(), widths, nodata=nodata)
    return bands.with_storage(scale=scale, unit="radiance"), order


def _open_envi(path: Path, crs: str | None) -> Cube:
    opened = open_raster(path, crs=crs)
    with _reading(path), rasterio.open(path) as file:
        header = {key.casefold(): value for key, value in file.tags(ns="ENVI").items()}
        dtype, nodata, count = np.dtype(file.dtypes[0]), file.nodata, file.count
    if "wavelength" not in header:
        raise BandError(
            f"{path} has no wavelengths",
            got=f"{count} bands",
            expected="`wavelength` in an ENVI header",
            fix="Give the cube with its .hdr file",
        )
    nm, fwhm = _numbers(header["wavelength"]), _numbers(header.get("fwhm", ""))
    if len(nm) != count or len(fwhm) not in (0, count):
        raise BandError(f"The header of {path} names another number of bands", got=len(nm), expected=count)
    if "micro" in header.get("wavelength_units", "").casefold() or header.get("wavelength_units", "") == "um":
        nm, fwhm = nm * 1000, fwhm * 1000
    good = _numbers(header.get("bbl", ""))
    kept = np.flatnonzero(good > 0) if len(good) == count else np.arange(count)
    scale = _scale(header, str(path))
    bands, order = sorted_bands(
        header.get("sensor_type", "imaging_spectrometer"), nm[kept], fwhm[kept] if len(fwhm) else None, scale,
        nodata if nodata is not None else -9999.0, str(path),
    )  # fmt: skip

    def reader(positions: Sequence[int], window: Window) -> np.ndarray:
        area = RioWindow(window.col, window.row, window.width, window.height)
        with _reading(path), rasterio.open(path) as file:
            return np.asarray(file.read([p + 1 for p in positions], window=area))

    return Cube(str(path), opened.grid, bands, dtype, reader, kept[order].tolist())


def _open_folder(folder: Path) -> Cube:
    """A folder as STARCOP has them; its unit is not published, our choice is W m-2 sr-1 um-1."""
    found = [(m, p) for p in sorted(folder.iterdir()) if (m := _BAND_FILE.match(p.name))]
    if not found:
        raise ReadError(f"{folder} holds no cube", expected="files like TOA_AVIRIS_2304nm.tif")
    bands, order = sorted_bands(
        found[0][0]["sensor"], np.array([float(m["nm"]) for m, _ in found]), None, 1.0, None, str(folder)
    )
    files = [
        open_raster(found[place][1], bands=Bands(bands.sensor, (band,)))
        for place, band in zip(order, bands, strict=True)
    ]
    if strange := [file.name for file in files if file.grid != files[0].grid]:
        raise ReadError(f"Bands of {folder} lie on different grids", got=", ".join(strange[:4]))

    def reader(positions: Sequence[int], window: Window) -> np.ndarray:
        return StackSource([files[p] for p in positions]).read(window)[0]

    return Cube(str(folder), files[0].grid, bands, files[0].dtype, reader, range(len(files)))


def _require_radiance(cube: Cube) -> None:
    """Refuse values that no radiance has, judged by the middle of the cube."""
    swir = [i for i, band in enumerate(cube.bands) if 2100 <= (band.wavelength or 0) <= 2400][::8]
    if not swir:
        return
    height, width = whole(cube.grid.shape).shape
    window = Window(max(0, height // 2 - 64), max(0, width // 2 - 64), 128, 128)
    values, valid = cube.pick(swir).read(window)
    if valid.any() and (high := float(np.percentile(values[:, valid], 99)) * cube.bands[0].scale) > _BRIGHTEST:
        raise BandError(
            f"Values of {cube.name} cannot be radiance",
            got=f"{high:g} W m-2 sr-1 um-1 between 2100 and 2400 nm",
            expected=f"at most {_BRIGHTEST:g}",
            fix="Say the unit in the header: `data units = W m-2 sr-1 um-1` or `uW cm-2 sr-1 nm-1`",
        )


def _scale(header: dict[str, str], name: str) -> float:
    """From the header's unit to W m-2 sr-1 um-1; without one, that of AVIRIS-NG and EMIT."""
    unit = header.get("data_units", header.get("units", ""))
    plain = re.sub(r"[\s^*/()\[\]{}.-]|power", "", unit.casefold().replace("µ", "u").replace("micro", "u"))
    if "reflectance" in plain or "reflectance_scale_factor" in header:
        raise BandError(f"{name} holds reflectance", expected="radiance", fix="Give the radiance product (L1B)")
    if not plain or plain.startswith(("uw", "uwatt")):
        return MICROWATTS
    if plain.startswith(("w", "watt")) and ("um" in plain or "umeter" in plain):
        return 1.0
    raise BandError(f"{name} is in an unknown unit", got=unit, expected="uW cm-2 sr-1 nm-1 or W m-2 sr-1 um-1")


def _numbers(text: str) -> np.ndarray:
    """Numbers of an ENVI list `{1.0, 2.0}`."""
    try:
        return np.array([float(word) for word in text.strip("{} \n").split(",") if word.strip()])
    except ValueError as error:
        raise BandError("A list of an ENVI header holds what is no number", got=text[:60]) from error


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """GDAL's errors as ours, and no warning about files without georeference."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield
    except RasterioError as error:
        raise ReadError(
            f"{path} is damaged", got=str(error.__cause__ or error), fix="Check that the file is whole"
        ) from error
