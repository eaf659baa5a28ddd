"""Scenes divided by blocks of ground: which block a pixel lies in, and how far it is from those of other parts.

Convention: blocks are squares of EPSG:6933, a cylindrical equal-area projection of the globe, counted from its origin,
so that scenes in any CRS agree on them. Their edge is rounded so that a whole number goes around the Earth. On the
ground a block is `cos 30° / cos(latitude)` times as high as that, and as much narrower. Scenes without CRS have blocks
of pixels of their own, counted from the top-left corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from swath.data.scenes import PARTS
from swath.errors import GridError
from swath.geo.grids import coordinates, require_crs, transformer
from swath.geo.windows import Window

_EQUAL_AREA = CRS("EPSG:6933")
#: Half the width and height of the globe in EPSG:6933, in metres.
_HALF_WIDTH, _HALF_HEIGHT = 17_367_530.445, 7_314_540.831
#: Cosine of the latitude at which EPSG:6933 is true to scale.
_COS_TRUE = float(np.cos(np.radians(30)))
#: Ratios on the ground are those of the sphere; by so much they may be wrong on the ellipsoid.
_FLATTENING = 1.005
#: Steps to the blocks around a block.
_NEIGHBOURS = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1) if down or across]
#: Largest step of the lattice of exact positions, the smallest that is worth it, and the error allowed, in pixels.
_STEP, _LEAST_STEP, _TOLERANCE = 64, 4, 0.02


@dataclass(frozen=True, eq=False)
class BlockGrid:
    """Blocks as seen from one scene.

    Attributes:
        grid: Grid of the scene.
        size: Edge of a block in metres of EPSG:6933, or in pixels where the scene has no CRS.
    """

    grid: GeoBox
    size: float

    @property
    def around(self) -> int:
        """Blocks around the globe; beyond any scene where there is no CRS."""
        return 1 << 30 if self.grid.crs is None else max(1, round(2 * _HALF_WIDTH / self.size))

    @property
    def width(self) -> float:
        """Width of a block in units of its coordinates."""
        return self.size if self.grid.crs is None else 2 * _HALF_WIDTH / self.around

    @property
    def span(self) -> float:
        """Longer side of the scene in metres of EPSG:6933, or in pixels."""
        height, width = (float(size) for size in self.grid.shape)
        if self.grid.crs is None:
            return max(height, width)
        y, x = self._exact(np.array([0, height / 2, height]), np.array([0, width / 2, width]))
        return float(max(np.ptp(x), np.ptp(y)))

    def blocks(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of the block of each pixel centre of a window, as fractional numbers `[height, width]`.

        Raises:
            GridError: If a pixel lies where the CRS of the scene is undefined.
        """
        rows = np.arange(window.row, window.row_stop) + 0.5
        cols = np.arange(window.col, window.col_stop) + 0.5
        if self.grid.crs is None:
            down, across = np.broadcast_arrays(rows[:, None], cols[None, :])
        elif self._lattice is None:
            down, across = self._exact(rows, cols)
        else:
            nodes, step = self._lattice
            down, across = _between(nodes, rows / step, cols / step)
        return down / self.size, across / self.width

    def ground(self, down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Height and width of blocks on the ground, in metres (or pixels), at fractional block rows `down`."""
        if self.grid.crs is None:
            return np.full_like(down, self.size), np.full_like(down, self.width)
        sine = np.clip(down * self.size / _HALF_HEIGHT, -1, 1)
        squeeze = np.sqrt(1 - sine**2) / _COS_TRUE
        return self.size / np.maximum(squeeze, 1e-6), self.width * squeeze

    def keys(self, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        """One number for each block; columns go around the globe."""
        return rows.astype(np.int64) * self.around + cols.astype(np.int64) % self.around

    @cached_property
    def _lattice(self) -> tuple[np.ndarray, int] | None:
        """Exact positions `[2, h, w]` at every step of pixel corners; None where these are no use (at a pole)."""
        step = _STEP
        pixel = self._pixel_size()
        while step >= _LEAST_STEP:
            rows, cols = (np.arange(-1, -(-size // step) + 2) * float(step) for size in self.grid.shape)
            nodes = np.stack(self._exact(rows, cols, lost=np.nan))
            middles = np.stack(self._exact(rows[:-1] + step / 2, cols[:-1] + step / 2, lost=np.nan))
            guessed = (nodes[:, :-1, :-1] + nodes[:, 1:, :-1] + nodes[:, :-1, 1:] + nodes[:, 1:, 1:]) / 4
            with np.errstate(invalid="ignore"):
                if np.abs(guessed - middles).max() <= _TOLERANCE * pixel:
                    return nodes, step
            step //= 2
        return None

    def _pixel_size(self) -> float:
        """Shorter edge of the middle pixel in metres of EPSG:6933."""
        row, col = (size / 2 for size in self.grid.shape)
        y, x = self._exact(np.array([row, row + 1]), np.array([col, col + 1]))
        return float(
            min(np.hypot(x[1, 0] - x[0, 0], y[1, 0] - y[0, 0]), np.hypot(x[0, 1] - x[0, 0], y[0, 1] - y[0, 0]))
        )

    def _exact(self, rows: np.ndarray, cols: np.ndarray, lost: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        """`(y, x)` in EPSG:6933 of corner positions `rows` x `cols`; x runs on past the antimeridian."""
        x, y = np.broadcast_arrays(*coordinates(self.grid, rows[:, None], cols[None, :]))
        x, y = transformer(require_crs(self.grid, "A scene divided by blocks"), _EQUAL_AREA).transform(x, y)
        known = np.isfinite(x) & np.isfinite(y)
        if not known.all():
            if lost is None:
                raise GridError("A scene reaches beyond where its CRS is defined", got=self.grid.crs)
            x, y = np.where(known, x, lost), np.where(known, y, lost)
        first = x[known][0] if known.any() else 0.0
        return y, first + (x - first + _HALF_WIDTH) % (2 * _HALF_WIDTH) - _HALF_WIDTH


@dataclass(frozen=True, eq=False)
class BlockPartition:
    """A scene divided by blocks; a `swath.data.scenes.Partition`.

    Attributes:
        blocks: The blocks, from this scene.
        keys: All blocks that have a part, sorted.
        parts: Their parts, as places in `PARTS`.
        buffer: Distance in metres on the ground (or pixels) from blocks of other parts within which pixels have none.
    """

    blocks: BlockGrid
    keys: np.ndarray
    parts: np.ndarray
    buffer: float

    def mask(self, window: Window, part: str) -> np.ndarray:
        """See `swath.data.scenes.Partition.mask`."""
        if window.empty:
            return np.zeros(window.shape, bool)
        wanted = PARTS.index(part)
        down, across = self.blocks.blocks(window)
        rows, cols = np.floor(down).astype(np.int64), np.floor(across).astype(np.int64)
        top, left = rows.min() - 1, cols.min() - 1
        table = self._look_up(np.arange(top, rows.max() + 2), np.arange(left, cols.max() + 2))
        mine = (table == wanted)[rows - top, cols - left]
        foreign = (table >= 0) & (table != wanted)
        if not (self.buffer and mine.any() and foreign.any()):
            return mine
        height, width = self.blocks.ground(down)
        apart_down, apart_across = _apart(down - rows, height), _apart(across - cols, width)
        buffer = self.buffer * _FLATTENING
        for down_step, across_step in _NEIGHBOURS:
            # from the pixel to the nearest edge or corner of that neighbour
            near = mine & (apart_down[down_step] < buffer) & (apart_across[across_step] < buffer)
            row, col = np.nonzero(near)
            met = foreign[rows[row, col] - top + down_step, cols[row, col] - left + across_step]
            row, col = row[met], col[met]
            distance = np.hypot(
                *(np.broadcast_to(a, mine.shape)[row, col] for a in (apart_down[down_step], apart_across[across_step]))
            )
            mine[row, col] = distance >= buffer
        return mine

    def _look_up(self, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        """Parts of blocks `rows` x `cols`; -1 for those that no scene touches."""
        keys = self.blocks.keys(rows[:, None], cols[None, :])
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.parts[place], -1)


def _apart(inside: np.ndarray, side: np.ndarray) -> dict[int, np.ndarray]:
    """Distance of positions 0..1 in a block with sides of some length from the block before (-1) and after it (1)."""
    return {-1: inside * side, 0: np.zeros((1, 1)), 1: (1 - inside) * side}


def _between(nodes: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`nodes` `[2, h, w]`, whose first row and column stand at -1, linearly interpolated at `rows` x `cols`.

    Positions beyond the lattice continue its outermost cells.
    """
    down = np.clip(np.floor(rows).astype(np.int64) + 1, 0, nodes.shape[1] - 2)
    across = np.clip(np.floor(cols).astype(np.int64) + 1, 0, nodes.shape[2] - 2)
    share_down, share_across = (rows + 1 - down)[:, None], (cols + 1 - across)[None, :]
    lines = nodes[:, down] + (nodes[:, down + 1] - nodes[:, down]) * share_down
    filled = lines[:, :, across] + (lines[:, :, across + 1] - lines[:, :, across]) * share_across
    return filled[0], filled[1]
