"""Precision: bfloat16 where the hardware has it and a sample of tiles says that the map stays the same."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from swath.data.loader import Batches
from swath.data.scenes import Collection
from swath.scene.stream import Model, run

if TYPE_CHECKING:
    from swath.data.scenes import Scene
    from swath.scene.plan import Plan

#: Tiles that are compared.
_SAMPLE = 8
#: Least share of pixels with the same largest score.
_LEAST_SAME = 0.995
#: Largest mean difference of scores, as a share of their range.
_MOST_APART = 0.01


@dataclass(frozen=True)
class Agreement:
    """How far bf16 agrees with fp32 on a sample of tiles.

    Attributes:
        tiles: Tiles compared.
        same: Share of valid pixels with the same largest score; 1 where there is one score.
        apart: Mean difference of scores over their range.
        accepted: Whether both are within the limits (0.995 and 0.01).
    """

    tiles: int
    same: float
    apart: float
    accepted: bool

    def to_dict(self) -> dict[str, float]:
        """Plain values."""
        return asdict(self)


def choose_precision(
    model: Model, scene: Scene, plan: Plan, asked: Literal["fp32", "auto", "bf16"], device: str
) -> tuple[Literal["fp32", "bf16"], Agreement | None]:
    """The precision to run in, and what the comparison said where `auto` made one."""
    if asked != "auto":
        return asked, None
    if not has_bf16(device):
        return "fp32", None
    agreement = compare(model, scene, plan, device)
    return ("bf16" if agreement.accepted else "fp32"), agreement


def has_bf16(device: str) -> bool:
    """Whether the hardware multiplies bfloat16 itself; elsewhere it is slower than fp32."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def compare(model: Model, scene: Scene, plan: Plan, device: str) -> Agreement:
    """Run tiles from all over the scene in both precisions."""
    every = plan.places()
    places = every.take(np.unique(np.linspace(0, len(every) - 1, _SAMPLE).round().astype(int)))
    collection = Collection((replace(scene, labels=None, part=None),))
    batches = Batches(collection, places, part=None, patch=plan.tile, batch=plan.batch, on_error="skip")
    same, apart, low, high, count = 0, 0.0, np.inf, -np.inf, 0
    for batch in batches:
        if not batch["valid"].any():
            continue
        pair = [run(model, batch, device, precision).cpu() for precision in ("fp32", "bf16")]
        exact, fast = (scores.movedim(1, 0)[:, batch["valid"]] for scores in pair)
        same += int((exact.argmax(0) == fast.argmax(0)).sum())
        apart += float((exact - fast).abs().mean(0).sum())
        low, high, count = min(low, float(exact.min())), max(high, float(exact.max())), count + exact.shape[1]
    if not count:
        return Agreement(len(places), 1.0, 0.0, True)
    share, difference = same / count, apart / count / max(high - low, 1e-12)
    accepted = share >= _LEAST_SAME and difference <= _MOST_APART
    return Agreement(len(places), round(share, 5), round(difference, 6), accepted)
