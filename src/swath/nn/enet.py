"""ENet: a small encoder and a smaller decoder that remembers where the maxima were.

Source: Paszke et al., "ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation" (arXiv
1606.02147), table 1 and figure 2. Convolutions have no bias; the decoder rectifies with plain ReLU (section 4).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Height and width that the network takes are multiples of this.
STRIDE = 8
#: Channels that the first convolution makes beside the pooled input.
_FIRST = 13
#: Inside a bottleneck are so many times fewer channels.
_NARROWER = 4

Kind = int | Literal["asymmetric"]
#: Dilations, and the factorised 5x5 convolution, of the second stage and of the third, which is the same.
_CONTEXT: tuple[Kind, ...] = (1, 2, "asymmetric", 4, 1, 8, "asymmetric", 16)


class ENet(nn.Module):
    """ENet, `[B, C, H, W]` -> logits `[B, K, H, W]`; height and width are multiples of 8.

    Args:
        in_channels: Bands. With 3, the first block has the 16 channels of the paper.
        classes: Channels of the logits.
    """

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        width = in_channels + _FIRST
        self.first = nn.Conv2d(in_channels, _FIRST, 3, stride=2, padding=1, bias=False)
        self.after_first = nn.Sequential(nn.BatchNorm2d(width), nn.PReLU(width))
        self.down1 = Down(width, 64, 0.01)
        self.stage1 = nn.Sequential(*(Bottleneck(64, 1, 0.01) for _ in range(4)))
        self.down2 = Down(64, 128, 0.1)
        self.stage2 = nn.Sequential(*(Bottleneck(128, kind, 0.1) for kind in _CONTEXT))
        self.stage3 = nn.Sequential(*(Bottleneck(128, kind, 0.1) for kind in _CONTEXT))
        self.up4 = Up(128, 64)
        self.stage4 = nn.Sequential(*(Bottleneck(64, 1, 0.1, decodes=True) for _ in range(2)))
        self.up5 = Up(64, width)
        self.stage5 = Bottleneck(width, 1, 0.1, decodes=True)
        self.last = nn.ConvTranspose2d(width, classes, 2, stride=2)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of a normalised image."""
        x = self.after_first(torch.cat([self.first(image), functional.max_pool2d(image, 2)], 1))
        x, finer = self.down1(x)
        x, coarser = self.down2(self.stage1(x))
        x = self.stage3(self.stage2(x))
        x = self.stage4(self.up4(x, coarser))
        return self.last(self.stage5(self.up5(x, finer)))


class Bottleneck(nn.Module):
    """A residual block: fewer channels, a convolution, the channels again, dropout of whole channels.

    Args:
        width: Channels.
        kind: Dilation of a 3x3 convolution, or `asymmetric` for 5x1 and 1x5.
        dropout: Share of channels.
        decodes: Whether it stands in the decoder.
    """

    def __init__(self, width: int, kind: Kind, dropout: float, decodes: bool = False) -> None:
        super().__init__()
        inner = width // _NARROWER
        middle = (
            [nn.Conv2d(inner, inner, (5, 1), padding=(2, 0), bias=False),
             nn.Conv2d(inner, inner, (1, 5), padding=(0, 2), bias=False)]
            if kind == "asymmetric"
            else [nn.Conv2d(inner, inner, 3, padding=kind, dilation=kind, bias=False)]
        )  # fmt: skip
        self.extension = nn.Sequential(
            nn.Conv2d(width, inner, 1, bias=False), *_after(inner, decodes),
            *middle, *_after(inner, decodes),
            nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width), nn.Dropout2d(dropout),
        )  # fmt: skip
        self.rectify = _rectifier(width, decodes)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return self.rectify(x + self.extension(x))


class Down(nn.Module):
    """A block that halves height and width; gives the positions of the maxima too.

    Args:
        width: Channels.
        wider: Channels afterwards; the pooled ones are filled up with zeros.
        dropout: Share of channels.
    """

    def __init__(self, width: int, wider: int, dropout: float) -> None:
        super().__init__()
        inner = width // _NARROWER
        self.extension = nn.Sequential(
            nn.Conv2d(width, inner, 2, stride=2, bias=False), *_after(inner, False),
            nn.Conv2d(inner, inner, 3, padding=1, bias=False), *_after(inner, False),
            nn.Conv2d(inner, wider, 1, bias=False), nn.BatchNorm2d(wider), nn.Dropout2d(dropout),
        )  # fmt: skip
        self.rectify = nn.PReLU(wider)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`[B, wider, H / 2, W / 2]` and positions `[B, width, H / 2, W / 2]`."""
        pooled, positions = functional.max_pool2d(x, 2, return_indices=True)
        extended = self.extension(x)
        pooled = functional.pad(pooled, (0, 0, 0, 0, 0, extended.shape[1] - pooled.shape[1]))
        return self.rectify(pooled + extended), positions


class Up(nn.Module):
    """A block that doubles height and width, with maxima where they were.

    Args:
        width: Channels.
        narrower: Channels afterwards.
    """

    def __init__(self, width: int, narrower: int) -> None:
        super().__init__()
        inner = width // _NARROWER
        self.shortcut = nn.Sequential(nn.Conv2d(width, narrower, 1, bias=False), nn.BatchNorm2d(narrower))
        self.extension = nn.Sequential(
            nn.Conv2d(width, inner, 1, bias=False), *_after(inner, True),
            nn.ConvTranspose2d(inner, inner, 3, stride=2, padding=1, output_padding=1, bias=False),
            *_after(inner, True),
            nn.Conv2d(inner, narrower, 1, bias=False), nn.BatchNorm2d(narrower), nn.Dropout2d(0.1),
        )  # fmt: skip

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """`[B, narrower, 2 H, 2 W]`; `positions` come from the `Down` that took as many channels."""
        extended, kept = self.extension(x), self.shortcut(x).flatten(2)
        # as `max_unpool2d`, which has no deterministic form
        spread = torch.zeros_like(extended).flatten(2).scatter(2, positions.flatten(2), kept)
        return functional.relu(spread.view_as(extended) + extended)


def _after(width: int, decodes: bool) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(width), _rectifier(width, decodes)


def _rectifier(width: int, decodes: bool) -> nn.Module:
    return nn.ReLU() if decodes else nn.PReLU(width)
