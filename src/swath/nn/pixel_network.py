"""Dense layers on single pixels, written as 1 x 1 convolutions: table rows and whole scenes go the same way."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from swath.nn.keras import initialise


class PixelNetwork(nn.Sequential):
    """`[B, channels, H, W]` to logits `[B, classes, H, W]`; a pixel sees no other pixel.

    Args:
        channels: Bands.
        classes: Classes.
        widths: Units of the hidden layers; each is rectified and followed by dropout.
        dropout: Share of units that are dropped in training.
    """

    def __init__(
        self, channels: int, classes: int, widths: Sequence[int] = (256, 128, 64, 32), dropout: float = 0.2
    ) -> None:
        layers: list[nn.Module] = []
        for before, after in zip((channels, *widths), widths, strict=False):
            layers += [nn.Conv2d(before, after, 1), nn.ReLU(), nn.Dropout(dropout)]
        super().__init__(*layers, nn.Conv2d(widths[-1], classes, 1))
        initialise(self)
