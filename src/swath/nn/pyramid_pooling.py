"""PSPNet: features of an encoder beside their means over the whole image and over coarser and coarser cells.

Source: Zhao et al., "Pyramid Scene Parsing Network" (CVPR 2017, arXiv 1612.01105), sections 3.2 and 3.3.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from swath.nn.deeplab import describe, timm_encoder

#: Cells along each side.
CELLS = (1, 2, 3, 6)
#: Weight of the auxiliary head's loss against the head's.
AUXILIARY_WEIGHT = 0.4


class PyramidPooling(nn.Module):
    """`[B, C, H, W]` -> `[B, 2 C, H, W]`: features, and their means over cells in a quarter of the channels each.

    Args:
        width: Channels C.
        align_corners: How means are enlarged, as `torch.nn.functional.interpolate` has it.
    """

    def __init__(self, width: int, align_corners: bool = True) -> None:
        super().__init__()
        self.align_corners = align_corners
        inner = width // len(CELLS)
        self.levels = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(cells), *_unit(width, inner, 1)) for cells in CELLS
        )

    def forward(self, x: Tensor) -> Tensor:
        """The features and what lies around them."""
        size = x.shape[-2:]
        aligned = self.align_corners
        means = [
            functional.interpolate(level(x), size, mode="bilinear", align_corners=aligned) for level in self.levels
        ]
        return torch.cat([x, *means], 1)


class PSPNet(nn.Module):
    """PSPNet on a timm encoder of output stride 8, `[B, C, H, W]` -> logits `[B, K, H, W]`.

    While it trains, its logits are `[2, B, K, H, W]`: the head's, and those of an auxiliary head on the encoder's last
    features but one.

    Args:
        encoder: A timm network that dilates.
        in_channels: Bands.
        classes: Channels of the logits.

    Raises:
        ConfigError: If timm has no such network, or it does not dilate.
    """

    def __init__(self, encoder: str, in_channels: int, classes: int) -> None:
        super().__init__()
        self.encoder: Any = timm_encoder(encoder, in_channels, 8)
        *_, earlier, last = describe(self.encoder)[1]
        self.pooling = PyramidPooling(last)
        self.head = _head(last + last // len(CELLS) * len(CELLS), 512, classes)
        self.auxiliary = _head(earlier, 256, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of a normalised image."""
        *_, earlier, last = self.encoder(image)
        logits = self._enlarged(self.head(self.pooling(last)), image)
        if not self.training:
            return logits
        return torch.stack([logits, self._enlarged(self.auxiliary(earlier), image)])

    @staticmethod
    def _enlarged(logits: Tensor, image: Tensor) -> Tensor:
        return functional.interpolate(logits, image.shape[-2:], mode="bilinear", align_corners=True)


def _head(width: int, inner: int, classes: int) -> nn.Sequential:
    return nn.Sequential(*_unit(width, inner, 3), nn.Dropout2d(0.1), nn.Conv2d(inner, classes, 1))


def _unit(width: int, wider: int, kernel: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    return nn.Conv2d(width, wider, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(wider), nn.ReLU()
