"""Deep supervision: several heads answer, and each is told what is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class DeepSupervision(nn.Module):
    """The mean over heads of a loss (Lee et al. 2015, arXiv 1409.5185; U-Net++, arXiv 1807.10165, section 3.2).

    Args:
        loss: Takes logits `[B, K, H, W]` and targets `[B, H, W]`.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of logits `[heads, B, K, H, W]` against targets `[B, H, W]`."""
        return torch.stack([self.loss(one, target) for one in logits]).mean()
