"""Chips: the image of each key, cut from scenes around its place or read from files."""

from __future__ import annotations

import glob
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS

from swath.data.raster import open_raster
from swath.data.sources import Source
from swath.data.stac_items import ITEM_SUFFIXES, item_source, items_of
from swath.data.warped import WarpedSource
from swath.errors import BandError, ConfigError, DataError, ReadError
from swath.geo.grids import is_geographic, positions, require_crs, transformer
from swath.geo.windows import Window

#: Items of a collection that are taken at most.
_MOST_ITEMS = 100_000
#: Least share of a chip that must be valid.
_LEAST_VALID = 0.5


@dataclass(frozen=True)
class Chips:
    """Which images are wanted: their keys, and where their middles lie in degrees (NaN where nobody says)."""

    keys: np.ndarray
    lon: np.ndarray
    lat: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)


def read_chips(said: Any, folder: Path, wanted: Chips) -> np.ndarray:
    """Images of keys, as a mapping says where they are.

    One of: `scenes`, a pattern of raster files or STAC items, or a mapping of frame names to patterns for sequences;
    `stac`, a STAC collection whose items make a frame for each year; `chips`, an `.npz` with `images`
    `[images, height, width, bands]` or `[images, frames, bands, height, width]` and `keys`; `pattern`, of CSV files
    with `{key}` and `{band}`, a header row each, as published with the Uganda and Nigeria studies, with `bands` as a
    list.
    With scenes, `size` is the edge of a chip in pixels (default 32) and `resolution` that of a pixel in metres
    (default: the scene's own).

    Returns:
        `[images, frames, bands, height, width]`, float32 in physical units; invalid pixels take the mean of their
        band over the chip.

    Raises:
        ConfigError: If the mapping cannot be understood.
        DataError: If a key has no image or a place lies outside every scene.
        ReadError: If a file cannot be read.
    """
    if not isinstance(said, Mapping) or len({"scenes", "stac", "chips", "pattern"} & set(said)) != 1:
        raise ConfigError("`images` does not say where they are", expected="one of: scenes, stac, chips, pattern")
    if "chips" in said:
        return _array(folder / str(said["chips"]), wanted)
    if "pattern" in said:
        return _tables(folder / str(said["pattern"]), said.get("bands", [1, 2, 3]), wanted)
    size, resolution = said.get("size", 32), said.get("resolution")
    if not isinstance(size, int) or size < 1 or not (resolution is None or resolution > 0):
        raise ConfigError("`size` and `resolution` must be positive", got=f"{size}, {resolution}")
    frames = _of_years(folder / str(said["stac"])) if "stac" in said else _of_patterns(said["scenes"], folder)
    return cut_chips(frames, wanted, size, resolution)


def cut_chips(
    frames: Mapping[str, Sequence[Source]], wanted: Chips, size: int = 32, resolution: float | None = None
) -> np.ndarray:
    """Cut a chip for each key from the scene of each frame that shows most of it.

    Without `resolution`, chips are windows of a projected scene as it is; else, and on geographic grids, they are
    warped to the UTM zone of their place.

    Returns:
        `[images, frames, bands, size, size]`, float32.

    Raises:
        DataError: If a place is unknown, or no scene of a frame shows half of its chip.
        BandError: If scenes have other bands than the first.
    """
    if not np.isfinite(wanted.lon).all():
        raise DataError("Chips cannot be cut without places", fix="Name the columns `lon` and `lat`")
    bands = next(iter(frames.values()))[0].bands
    images = np.empty((len(wanted), len(frames), len(bands), size, size), np.float32)
    for number, (frame, scenes) in enumerate(frames.items()):
        shown = np.zeros(len(wanted))
        for scene in scenes:
            if scene.bands.names != bands.names:
                raise BandError(f"{scene.name} has other bands", got=scene.bands.names, expected=bands.names)
            for i in np.flatnonzero(_touched(scene, wanted) & (shown < 1)):
                values, valid = _cut(scene, wanted.lon[i], wanted.lat[i], size, resolution)
                if (share := valid.mean()) > max(shown[i], _LEAST_VALID):
                    images[i, number], shown[i] = _filled(values, valid), share
        if (outside := shown == 0).any():
            first = np.flatnonzero(outside)[0]
            raise DataError(
                f"{outside.sum()} of {len(wanted)} places lie outside every scene of frame '{frame}'",
                got=f"first {wanted.keys[first]} at {wanted.lon[first]:.5f}, {wanted.lat[first]:.5f} (lon, lat)",
                fix="Give scenes that show them, or take these units out of the table",
            )
    return images


def _cut(scene: Source, lon: float, lat: float, size: int, resolution: float | None) -> tuple[np.ndarray, np.ndarray]:
    if resolution is None and not is_geographic(scene.grid):
        x, y = transformer(CRS.from_epsg(4326), require_crs(scene.grid, scene.name)).transform(lon, lat)
        row, col = positions(scene.grid, np.array([x]), np.array([y]))
        top, left = (int(np.floor(middle[0] - size / 2 + 0.5)) for middle in (row, col))
        values, valid = scene.read(Window(top, left, size, size))
    else:
        zone = utm_zone(lon, lat)
        x, y = transformer(CRS.from_epsg(4326), CRS.from_epsg(zone)).transform(lon, lat)
        step = resolution or abs(scene.grid.affine.e) * 111_320.0
        affine = Affine(step, 0, x - step * size / 2, 0, -step, y + step * size / 2)
        values, valid = WarpedSource(scene, GeoBox((size, size), affine, f"EPSG:{zone}")).read(Window(0, 0, size, size))
    return scene.bands.decode(values), valid


def utm_zone(lon: float, lat: float) -> int:
    """EPSG code of the UTM zone of a place in degrees."""
    return (32600 if lat >= 0 else 32700) + min(int((lon + 180) // 6) + 1, 60)


def _touched(scene: Source, wanted: Chips) -> np.ndarray:
    """Which middles lie on the scene."""
    x, y = transformer(CRS.from_epsg(4326), require_crs(scene.grid, scene.name)).transform(wanted.lon, wanted.lat)
    rows, cols = positions(scene.grid, np.asarray(x), np.asarray(y))
    height, width = scene.grid.shape
    return (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)


def _filled(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    means = values[:, valid].mean(axis=1)
    return np.where(valid, values, means[:, None, None])


def _of_patterns(said: Any, folder: Path) -> dict[str, list[Source]]:
    patterns = said if isinstance(said, Mapping) else {"scenes": said}
    frames: dict[str, list[Source]] = {}
    for frame, pattern in patterns.items():
        paths = sorted(glob.glob(str(folder / str(pattern)), recursive=True))
        if not paths:
            raise ReadError(f"No scene matches {pattern}", expected=f"files below {folder}")
        frames[str(frame)] = [item_source(p) if p.endswith(ITEM_SUFFIXES) else open_raster(p) for p in paths]
    return frames


def _of_years(collection: Path) -> dict[str, list[Source]]:
    frames: dict[str, list[Source]] = {}
    for item in sorted(items_of(str(collection), limit=_MOST_ITEMS), key=lambda item: str(item.datetime or item.id)):
        frames.setdefault(str(item.datetime.year if item.datetime else "scenes"), []).append(item_source(item))
    if not frames:
        raise DataError(f"{collection} holds no items")
    return frames


def _array(path: Path, wanted: Chips) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as file:
            images, keys = np.asarray(file["images"]), file["keys"].astype(str)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ReadError(f"{path} holds no chips", got=error, expected="arrays `images` and `keys`") from error
    if images.ndim == 4:
        images = np.moveaxis(images, -1, 1)[:, None]
    if images.ndim != 5 or len(images) != len(keys):
        raise DataError(f"{path} has images and keys that do not fit", got=f"{images.shape} and {keys.shape}")
    names, counts = np.unique(keys, return_counts=True)
    if (counts > 1).any():
        raise DataError(f"{path} has several images of one key", got=names[counts > 1][0])
    if missing := sorted(set(wanted.keys) - set(keys)):
        raise DataError(f"{len(missing)} keys have no image in {path}", got=f"first {missing[0]}")
    order = np.argsort(keys)
    chosen = images[order[np.searchsorted(keys[order], wanted.keys)]].astype(np.float32)
    if not np.isfinite(chosen).all():
        raise DataError(f"{path} has NaN or infinite pixels")
    return chosen


def _tables(pattern: Path, bands: Sequence[object], wanted: Chips) -> np.ndarray:
    if "{key}" not in str(pattern) or "{band}" not in str(pattern):
        raise ConfigError("The pattern of images must hold {key} and {band}", got=pattern)
    found = []
    for key in wanted.keys:
        for band in bands:
            path = Path(str(pattern).replace("{key}", str(key)).replace("{band}", str(band)))
            try:
                found.append(np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.float32, ndmin=2))
            except (OSError, ValueError) as error:
                raise ReadError(f"{path} cannot be read as the band of an image", got=error) from error
    if len({image.shape for image in found}) != 1:
        raise DataError(f"Images of {pattern.name} differ in size", got={image.shape for image in found})
    return np.stack(found).reshape(len(wanted), 1, len(bands), *found[0].shape)
