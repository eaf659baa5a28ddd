"""Segmentation by networks that answer several times: every head learns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.losses.deep_supervision import DeepSupervision
from swath.tasks.segment import Segmentation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swath.data.scenes import Collection


class DeeplySupervised(Segmentation):
    """Segmentation by a network whose logits are `[heads, B, K, H, W]` while it trains, and `[B, K, H, W]` after.

    The loss is the mean over heads of the recipe's; see `Segmentation` for the rest.

    Attributes:
        head_weights: Weight of each head's loss, in place of the mean; set it before training.
    """

    head_weights: Sequence[float] | None = None

    def prepare(self, data: Collection) -> None:
        """See `Segmentation.prepare`."""
        super().prepare(data)
        self.loss = DeepSupervision(self.loss, self.head_weights)
