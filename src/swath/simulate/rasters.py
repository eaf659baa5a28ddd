"""Rasters of a world, made window by window and written as Cloud-Optimised GeoTIFFs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from swath.errors import ConfigError
from swath.geo.cog import write_cog
from swath.geo.grids import shape_of, window_grid
from swath.geo.windows import Window
from swath.simulate import landcover as lc

#: Edge of the windows in which pictures are made, pixels.
WINDOW = 512
#: Name and colour of each land-cover code.
LEGEND = {
    code: (name, colour)
    for code, name, colour in zip(lc.CLASSES.codes, lc.CLASSES.names, lc.CLASSES.colours, strict=True)
}


def write_raster(
    path: Path,
    grid: GeoBox,
    dtype: str,
    count: int,
    make: Callable[[GeoBox], np.ndarray],
    *,
    nodata: float | None = None,
    names: Sequence[str] = (),
    landcover: bool = False,
) -> Path:
    """Write a raster, window by window, whole or not at all.

    Args:
        path: Where to.
        grid: Its grid.
        dtype: Of the stored numbers.
        count: Number of bands.
        make: Gives `[count, h, w]` for the grid of a window.
        nodata: Stored number of invalid pixels.
        names: Of the bands.
        landcover: Whether it holds codes of `landcover.CLASSES`, and so their legend.

    Raises:
        ConfigError: If the grid has no pixels.
        WriteError: If the file cannot be written.
    """
    if not all(grid.shape):
        raise ConfigError("A picture has no pixels in the world", got=f"{path.name} {tuple(grid.shape)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_cog(
        path,
        _strips(grid, make),
        grid,
        count=count,
        dtype=dtype,
        nodata=nodata,
        band_names=names,
        legend=LEGEND if landcover else None,
        overviews="nearest" if landcover or dtype == "uint8" else "average",
    )


def _strips(grid: GeoBox, make: Callable[[GeoBox], np.ndarray]) -> Iterator[np.ndarray]:
    """Rows of windows from north to south."""
    height, width = grid.shape
    for row in range(0, height, WINDOW):
        windows = (
            Window(row, col, min(WINDOW, height - row), min(WINDOW, width - col)) for col in range(0, width, WINDOW)
        )
        yield np.concatenate([make(window_grid(grid, window)) for window in windows], 2)


def window_of(grid: GeoBox, part: GeoBox) -> Window:
    """The window of `grid` whose grid is `part`."""
    col, row = (round(v) for v in ~grid.affine @ (part.affine.c, part.affine.f))
    return Window(row, col, *shape_of(part))
