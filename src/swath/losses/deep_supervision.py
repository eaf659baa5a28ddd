"""Deep supervision: several heads answer, and each is told what is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class DeepSupervision(nn.Module):
    """The mean over heads of a loss (Lee et al. 2015, arXiv 1409.5185; U-Net++, arXiv 1807.10165, section 3.2).

    Args:
        loss: Takes logits `[B, K, H, W]` and targets `[B, H, W]`.
        weights: Of each head, in place of the mean; losses are multiplied by them and added.
    """

    def __init__(self, loss: nn.Module, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.loss = loss
        self.weights = weights

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of logits `[heads, B, K, H, W]`, or `[B, K, H, W]` of one head, against targets `[B, H, W]`."""
        if logits.ndim == target.ndim + 1:
            return self.loss(logits, target)
        losses = torch.stack([self.loss(one, target) for one in logits])
        return losses.mean() if self.weights is None else losses @ losses.new_tensor(self.weights)
