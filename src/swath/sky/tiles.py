"""Large mosaics in tiles: each is measured with a margin around it, and each source belongs to one tile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from swath.errors import ConfigError, DataError
from swath.geo.windows import Window
from swath.sky.measure import Settings, measure
from swath.sky.mosaics import Mosaic
from swath.sky.packages import package

_ARRAYS = ("values", "rms", "bad")


def stage(mosaic: Mosaic, folder: Path) -> Path:
    """Write a mosaic as raw arrays, of which any part can be read by any process; returns its folder."""
    place = folder / mosaic.band
    place.mkdir(parents=True)
    for name in (*_ARRAYS, "psf"):
        np.save(place / f"{name}.npy", getattr(mosaic, name))
    (place / "wcs.txt").write_text(mosaic.wcs.to_header_string(relax=True), "utf-8")
    return place


def staged(place: Path) -> Mosaic:
    """A mosaic that `stage` wrote; its pixels stay on disk."""
    arrays = {name: np.load(place / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
    wcs = package("astropy.wcs").WCS((place / "wcs.txt").read_text("utf-8"))
    return Mosaic(place.name, psf=np.load(place / "psf.npy"), wcs=wcs, **arrays)


def measure_tiles(
    places: Sequence[Path],
    settings: Settings,
    *,
    tile: int = 1024,
    margin: int = 128,
    workers: int = 1,
    stars: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Measure staged mosaics tile by tile.

    A source belongs to the tile that its middle lies in. One that is larger than the margin may be seen from two tiles
    with two middles; of two sources that share more than half of the pixels of one, the first stays.

    Args:
        places: What `stage` gave, one for each band, on one grid.
        settings: How sources are found and measured.
        tile: Edge of a tile, pixels.
        margin: By how much each tile looks beyond its edge, pixels.
        workers: Processes.
        stars: Bright stars with `ra`, `dec`, `mag`.

    Returns:
        The sources, `x`, `y` in pixels of the mosaics, with `SEGMENTATION_MAP_ID`; and the segmentation map, int32.

    Raises:
        ConfigError: If the tile is smaller than the margin, or there is no worker.
        DataError: If no source is found.
    """
    if tile < margin or margin < 0 or workers < 1:
        raise ConfigError(
            "Tiles cannot be laid so",
            got=f"tile {tile}, margin {margin}, workers {workers}",
            expected="tile >= margin >= 0, workers >= 1",
        )
    shape = staged(places[0]).values.shape
    jobs = [(places, settings, window, margin, stars) for window in _windows(shape, tile)]
    if workers == 1 or len(jobs) == 1:
        return _joined(map(_measure_tile, jobs), shape)
    with ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn")) as pool:
        return _joined(pool.map(_measure_tile, jobs), shape)


Job = tuple[Sequence[Path], Settings, Window, int, pd.DataFrame | None]
#: Sources, their segments, and the window that the segments lie in.
Part = tuple[pd.DataFrame, np.ndarray, Window]


def _measure_tile(job: Job) -> Part:
    places, settings, core, margin, stars = job
    mosaics = [staged(place) for place in places]
    height, width = mosaics[0].values.shape
    row, col = max(core.row - margin, 0), max(core.col - margin, 0)
    bottom, right = min(core.row_stop + margin, height), min(core.col_stop + margin, width)
    window = Window(row, col, bottom - row, right - col)
    inner = Window(core.row - row, core.col - col, core.height, core.width)
    table, segments = measure([m.cut(window) for m in mosaics], settings, inner, stars)
    return table.assign(x=table["x"] + col, y=table["y"] + row), segments, window


def _joined(parts: Iterator[Part], shape: tuple[int, ...]) -> tuple[pd.DataFrame, np.ndarray]:
    """One table and one map; numbers run on from tile to tile."""
    whole = np.zeros(shape, np.int32)
    tables: list[pd.DataFrame] = []
    last = 0
    for table, segments, window in parts:
        place = whole[window.slices]
        own = np.bincount(segments.ravel(), minlength=len(table) + 1)[1:]
        free = np.bincount(np.where(place == 0, segments, 0).ravel(), minlength=len(table) + 1)[1:]
        new = free * 2 >= np.maximum(own, 1)
        number = np.zeros(len(table) + 1, np.int32)
        number[1:][new] = last + 1 + np.arange(new.sum())
        place[...] = np.where(place == 0, number[segments], place)
        tables.append(table[new].assign(SEGMENTATION_MAP_ID=number[1:][new].astype(np.int64)))
        last += int(new.sum())
    if last == 0:
        raise DataError("No source stands out of the noise", fix="Check the noise maps, or lower the threshold")
    return pd.concat([t for t in tables if len(t)], ignore_index=True), whole


def _windows(shape: tuple[int, ...], tile: int) -> list[Window]:
    """Windows that cover a mosaic once, row by row; a rest thinner than half a tile goes with its neighbour."""

    def cuts(size: int) -> list[tuple[int, int]]:
        count = max(1, round(size / tile))
        edges = [round(i * size / count) for i in range(count + 1)]
        return list(pairwise(edges))

    return [
        Window(top, left, bottom - top, right - left)
        for top, bottom in cuts(shape[0])
        for left, right in cuts(shape[1])
    ]
