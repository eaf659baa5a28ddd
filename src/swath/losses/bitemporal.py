"""The joint loss of land use at two dates and of change."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from swath.losses.functional import cross_entropy

#: Weight of a changed pixel against one without change.
CHANGED = 2.0


def bitemporal_loss(
    before: Tensor,
    after: Tensor,
    change: Tensor,
    series: Tensor | None,
    true_before: Tensor,
    true_after: Tensor,
    published: bool = False,
) -> Tensor:
    """Binary cross entropy of change, half the sum of those of land use, and that of what the series alone tells.

    A changed pixel counts twice in the first, whose mean is over pixels, not weights. The series is held against the
    land use of the first date (the authors' code; FUSU, arXiv 2405.19055).

    Args:
        before: Logits `[B, K, H, W]`.
        after: Logits `[B, K, H, W]`.
        change: Logits `[B, H, W]`.
        series: Logits `[B, K, H, W]`; None where there is no series.
        true_before: Classes `[B, H, W]`, -1 where no label counts.
        true_after: Classes `[B, H, W]`, -1 where no label counts.
        published: As the authors' code: logits of land use are cut to 0..1 before their cross entropy, which then
            cannot fall below `log(1 + (K - 1) / e)` and has no gradient beyond.
    """

    def entropy(logits: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(logits.nan_to_num(0.0).clamp(0, 1) if published else logits, target)

    counted = (true_before >= 0) & (true_after >= 0)
    changed = ((true_before != true_after) & counted).to(change.dtype)
    weight = counted * (1 + (CHANGED - 1) * changed)
    each = functional.binary_cross_entropy_with_logits(change, changed, reduction="none")
    loss = (each * weight).sum() / counted.sum().clamp(min=1)
    loss = loss + 0.5 * (entropy(before, true_before) + entropy(after, true_after))
    return loss if series is None else loss + entropy(series, true_before)
