"""The stream: tiles are read ahead, run through a model, blended, and leave as finished rows.

Only the rows that later tiles still add to are held, so memory does not grow with the height of a scene.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from swath.data.loader import Batches, Skipped
from swath.data.scenes import Collection

if TYPE_CHECKING:
    from torch import Tensor

    from swath.data.scenes import Scene
    from swath.scene.plan import Plan

#: A batch (see `docs/design.md`, contract 3) to scores `[B, K, height, width]`.
Model = Callable[[Mapping[str, Any]], "Tensor"]


@dataclass(frozen=True)
class Rows:
    """Finished rows of a scene.

    Attributes:
        row: The first of them.
        scores: Blended scores `[K, height, width]`, float32.
        valid: Which pixels count, `[height, width]`.
    """

    row: int
    scores: np.ndarray
    valid: np.ndarray


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
    skipped: list[Skipped] | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Iterator[Rows]:
    """Rows `first` to `stop` of a model's scores on a scene, from top to bottom.

    Args:
        model: What is applied.
        scene: What it is applied to.
        plan: How the scene is cut.
        first: First row.
        stop: Row behind the last; None goes to the end.
        threads: Threads that read.
        device: Where the model stands.
        precision: Of the model's arithmetic.
        on_error: Whether a block that cannot be read ends the run, or its tile is invalid and listed in `skipped`.
        skipped: Takes what was skipped.
        advance: Is told how many tiles are done since the last call.
    """
    stop = plan.shape[0] if stop is None else stop
    across = len(plan.tiling.starts[1])
    begin = plan.first_tile(first)
    batches = Batches(
        Collection((replace(scene, labels=None, part=None),)), plan.places(begin), part=None, patch=plan.tile,
        batch=plan.batch, threads=threads, on_error=on_error, pin=device.startswith("cuda"),
    )  # fmt: skip
    blender = _Blender(plan, begin // across)
    number = begin
    for batch in batches:
        scores = run(model, batch, device, precision) if batch["valid"].any() else None
        for i, valid in enumerate(batch["valid"].numpy()):
            blender.add(number, None if scores is None else scores[i], valid)
            number += 1
            if number % across == 0:
                finished = blender.leave(number // across - 1)
                if (cut := _between(finished, first, stop)) is not None:
                    yield cut
                if finished.row + len(finished.valid) >= stop:
                    return
        advance(len(batch["valid"]))
        if skipped is not None:
            skipped[:] = batches.skipped


@torch.inference_mode()
def run(model: Model, batch: Mapping[str, Any], device: str, precision: Literal["fp32", "bf16"]) -> np.ndarray:
    """Scores `[B, K, height, width]`, float32, of one batch."""
    moved = {key: _move(value, device) for key, value in batch.items()}
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16"):
        return np.asarray(model(moved).float().cpu().numpy())


def _move(value: Any, device: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _move(item, device) for key, item in value.items()}
    moved = value.to(device, non_blocking=True)
    # Convolutions on this layout are faster; elsewhere it changes nothing.
    return moved.contiguous(memory_format=torch.channels_last) if moved.ndim == 4 else moved


class _Blender:
    """The rows that tiles still add to: as many as a tile is high."""

    def __init__(self, plan: Plan, tile_row: int) -> None:
        self._plan, self._tiling = plan, plan.tiling
        self._weights = plan.weights()
        self._row = self._tiling.starts[0][tile_row]
        self._valid = np.zeros((plan.tile, plan.shape[1]), bool)
        self._scores: np.ndarray | None = None
        rows, cols = (
            _coverage(starts, length, self._weights)
            for starts, length in zip(self._tiling.starts, plan.shape, strict=True)
        )
        self._row_weight, self._col_weight = rows, cols

    def add(self, number: int, scores: np.ndarray | None, valid: np.ndarray) -> None:
        """Add the scores `[K, tile, tile]` of a tile."""
        window = self._tiling[number]
        if self._plan.blend == "crop":
            core = self._tiling.core(number)
            here = core.relative_to(window).slices
            there = (slice(core.row - self._row, core.row_stop - self._row), slice(core.col, core.col_stop))
        else:
            stop = min(window.col_stop, self._plan.shape[1])
            here = (slice(0, self._plan.tile), slice(0, stop - window.col))
            there = (slice(0, self._plan.tile), slice(window.col, stop))
        self._valid[there] |= valid[here]
        if scores is None:
            return
        if self._scores is None:
            self._scores = np.zeros((len(scores), *self._valid.shape), np.float32)
        if self._plan.blend == "crop":
            self._scores[:, *there] = scores[:, *here]
        else:
            self._scores[:, *there] += scores[:, *here] * self._weights[here]

    def leave(self, tile_row: int) -> Rows:
        """The rows that no later tile adds to; the others move up."""
        starts, (height, width) = self._tiling.starts[0], self._plan.shape
        last = tile_row + 1 == len(starts)
        stop = height if last else starts[tile_row + 1]
        count, row = stop - self._row, self._row
        scores = np.zeros((1, count, width), np.float32) if self._scores is None else self._scores[:, :count].copy()
        if self._plan.blend != "crop":
            scores /= (self._row_weight[row:stop, None] * self._col_weight).astype(np.float32)
        rows = Rows(row, scores, self._valid[:count].copy())
        for held in (self._valid, *(() if self._scores is None else self._scores)):
            held[: self._plan.tile - count] = held[count:].copy()
            held[self._plan.tile - count :] = 0
        self._row = stop
        return rows


def _coverage(starts: tuple[int, ...], length: int, weights: np.ndarray) -> np.ndarray:
    """Sum of the weights of all tiles along one axis; a tile's weights are a product of its two axes'."""
    line = weights[len(weights) // 2] / np.sqrt(weights[len(weights) // 2, len(weights) // 2])
    total = np.zeros(max(length, len(line)))
    for start in starts:
        total[start : start + len(line)] += line
    return total[:length]


def _between(rows: Rows, first: int, stop: int) -> Rows | None:
    top, bottom = max(rows.row, first), min(rows.row + len(rows.valid), stop)
    if top >= bottom:
        return None
    part = slice(top - rows.row, bottom - rows.row)
    return Rows(top, rows.scores[:, part], rows.valid[part])
