"""A transformer encoder over series of numbers (Vaswani et al. 2017), as Sen4AgriNet arranges it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from swath.errors import ConfigError


class SequenceTransformer(nn.Module):
    """The class is told from the mean over the encoded steps.

    Args:
        channels: Numbers of a step.
        classes: Classes.
        width: Numbers of a token; None takes those of the step as they are, as released.
        heads: Heads of the attention; the width is a multiple of them.
        layers: Layers of the encoder.
        feedforward: Width of the dense layers within.
        dropout: Share of the features that are dropped.
        longest: Steps of the longest series.

    Raises:
        ConfigError: If the width is odd or no multiple of the heads.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int | None = None,
        heads: int = 2,
        layers: int = 3,
        feedforward: int = 1024,
        dropout: float = 0.1,
        longest: int = 30,
    ) -> None:
        super().__init__()
        self.embed = nn.Identity() if width is None else nn.Linear(channels, width)
        width = channels if width is None else width
        if width % 2 or width % heads:
            raise ConfigError(
                "A token of the transformer has an unusable width",
                got=width,
                expected=f"an even multiple of {heads} heads",
                fix="Give `width`",
            )
        layer = nn.TransformerEncoderLayer(width, heads, feedforward, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.positions = _Positions(longest, width, dropout)
        self.head = nn.Linear(width, classes)

    def forward(self, series: Tensor) -> Tensor:
        """Logits `[B, K]` of `series` `[B, T, C]`."""
        tokens = self.positions(self.embed(series))
        return self.head(self.encoder(tokens).mean(1).relu())


class _Positions(nn.Module):
    """Tokens, scaled, plus sines and cosines of their positions (section 3.5 of the paper)."""

    table: Tensor

    def __init__(self, steps: int, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
        angle = torch.arange(steps)[:, None] * rate
        self.register_buffer("table", torch.stack([angle.sin(), angle.cos()], -1).flatten(1)[None])

    def forward(self, tokens: Tensor) -> Tensor:
        return self.dropout(tokens * math.sqrt(tokens.shape[-1]) + self.table[:, : tokens.shape[1]])
