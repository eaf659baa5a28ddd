"""Products of land use at two dates: maps as they open in a GIS, and a table of what became what."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning

from swath.data.classes import Classes
from swath.geo.areas import cell_areas
from swath.geo.tables import write_table
from swath.geo.windows import Window
from swath.scene import outputs

if TYPE_CHECKING:
    from swath.scene.outputs import RasterOutput

#: Legend of maps of change.
CHANGE = Classes.of({0: {"name": "no change", "colour": "#e8e8e8"}, 1: {"name": "change", "colour": "#d1495b"}})


def change_outputs(output: Path, classes: Classes) -> dict[str, RasterOutput]:
    """Rasters by name of product, made of scores `[2 K + 1, h, w]`: land use before, after, change."""
    count = len(classes)

    def beside(name: str) -> Path:
        return output.with_name(f"{output.stem}-{name}{output.suffix}")

    def of_use(name: str, first: int) -> RasterOutput:
        made = outputs.class_map(beside(name), classes)
        return replace(made, encode=lambda scores: made.encode(scores[first : first + count]))

    change = outputs.class_map(output, CHANGE)
    probability = outputs.values(beside("probability"), ("change",), "1")
    return {
        "change": replace(change, encode=lambda scores: (scores[-1:] > 0.5).astype(np.uint8)),
        "before": of_use("before", 0),
        "after": of_use("after", count),
        "probability": replace(probability, encode=lambda scores: scores[-1:]),
    }


def from_to_table(before: Path, after: Path, change: Path, classes: Classes, table: Path) -> Path:
    """Write pixels, and hectares where the maps have a CRS, of each land use that became another.

    A pixel counts where change is mapped; where both maps still say the same land use, from and to are equal.

    Args:
        before: Map of land use.
        after: Map of land use.
        change: Map of change.
        classes: Legend of both.
        table: The table, by suffix; columns `from`, `to`, `pixels` and `hectares`.

    Returns:
        `table`.
    """
    pixels, hectares = np.zeros((len(classes),) * 2, np.int64), np.zeros((len(classes),) * 2)
    index = np.full(65536, -1)
    index[list(classes.codes)] = range(len(classes))
    with warnings.catch_warnings():  # a map without CRS is a picture
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        files = [rasterio.open(path) for path in (before, after, change)]
    with files[0] as first, files[1] as second, files[2] as third:
        placed = first.crs is not None
        grid = GeoBox(first.shape, first.transform, first.crs)
        for _, window in first.block_windows(1):
            uses = [index[file.read(1, window=window)] for file in (first, second)]
            changed = third.read(1, window=window) == 1
            pair = (uses[0][changed], uses[1][changed])
            np.add.at(pixels, pair, 1)
            if placed:
                cells = cell_areas(grid, Window(window.row_off, window.col_off, window.height, window.width))
                np.add.at(hectares, pair, np.broadcast_to(cells, changed.shape)[changed] / 1e4)
    rows = [
        {"from": classes.names[i], "to": classes.names[j], "pixels": int(pixels[i, j])}
        | ({"hectares": float(hectares[i, j])} if placed else {})
        for i, j in zip(*np.nonzero(pixels), strict=True)
    ]
    columns = ["from", "to", "pixels", *(["hectares"] if placed else [])]
    write_table(pd.DataFrame(rows, columns=columns).sort_values("pixels", ascending=False), table)
    return table
