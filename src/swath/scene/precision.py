"""Precision: bfloat16 where the hardware has it and a sample of tiles says that the map stays the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from swath.data.loader import Batches
from swath.data.scenes import Collection
from swath.scene.folding import fold
from swath.scene.stream import Model, move, run

if TYPE_CHECKING:
    from swath.data.scenes import Scene
    from swath.scene.plan import Plan

#: One of so many tiles is compared, at least and at most so many.
_ONE_OF, _LEAST, _MOST = 100, 4, 16
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
) -> tuple[Model, Literal["fp32", "bf16"], Agreement | None]:
    """The model and the precision to run it in, and what the comparison said where `auto` made one."""
    if asked == "fp32" or (asked == "auto" and not has_bf16(device)):
        return model, "fp32", None
    batches = _sample(scene, plan)
    fast = fold(model, move(batches[0], device), torch.bfloat16) if batches else model
    if asked == "bf16":
        return fast, "bf16", None
    agreement = compare(model, fast, batches, device)
    return (fast, "bf16", agreement) if agreement.accepted else (model, "fp32", agreement)


def has_bf16(device: str) -> bool:
    """Whether the hardware multiplies bfloat16 itself; elsewhere it is slower than fp32."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def compare(model: Model, fast: Model, batches: Sequence[Mapping[str, Any]], device: str) -> Agreement:
    """How far a model in bf16, which may be another form of it, agrees with itself in fp32."""
    same, apart, low, high, count = 0, 0.0, np.inf, -np.inf, 0
    for batch in batches:
        exact = run(model, batch, device, "fp32").cpu().movedim(1, 0)[:, batch["valid"]]
        rough = run(fast, batch, device, "bf16").cpu().movedim(1, 0)[:, batch["valid"]]
        same += int((exact.argmax(0) == rough.argmax(0)).sum())
        apart += float((exact - rough).abs().mean(0).sum())
        low, high, count = min(low, float(exact.min())), max(high, float(exact.max())), count + exact.shape[1]
    if not count:
        return Agreement(0, 1.0, 0.0, True)
    share, difference = same / count, apart / count / max(high - low, 1e-12)
    accepted = share >= _LEAST_SAME and difference <= _MOST_APART
    return Agreement(sum(len(b["valid"]) for b in batches), round(share, 5), round(difference, 6), accepted)


def _sample(scene: Scene, plan: Plan) -> list[dict[str, Any]]:
    """Batches of tiles from all over the scene, those without a valid pixel left out."""
    every = plan.places()
    wanted = min(max(len(every) // _ONE_OF, _LEAST), _MOST)
    places = every.take(np.unique(np.linspace(0, len(every) - 1, wanted).round().astype(int)))
    collection = Collection((replace(scene, labels=None, part=None),))
    batches = Batches(collection, places, part=None, patch=plan.tile, batch=plan.batch, on_error="skip")
    return [batch for batch in batches if batch["valid"].any()]
