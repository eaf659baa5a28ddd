"""Strided convolution and pooling with TensorFlow's `SAME` padding.

Convention: an output has `ceil(size / stride)` pixels; the padding that this takes is split evenly, and an odd pixel
goes below and to the right. So a 3 x 3 window of stride 2 on an even size reads one pixel past the end and none before
the start, where `padding=1` of torch would do the opposite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after an axis of `size` pixels."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pad_same(image: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """`image` `[B, C, H, W]` with the padding that a square window of `kernel` pixels and `stride` takes."""
    rows, cols = (same_padding(size, kernel, stride) for size in image.shape[-2:])
    return functional.pad(image, (*cols, *rows), value=value)


class SameConv2d(nn.Conv2d):
    """A convolution with square kernel, with bias, padded as TensorFlow does."""

    def __init__(self, channels: int, filters: int, kernel: int, stride: int = 1) -> None:
        super().__init__(channels, filters, kernel, stride)

    def forward(self, image: Tensor) -> Tensor:
        """`[B, channels, H, W]` to `[B, filters, ceil(H / stride), ceil(W / stride)]`."""
        return super().forward(pad_same(image, self.kernel_size[0], self.stride[0]))


class SameMaxPool2d(nn.Module):
    """A maximum over square windows, padded as TensorFlow does; padding never wins."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, image: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C, ceil(H / stride), ceil(W / stride)]`."""
        padded = pad_same(image, self.kernel, self.stride, float("-inf"))
        return functional.max_pool2d(padded, self.kernel, self.stride)
