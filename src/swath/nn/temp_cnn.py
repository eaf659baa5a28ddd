"""TempCNN: convolutions along time.

Source: Pelletier et al., "Temporal Convolutional Neural Network for the Classification of Satellite Image Time Series"
(arXiv 1811.10166).
"""

from __future__ import annotations

from torch import Tensor, nn


class TempCNN(nn.Module):
    """Three convolutions along time, a dense layer and a linear one, with batch normalisation and dropout.

    Args:
        channels: Numbers of a step.
        classes: Classes.
        steps: Length of a series, which is fixed.
        hidden: Channels of the convolutions; the dense layer has four times as many.
        kernel: Length of the convolutions, odd.
        dropout: Share of the features that are dropped.
    """

    def __init__(
        self, channels: int, classes: int, steps: int, hidden: int = 128, kernel: int = 7, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(channels if n == 0 else hidden, hidden, kernel, padding=kernel // 2),
                nn.BatchNorm1d(hidden),
                nn.ReLU(),
                nn.Dropout(dropout),
            )
            for n in range(3)
        )
        self.dense = nn.Sequential(
            nn.Linear(hidden * steps, 4 * hidden), nn.BatchNorm1d(4 * hidden), nn.ReLU(), nn.Dropout(dropout)
        )
        self.head = nn.Linear(4 * hidden, classes)

    def forward(self, series: Tensor) -> Tensor:
        """Log-probabilities `[B, K]` of `series` `[B, T, C]`."""
        x = series.transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return self.head(self.dense(x.flatten(1))).log_softmax(-1)


class PixelTempCNN(nn.Module):
    """A TempCNN on the series of each pixel by itself.

    Args:
        net: The TempCNN.
    """

    def __init__(self, net: TempCNN) -> None:
        super().__init__()
        self.net = net

    def forward(self, series: Tensor) -> Tensor:
        """Log-probabilities `[B, K, H, W]` of `series` `[B, T, C, H, W]`."""
        batch, _, _, height, width = series.shape
        pixels = series.permute(0, 3, 4, 1, 2).flatten(0, 2)
        return self.net(pixels).unflatten(0, (batch, height, width)).permute(0, 3, 1, 2)
