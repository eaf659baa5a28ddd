"""ConvSTAR: stacked convolutional STAR cells over a series of images.

Source: Turkoglu et al., "Crop mapping from image time series: deep learning with multi-scale label hierarchies"
(arXiv 2102.08820), after "Gating Revisited" (arXiv 1911.11033), as Sen4AgriNet (JSTARS 2022) takes it: the last state
of the last cell is the map.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvSTARCell(nn.Module):
    """One cell: `h' = g h + (1 - g) u` with gate `g` of input and state, and update `u` of the input alone.

    Args:
        in_channels: Channels of the input.
        hidden: Channels of the state.
        kernel: Edge of the convolutions, odd.
    """

    def __init__(self, in_channels: int, hidden: int, kernel: int = 3) -> None:
        super().__init__()
        self.gate = nn.Conv2d(in_channels + hidden, hidden, kernel, padding=kernel // 2)
        self.update = nn.Conv2d(in_channels, hidden, kernel, padding=kernel // 2)
        nn.init.orthogonal_(self.update.weight)
        nn.init.orthogonal_(self.gate.weight)
        nn.init.zeros_(self.update.bias)  # type: ignore[arg-type]
        nn.init.ones_(self.gate.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        """The next state `[B, hidden, H, W]` after the input `[B, C, H, W]`."""
        gate = self.gate(torch.cat([x, state], 1)).sigmoid()
        return gate * state + (1 - gate) * self.update(x).tanh()


class ConvSTAR(nn.Module):
    """Cells one above the other, and a 1x1 convolution on the last state.

    Args:
        channels: Bands of an image.
        classes: Classes.
        hidden: Channels of the states.
        layers: Number of cells.
    """

    def __init__(self, channels: int, classes: int, hidden: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.hidden = hidden
        self.cells = nn.ModuleList(ConvSTARCell(channels if n == 0 else hidden, hidden) for n in range(layers))
        self.head = nn.Conv2d(hidden, classes, 1)

    def forward(self, series: Tensor) -> Tensor:
        """Log-probabilities `[B, K, H, W]` of `series` `[B, T, C, H, W]`."""
        batch, _, _, height, width = series.shape
        states = [series.new_zeros(batch, self.hidden, height, width) for _ in self.cells]
        for x in series.unbind(1):
            for number, cell in enumerate(self.cells):
                x = states[number] = cell(x, states[number])
        return self.head(states[-1]).log_softmax(1)
