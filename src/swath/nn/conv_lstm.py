"""ConvLSTM: an encoder and a decoder of convolutional LSTM cells over a series of images.

Sources: Shi et al., "Convolutional LSTM Network" (arXiv 1506.04214), as Sen4AgriNet (JSTARS 2022) arranges it for maps
of crops: three levels of which each halves the size, and a decoder that begins with the encoder's states.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Channels of a group of the normalisation of gates.
_GROUP = 32

#: Hidden state and memory, `[B, C, H, W]` each.
State = tuple[Tensor, Tensor]


class ConvLSTMCell(nn.Module):
    """One cell: the gates are a convolution of input and hidden state, normalised in groups of 32 channels.

    Args:
        in_channels: Channels of the input.
        hidden: Channels of the state.
        kernel: Edge of the convolution, odd.
    """

    def __init__(self, in_channels: int, hidden: int, kernel: int = 5) -> None:
        super().__init__()
        self.in_channels, self.hidden = in_channels, hidden
        self.conv = nn.Sequential(
            nn.Conv2d(in_channels + hidden, 4 * hidden, kernel, padding=kernel // 2),
            nn.GroupNorm(4 * hidden // _GROUP, 4 * hidden),
        )

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Hidden states `[T, B, hidden, H, W]` of `inputs` `[T, B, C, H, W]`, and the last state."""
        if state is None:
            zeros = inputs.new_zeros(inputs.shape[1], self.hidden, *inputs.shape[3:])
            state = (zeros, zeros)
        hidden, memory = state
        seen = []
        for step in inputs:
            enter, keep, new, leave = self.conv(torch.cat([step, hidden], 1)).chunk(4, 1)
            memory = keep.sigmoid() * memory + enter.sigmoid() * new.tanh()
            hidden = leave.sigmoid() * memory.tanh()
            seen.append(hidden)
        return torch.stack(seen), (hidden, memory)


class ConvLSTM(nn.Module):
    """Encoder and decoder; the last step of the decoder is the map.

    In the release every cell of the decoder is fed zeros: what its lower levels compute is thrown away, and with it all
    that the encoder learned below full size. `joined` feeds each cell what the level below gives, enlarged twofold.

    Args:
        channels: Bands of an image.
        classes: Classes.
        joined: Whether levels of the decoder are joined; False is as released.
    """

    def __init__(self, channels: int, classes: int, joined: bool = True) -> None:
        super().__init__()
        self.joined = joined
        self.encoder = nn.ModuleList(
            [
                _Down(nn.Conv2d(channels, 16, 3, padding=1), ConvLSTMCell(16, 64)),
                _Down(nn.Conv2d(64, 64, 3, stride=2, padding=1), ConvLSTMCell(64, 96)),
                _Down(nn.Conv2d(96, 96, 3, stride=2, padding=1), ConvLSTMCell(96, 96)),
            ]
        )
        self.decoder = nn.ModuleList(
            [
                # padding 1 doubles the size exactly; the release has 3, on results that it discards
                _Up(ConvLSTMCell(96, 96), nn.ConvTranspose2d(96, 96, 4, stride=2, padding=1)),
                _Up(ConvLSTMCell(96, 96), nn.ConvTranspose2d(96, 96, 4, stride=2, padding=1)),
                _Up(ConvLSTMCell(96, 64), nn.ConvTranspose2d(64, 16, 3, padding=1)),
            ]
        )
        self.head = nn.ConvTranspose2d(16, classes, 1)

    def forward(self, series: Tensor) -> Tensor:
        """Log-probabilities `[B, K, H, W]` of `series` `[B, T, C, H, W]`, of any size."""
        # without joints, the levels below full size reach nothing and need not be computed
        levels = len(self.encoder) if self.joined else 1
        x, states = series.transpose(0, 1), []
        for down in self.encoder[:levels]:
            x, state = down(x)
            states.append(state)
        hidden, _ = states[-1]
        x = hidden.new_zeros(len(x), len(hidden), 96, *hidden.shape[2:])
        for up, state in zip(self.decoder[-levels:], reversed(states), strict=True):
            x = up(x, state)
        return self.head(x[-1]).log_softmax(1)


class _Down(nn.Module):
    """A convolution and a cell."""

    def __init__(self, conv: nn.Conv2d, cell: ConvLSTMCell) -> None:
        super().__init__()
        self.conv, self.cell = conv, cell

    def forward(self, series: Tensor) -> tuple[Tensor, State]:
        return self.cell(_each(self.conv, series))


class _Up(nn.Module):
    """A cell that begins with a state of the encoder, and a transposed convolution."""

    def __init__(self, cell: ConvLSTMCell, conv: nn.ConvTranspose2d) -> None:
        super().__init__()
        self.cell, self.conv = cell, conv

    def forward(self, series: Tensor, state: State) -> Tensor:
        height, width = state[0].shape[2:]
        seen, _ = self.cell(series[..., :height, :width], state)
        return _each(self.conv, seen)


def _each(layer: nn.Module, series: Tensor) -> Tensor:
    """A convolution and its activation on each image of `[T, B, C, H, W]`."""
    return functional.leaky_relu(layer(series.flatten(0, 1)), 0.2).unflatten(0, series.shape[:2])
