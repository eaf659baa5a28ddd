"""The stream: tiles are read ahead, run through a model, blended, and leave as finished rows.

Only the rows that later tiles still add to are held, so memory does not grow with the height of a scene.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from swath.data.blocks import default_cache
from swath.data.loader import Batches, Skipped
from swath.data.scenes import Collection
from swath.geo.windows import whole

if TYPE_CHECKING:
    from torch import Tensor

    from swath.data.scenes import Scene
    from swath.scene.plan import Plan

#: A batch (see `docs/design.md`, contract 3) to scores `[B, K, height, width]`.
Model = Callable[[Mapping[str, Any]], "Tensor"]

#: Height of the blocks of most files.
_COMMON_BLOCK = 512
#: The cache keeps so much more than the first row of tiles needs, because later ones lie across rows of blocks.
_ROWS_KEPT = 2
#: Rows that leave at once: what waits to be written stays small.
_PIECE = 64

_cache_is_small = threading.Lock()


@dataclass(frozen=True)
class Rows:
    """Finished rows of a scene.

    Attributes:
        row: The first of them.
        scores: Blended scores `[K, height, width]`, float32; one band of zeros above the first valid tile.
        valid: Which pixels count, `[height, width]`.
        skipped: Tiles that could not be read since the rows before.
    """

    row: int
    scores: np.ndarray
    valid: np.ndarray
    skipped: tuple[Skipped, ...] = ()

    @property
    def stop(self) -> int:
        """First row below."""
        return self.row + len(self.valid)

    def between(self, first: int, stop: int) -> Rows:
        """Those of them that lie from row `first` to above row `stop`."""
        top, bottom = max(self.row, first), min(self.stop, stop)
        part = slice(top - self.row, max(bottom, top) - self.row)
        return replace(self, row=top, scores=self.scores[:, part], valid=self.valid[part])


def finished_rows(
    model: Model,
    scene: Scene,
    plan: Plan,
    *,
    first: int = 0,
    stop: int | None = None,
    threads: int = 2,
    device: str = "cpu",
    precision: Literal["fp32", "bf16"] = "fp32",
    on_error: Literal["raise", "skip"] = "raise",
    advance: Callable[[int], None] = lambda _: None,
) -> Iterator[Rows]:
    """Rows `first` to `stop` of a model's scores on a scene, from top to bottom, bit for bit those of a whole run.

    Args:
        model: What is applied.
        scene: What it is applied to.
        plan: How the scene is cut.
        first: First row.
        stop: Row behind the last; None goes to the end.
        threads: Threads that read.
        device: Where the model stands.
        precision: Of the model's arithmetic.
        on_error: Whether a block that cannot be read ends the run, or its tile is invalid and listed.
        advance: Is told how many tiles are done since the last call.
    """
    stop = plan.shape[0] if stop is None else stop
    across = len(plan.tiling.starts[1])
    tiles = plan.tiles(first, stop)
    batches = Batches(
        Collection((replace(scene, labels=None, part=None),)), plan.places(tiles), part=None, patch=plan.tile,
        batch=plan.batch, threads=threads, on_error=on_error, pin=device.startswith("cuda"),
    )  # fmt: skip
    blender = _Blender(plan, tiles.start // across, device)
    number, told = tiles.start, 0
    with _small_cache(scene, plan) as settle:
        for batch in batches:
            scores = run(model, batch, device, precision) if batch["valid"].any() else None
            advance(len(batch["valid"]))
            for i, valid in enumerate(batch["valid"].numpy()):
                blender.add(number, None if scores is None else scores[i], valid)
                number += 1
                if number % across:
                    continue
                if number - tiles.start >= across:  # the first row may have begun in its middle
                    settle()
                for piece in blender.leave(number // across - 1):
                    finished = piece.between(first, stop)
                    if len(finished.valid):
                        yield replace(finished, skipped=tuple(batches.skipped[told:]))
                        told = len(batches.skipped)
                    if piece.stop >= stop:
                        return


@torch.inference_mode()
def run(model: Model, batch: Mapping[str, Any], device: str, precision: Literal["fp32", "bf16"]) -> Tensor:
    """Scores `[B, K, height, width]`, float32, of one batch, on `device`."""
    moved = move(batch, device)
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16"):
        return model(moved).float()


def move(value: Any, device: str) -> Any:
    """A tensor, or all of a mapping, on a device; images in the layout in which convolutions are faster."""
    if isinstance(value, Mapping):
        return {key: move(item, device) for key, item in value.items()}
    moved = value.to(device, non_blocking=True)
    return moved.contiguous(memory_format=torch.channels_last) if moved.ndim == 4 else moved


@contextmanager
def _small_cache(scene: Scene, plan: Plan) -> Iterator[Callable[[], None]]:
    """Let the cache of decoded blocks hold no more than the next tiles need, and give it its budget back in the end.

    Yields what is to be called when a row of tiles is done: blocks that it needed tell how large blocks are.
    """
    if not _cache_is_small.acquire(blocking=False):  # by another thread of this process
        yield lambda: None
        return
    cache = default_cache()
    budget = cache.budget
    least = scene.depth * plan.shape[1] * (plan.tile + _COMMON_BLOCK)
    cache.clear()

    def settle() -> None:
        if cache.budget == budget:
            cache.resize(min(budget, max(least, _ROWS_KEPT * cache.used)))

    try:
        yield settle
    finally:
        cache.resize(budget)
        _cache_is_small.release()


class _Blender:
    """The rows that tiles still add to: as many as a tile is high. They stand where the model does."""

    def __init__(self, plan: Plan, tile_row: int, device: str) -> None:
        self._plan, self._tiling, self._device = plan, plan.tiling, device
        self._weights = torch.from_numpy(plan.weights()).to(device)
        self._row = self._tiling.starts[0][tile_row]
        shape = (plan.tile, plan.shape[1])
        self._valid = np.zeros(shape, bool)
        self._total = torch.zeros(shape, device=device)
        self._scores: Tensor | None = None

    @torch.inference_mode()
    def add(self, number: int, scores: Tensor | None, valid: np.ndarray) -> None:
        """Add the scores `[K, tile, tile]` of a tile; None where none of its pixels is valid."""
        window = self._tiling[number]
        part = self._tiling.core(number) if self._plan.blend == "crop" else window.intersect(whole(self._plan.shape))
        here, there = part.relative_to(window).slices, part.shift(-self._row, 0).slices
        self._valid[there] |= valid[here]
        if scores is None or not valid.any():
            return
        if self._scores is None:
            self._scores = torch.zeros((len(scores), *self._valid.shape), device=self._device)
        self._scores[:, *there].addcmul_(scores[:, *here], self._weights[here])
        self._total[there] += self._weights[here]

    @torch.inference_mode()
    def leave(self, tile_row: int) -> Iterator[Rows]:
        """The rows that no later tile adds to, some at a time; then the others move up."""
        starts = self._tiling.starts[0]
        stop = self._plan.shape[0] if tile_row + 1 == len(starts) else starts[tile_row + 1]
        count = stop - self._row
        for top in range(0, count, _PIECE):
            piece = slice(top, min(top + _PIECE, count))
            valid = self._valid[piece].copy()
            if self._scores is None:
                scores = np.zeros((1, *valid.shape), np.float32)
            else:
                # Weights of the tiles that could be read; only invalid pixels have none.
                scores = (self._scores[:, piece] / self._total[piece].clamp_min(1e-12)).cpu().numpy()
            yield Rows(self._row + top, scores, valid)
        for held in (self._valid, self._total, *(() if self._scores is None else self._scores)):
            _move_up(held, count)
        self._row = stop


def _move_up(held: Any, count: int) -> None:
    """Drop the first `count` rows of an array or tensor in place; zeros come in at the bottom."""
    kept = len(held) - count
    for start in range(0, kept, count):  # piece by piece, because pieces longer than `count` would overlap
        piece = min(count, kept - start)
        held[start : start + piece] = held[start + count : start + count + piece]
    held[kept:] = 0
