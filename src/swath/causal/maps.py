"""Maps of what a study says of places outside it: a chip around each place, and a cell of the map for each chip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS

from swath.causal.chips import utm_zone
from swath.data.sources import Source
from swath.data.warped import on_grid
from swath.errors import BandError, ConfigError, DataError
from swath.geo.grids import is_geographic, require_crs, shape_of, transformer
from swath.geo.vectors import footprint
from swath.geo.windows import Window

#: Least share of a chip that must be valid, as of the chips of a study.
_LEAST_VALID = 0.5


class ChipGrid:
    """Chips of scenes at even distances, row by row.

    Args:
        frames: A scene for each frame of a chip, in order; all are seen on the grid of the first.
        size: Edge of a chip in pixels.
        step: Distance between chips in pixels; None takes `size`.
        resolution: Edge of a pixel in metres; None takes that of the first scene. On geographic grids it must be
            given, and chips lie in the UTM zone of the scene's middle.

    Attributes:
        grid: Of the map: a cell around the middle of each chip.

    Raises:
        ConfigError: If an option makes no sense.
        BandError: If the scenes have different bands.
        DataError: If the scene is smaller than a chip.
        GridError: If a scene has no CRS.
    """

    def __init__(
        self, frames: Sequence[Source], size: int, step: int | None = None, resolution: float | None = None
    ) -> None:
        step = size if step is None else step
        if step < 1 or not (resolution is None or resolution > 0):
            raise ConfigError("`step` and `resolution` must be positive", got=f"{step}, {resolution}")
        counts = [len(frame.bands) for frame in frames]
        if len(set(counts)) > 1:
            raise BandError("The frames have different bands", got=counts)
        pixels = _pixels(frames[0], resolution)
        self._frames = [on_grid(frame, pixels) for frame in frames]
        self._size, self._step = size, step
        height, width = ((edge - size) // step + 1 for edge in shape_of(pixels))
        if height < 1 or width < 1:
            raise DataError("The scene is smaller than a chip", got=shape_of(pixels), expected=f"{size} pixels or more")
        first = (size - step) / 2
        self.grid = GeoBox(
            (height, width), pixels.affine @ Affine.translation(first, first) @ Affine.scale(step), pixels.crs
        )

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Of each row of the map, images `[chips, frames, bands, size, size]` and which of them show enough."""
        rows, cols = shape_of(self.grid)
        for row in range(rows):
            window = Window(row * self._step, 0, self._size, (cols - 1) * self._step + self._size)
            shown = [self._strip(frame, window) for frame in self._frames]
            images = np.stack([images for images, _ in shown], axis=1)
            yield images, np.all([enough for _, enough in shown], axis=0)

    def _strip(self, frame: Source, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Chips `[chips, bands, size, size]` of a row, invalid pixels as the mean of their band over the chip."""
        stored, valid = frame.read(window)
        values = np.where(valid, frame.bands.decode(stored), 0.0)
        chips = np.moveaxis(self._cut(values), 1, 0)
        inside = self._cut(valid[None])[0][:, None]
        count = inside.sum(axis=(2, 3), keepdims=True)
        means = chips.sum(axis=(2, 3), keepdims=True, dtype=np.float64) / np.maximum(count, 1)
        return np.where(inside, chips, means).astype(np.float32), count[:, 0, 0, 0] > _LEAST_VALID * self._size**2

    def _cut(self, strip: np.ndarray) -> np.ndarray:
        """`[bands, size, width]` to `[bands, chips, size, size]`."""
        windows = np.lib.stride_tricks.sliding_window_view(strip, self._size, axis=2)[:, :, :: self._step]
        return np.moveaxis(windows, 2, 1)


def _pixels(scene: Source, resolution: float | None) -> GeoBox:
    """The pixels that chips are made of."""
    crs = require_crs(scene.grid, scene.name)
    if not is_geographic(scene.grid):
        if resolution is None:
            return scene.grid
        return GeoBox.from_geopolygon(scene.grid.extent, resolution=resolution, crs=crs)
    if resolution is None:
        raise ConfigError(
            f"{scene.name} is on a geographic grid", fix="Say the chips' edge of a pixel in metres: `resolution`"
        )
    outline = shapely.get_coordinates(footprint(scene.grid))
    zone = CRS.from_epsg(utm_zone(*outline.mean(axis=0)))
    x, y = transformer(CRS.from_epsg(4326), zone).transform(*outline.T)
    return GeoBox.from_bbox((min(x), min(y), max(x), max(y)), zone.to_string(), resolution=resolution)
