"""Plans: which tiles a scene is cut into, and a fingerprint by which an interrupted run knows its own work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from swath.data.samplers import Places
from swath.errors import ConfigError
from swath.geo.grids import shape_of
from swath.geo.tiling import Tiling, weights

if TYPE_CHECKING:
    from swath.data.scenes import Scene

Blend = Literal["cosine", "linear", "crop"]


@dataclass(frozen=True)
class Plan:
    """How a scene is cut and put together again.

    Attributes:
        shape: `(height, width)` of the scene in pixels.
        tile: Edge of a tile in pixels.
        overlap: Pixels that neighbouring tiles share at least.
        batch: Tiles that run together.
        blend: How overlaps are joined: faded by a raised `cosine` or a `linear` ramp, or `crop`ped in their middle.
    """

    shape: tuple[int, int]
    tile: int
    overlap: int
    batch: int
    blend: Blend = "cosine"

    def __post_init__(self) -> None:
        if self.batch < 1 or self.blend not in ("cosine", "linear", "crop"):
            raise ConfigError(
                "A scene cannot be planned so",
                got=f"batch {self.batch}, blend {self.blend}",
                expected="a batch of at least 1; cosine, linear or crop",
            )

    @cached_property
    def tiling(self) -> Tiling:
        """The tiles, row by row."""
        return Tiling(self.shape, self.tile, self.overlap)

    def places(self, first: int = 0) -> Places:
        """The tiles from the number `first` on, as places of a collection's only scene."""
        rows, cols = self.tiling.starts
        top, left = (a.ravel()[first:] for a in np.meshgrid(rows, cols, indexing="ij"))
        return Places(np.zeros(len(top), np.int64), top, left, self.tile)

    def first_tile(self, row: int) -> int:
        """The tile to begin with so that all rows from `row` on come out as in a whole run: batches fall alike."""
        starts = self.tiling.starts[0]
        needed = next(i for i, start in enumerate(starts) if start + self.tile > row)
        return needed * len(self.tiling.starts[1]) // self.batch * self.batch

    def weights(self) -> np.ndarray:
        """Weight of each pixel of a tile, `[tile, tile]`, for blends by weights."""
        return weights(self.tile, self.overlap, "none" if self.blend == "crop" else self.blend)


def fingerprint(plan: Plan, scene: Scene, work: Mapping[str, Any]) -> str:
    """A hash of the plan, of what is read, and of the `work` that is done with it (weights, outputs, precision)."""
    layers = {
        name: {
            "name": source.name, "affine": tuple(source.grid.affine), "shape": shape_of(source.grid),
            "crs": str(source.grid.crs), "bands": [asdict(band) for band in source.bands], "file": _stamp(source.name),
        }
        for name, source in scene.layers.items()
    }  # fmt: skip
    told = json.dumps({"plan": asdict(plan), "layers": layers, "work": work}, sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()


def _stamp(name: str) -> tuple[int, int] | None:
    try:
        status = Path(name).stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
