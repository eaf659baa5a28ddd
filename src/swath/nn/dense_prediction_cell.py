"""The Dense Prediction Cell: a context module whose wiring was found by search.

Source: Chen et al., "Searching for Efficient Multi-Scale Architectures for Dense Image Prediction" (NeurIPS 2018,
arXiv 1809.04184), the best cell on Cityscapes; its wiring as the authors released it with DeepLab.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from swath.errors import ConfigError
from swath.nn.deeplab import conv_block, separable_block


class Branch(NamedTuple):
    """One atrous branch: its `(vertical, horizontal)` rates and the branch that it works on (None: the features)."""

    rates: tuple[int, int]
    source: int | None


#: The cell that the search found best on Cityscapes, for features of output stride 16.
CITYSCAPES_CELL = (
    Branch((1, 6), None),
    Branch((18, 15), 0),
    Branch((6, 3), 1),
    Branch((1, 1), 0),
    Branch((6, 21), 0),
)


class DensePredictionCell(nn.Module):
    """Separable atrous 3x3 branches, wired to each other; their outputs are joined, dropped out and projected by 1x1.

    Args:
        in_channels: Channels of the encoder's last features.
        out_channels: Channels of each branch and of the result.
        cell: The branches in order; a branch may only work on an earlier one.
        multiplier: Factor on all rates: 2 for features of output stride 8.
        dropout: Share of the joined outputs that training drops.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        cell: Sequence[Branch] = CITYSCAPES_CELL,
        multiplier: int = 1,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.sources = [branch.source for branch in cell]
        if late := [i for i, source in enumerate(self.sources) if source is not None and not 0 <= source < i]:
            raise ConfigError("A branch of the cell works on a later one", got=late, expected="an earlier branch")
        self.branches = nn.ModuleList(
            separable_block(
                in_channels if branch.source is None else out_channels,
                out_channels,
                (branch.rates[0] * multiplier, branch.rates[1] * multiplier),
            )
            for branch in cell
        )
        self.dropout = nn.Dropout(dropout)
        self.project = conv_block(len(cell) * out_channels, out_channels)
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> Tensor:
        """`[B, in_channels, h, w]` -> `[B, out_channels, h, w]`."""
        outputs: list[Tensor] = []
        for source, branch in zip(self.sources, self.branches, strict=True):
            outputs.append(branch(x if source is None else outputs[source]))
        result: Tensor = self.project(self.dropout(torch.cat(outputs, 1)))
        return result
