"""Two class maps of one place: where they differ, and, beside labels, whether one is better by more than chance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window
from rio_tiler.models import ImageData
from scipy import stats

from swath.data.classes import IGNORE, Classes
from swath.data.vectorlabels import VectorLabels
from swath.errors import DataError
from swath.studio.layers import describe
from swath.studio.listing import VECTORS
from swath.studio.rasters import opened
from swath.studio.tiles import EMPTY, png, read_tile

#: Colours of the difference map: the same, and different.
SAME, DIFFERENT = (120, 120, 120, 90), (214, 39, 110, 255)
#: Rows and columns that are compared at once.
_BLOCK = 1024
#: Discordant pixels below which McNemar's test is exact.
_EXACT = 25


def difference_tile(first: Path, second: Path, z: int, x: int, y: int) -> bytes:
    """A tile of the difference map as PNG: pixels of another class stand out.

    Raises:
        ReadError: If a map cannot be read.
    """
    tiles = [read_tile(path, z, x, y, (1,)) for path in (first, second)]
    if tiles[0] is None or tiles[1] is None:
        return EMPTY
    one, two = tiles[0].array[0], tiles[1].array[0]
    shown = np.ma.MaskedArray((one.data != two.data).astype(np.uint8)[None], one.mask | two.mask)
    return png(ImageData(shown), {0: SAME, 1: DIFFERENT})


def compare(first: Path, second: Path, labels: Path | None = None) -> dict[str, Any]:
    """Compare two class maps, on the grid of the first.

    Args:
        first: A class map.
        second: Another one, on any grid; its nearest pixels are taken.
        labels: The truth: a class map, or vectors with a column `class` of names.

    Returns:
        `classes`; `pixels` that both maps hold; `agreement` and `kappa`; `matrix[i][j]`, pixels of class i on the
        first and j on the second map; with labels also `mcnemar`: the table `both`, `first_only`, `second_only`,
        `neither` of correct pixels, the statistic and p.

    Raises:
        DataError: If a map has no classes, they have no ground in common, or no label lies on it.
    """
    legends = []
    for path in (first, second):
        found = describe(path)["classes"]
        if found is None:
            raise DataError(f"{path.name} is no class map", fix="Choose two maps with a legend")
        legends.append({entry["code"]: entry["name"] for entry in found})
    names = list(dict.fromkeys([*legends[0].values(), *legends[1].values()]))
    matrix = np.zeros((len(names), len(names)), np.int64)
    table = np.zeros((2, 2), np.int64)
    for one, two, truth in _blocks(first, second, labels, legends, names):
        both = (one >= 0) & (two >= 0)
        matrix += np.bincount(one[both] * len(names) + two[both], minlength=matrix.size).reshape(matrix.shape)
        if truth is not None:
            known = both & (truth >= 0)
            right = (one[known] == truth[known]) * 2 + (two[known] == truth[known])
            table += np.bincount(right, minlength=4).reshape(2, 2)
    total = int(matrix.sum())
    if not total:
        raise DataError("The two maps have no ground in common", got=f"{first.name}, {second.name}")
    observed, chance = np.trace(matrix) / total, float((matrix.sum(0) @ matrix.sum(1)) / total**2)
    result: dict[str, Any] = {
        "classes": names,
        "pixels": total,
        "agreement": float(observed),
        "kappa": None if chance == 1 else float((observed - chance) / (1 - chance)),
        "matrix": matrix.tolist(),
    }
    if labels is not None:
        if not table.sum():
            raise DataError(f"No label of {labels.name} lies on both maps")
        result["mcnemar"] = mcnemar(table)
    return result


def mcnemar(table: np.ndarray) -> dict[str, Any]:
    """McNemar's test (Psychometrika 12, 1947) of `table[first right][second right]`, counts of one ground.

    The exact binomial test for few discordant pixels, else chi-squared with Edwards' correction.
    """
    first_only, second_only = int(table[1, 0]), int(table[0, 1])
    discordant = first_only + second_only
    statistic = None
    if discordant < _EXACT:
        p = float(stats.binomtest(first_only, discordant).pvalue) if discordant else 1.0
    else:
        statistic = (abs(first_only - second_only) - 1) ** 2 / discordant
        p = float(stats.chi2.sf(statistic, 1))
    return {
        "both": int(table[1, 1]),
        "first_only": first_only,
        "second_only": second_only,
        "neither": int(table[0, 0]),
        "statistic": statistic,
        "p": p,
    }


def _blocks(
    first: Path, second: Path, labels: Path | None, legends: list[dict[int, str]], names: list[str]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Class indices of both maps and of the truth, block by block on the first one's grid; -1 where unknown."""
    with opened(first) as base, opened(second) as other:
        on_base = {"crs": base.crs, "transform": base.transform, "height": base.height, "width": base.width}
        truth = None if labels is None else _truth(labels, on_base, names)
        if base.crs is None or other.crs is None:
            raise DataError("Maps without CRS cannot be compared", got=f"{first.name}, {second.name}")
        with WarpedVRT(other, resampling=Resampling.nearest, **on_base) as moved:
            for row in range(0, base.height, _BLOCK):
                for col in range(0, base.width, _BLOCK):
                    window = Window(col, row, min(_BLOCK, base.width - col), min(_BLOCK, base.height - row))
                    maps = [
                        _indices(raster.read(1, window=window, masked=True), legend, names)
                        for raster, legend in zip((base, moved), legends, strict=True)
                    ]
                    yield maps[0], maps[1], None if truth is None else truth(window)


def _indices(codes: np.ma.MaskedArray, legend: dict[int, str], names: list[str]) -> np.ndarray:
    found = np.full(codes.shape, IGNORE, np.int64)
    for code, name in legend.items():
        found[(codes.data == code) & ~np.ma.getmaskarray(codes)] = names.index(name)
    return found


def _truth(labels: Path, on_base: dict[str, Any], names: list[str]) -> Any:
    """A function from a window to class indices of the labels."""
    if labels.suffix.casefold() in VECTORS:
        vectors = VectorLabels(labels, "class", Classes.of(names))
        grid = GeoBox((on_base["height"], on_base["width"]), on_base["transform"], on_base["crs"])

        def rasterised(window: Window) -> np.ndarray:
            rows, cols = window.toslices()
            return vectors.read(grid[rows, cols]).astype(np.int64)

        return rasterised
    found = describe(labels)["classes"]
    if found is None:
        raise DataError(f"{labels.name} holds no classes", expected="a class map, or vectors with a column `class`")
    legend = {entry["code"]: entry["name"] for entry in found if entry["name"] in names}

    def read(window: Window) -> np.ndarray:
        with opened(labels) as raster, WarpedVRT(raster, resampling=Resampling.nearest, **on_base) as moved:
            return _indices(moved.read(1, window=window, masked=True), legend, names)

    return read
