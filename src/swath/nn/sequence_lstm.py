"""A recurrent classifier of series of numbers (Hochreiter and Schmidhuber 1997), as Sen4AgriNet arranges it."""

from __future__ import annotations

from torch import Tensor, nn


class SequenceLSTM(nn.Module):
    """Stacked LSTMs; what they say at the last step is classified.

    Args:
        channels: Numbers of a step.
        classes: Classes.
        hidden: Width of the LSTMs.
        layers: Number of LSTMs.
        dropout: Share of what goes from one to the next that is dropped.
        bidirectional: Whether each also reads backwards.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        hidden: int = 512,
        layers: int = 3,
        dropout: float = 0.2,
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, hidden, layers, batch_first=True, dropout=dropout, bidirectional=bidirectional)
        self.dense = nn.Linear(hidden * (2 if bidirectional else 1), 512)
        self.head = nn.Linear(512, classes)

    def forward(self, series: Tensor) -> Tensor:
        """Log-probabilities `[B, K]` of `series` `[B, T, C]`."""
        seen, _ = self.lstm(series)
        return self.head(self.dense(seen[:, -1]).relu()).log_softmax(-1)
