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
from swath.geo.windows import Window

if TYPE_CHECKING:
    from swath.data.scenes import Scene
    from swath.data.sources import Source

#: Windows along the diagonal, and their edge in pixels, by which an array or a remote file is known again.
_PROBES, _PROBE = 5, 32

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
        even: See `Tiling`.
    """

    shape: tuple[int, int]
    tile: int
    overlap: int
    batch: int
    blend: Blend = "cosine"
    even: bool = False

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
        return Tiling(self.shape, self.tile, self.overlap, even=self.even)

    def tiles(self, first: int, stop: int) -> range:
        """The tiles that rows `first` to `stop` need, in whole batches: as in a whole run, so all comes out alike."""
        starts, across = self.tiling.starts[0], len(self.tiling.starts[1])
        begin = next(i for i, start in enumerate(starts) if start + self.tile > first)
        end = next((i for i, start in enumerate(starts) if start >= stop), len(starts))
        full = -(-end * across // self.batch) * self.batch
        return range(begin * across // self.batch * self.batch, min(full, len(self.tiling)))

    def places(self, tiles: range | None = None) -> Places:
        """Tiles, by default all, as places of a collection's only scene."""
        rows, cols = self.tiling.starts
        numbers = np.arange(len(self.tiling)) if tiles is None else np.asarray(tiles)
        top, left = np.array(rows)[numbers // len(cols)], np.array(cols)[numbers % len(cols)]
        return Places(np.zeros(len(numbers), np.int64), top, left, self.tile)

    def weights(self) -> np.ndarray:
        """Weight of each pixel of a tile, `[tile, tile]`, for blends by weights."""
        return weights(self.tile, self.overlap, "none" if self.blend == "crop" else self.blend)


def fingerprint(plan: Plan, scene: Scene, work: Mapping[str, Any]) -> str:
    """A hash of the plan, of what is read, and of the `work` that is done with it (weights, outputs, precision)."""
    layers = {name: _told(source) for name, source in scene.layers.items()}
    series = {
        name: {"view": one.view, "frames": [(frame.time, _told(frame.source)) for frame in one.frames]}
        for name, one in scene.series.items()
    }
    told = json.dumps(
        {"plan": asdict(plan), "layers": layers, "series": series, "work": work}, sort_keys=True, default=str
    )
    return hashlib.sha256(told.encode()).hexdigest()


def _told(source: Source) -> dict[str, object]:
    return {
        "name": source.name, "affine": tuple(source.grid.affine), "shape": shape_of(source.grid),
        "crs": str(source.grid.crs), "bands": [asdict(band) for band in source.bands], "state": _state(source),
    }  # fmt: skip


def _state(source: Source) -> object:
    """What changes when the pixels do: size and time of a file; elsewhere a hash of some of the pixels."""
    try:
        status = Path(source.name).stat()
    except OSError:
        height, width = shape_of(source.grid)
        found = hashlib.sha256()
        for share in np.linspace(0, 1, _PROBES):
            window = Window(int(share * max(0, height - _PROBE)), int(share * max(0, width - _PROBE)), _PROBE, _PROBE)
            for values in source.read(window):
                found.update(np.ascontiguousarray(values).tobytes())
        return found.hexdigest()
    return status.st_size, status.st_mtime_ns
