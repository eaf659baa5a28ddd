"""Normalisation: part of the weights' contract. There are no default statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from swath.errors import BandError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each band's physical values, in the order of the bands."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise BandError(
                "Normalisation needs a mean and a deviation a band", got=f"{len(self.mean)}, {len(self.std)}"
            )
        if not all(s > 0 for s in self.std):
            raise BandError("A band does not vary, so it cannot be normalised", got=f"deviations {self.std}")


class Normalise(nn.Module):
    """Physical values to `(x - mean) / std`, with invalid pixels at zero, the mean.

    Args:
        layers: Statistics of each image layer and series.
    """

    def __init__(self, layers: Mapping[str, Normalisation]) -> None:
        super().__init__()
        self.layers = dict(layers)
        for name, statistics in layers.items():
            self.register_buffer(f"mean_{name}", torch.tensor(statistics.mean)[:, None, None], persistent=False)
            self.register_buffer(f"std_{name}", torch.tensor(statistics.std)[:, None, None], persistent=False)

    def forward(self, image: Tensor | Mapping[str, Tensor], valid: Tensor) -> Tensor | dict[str, Tensor]:
        """Normalise `image` `[B, C, H, W]`, or each of several layers; `valid` is `[B, H, W]`."""
        if isinstance(image, torch.Tensor):
            return self._layer(next(iter(self.layers)), image, valid)
        return {name: self._layer(name, values, valid) for name, values in image.items()}

    def series(self, series: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
        """Normalise the `values` `[B, T, C, h, w]` of each series; `valid` and `dates` stay as they are."""
        return {name: {**one, "values": self._layer(name, one["values"], one["valid"])} for name, one in series.items()}

    def _layer(self, name: str, values: Tensor, valid: Tensor) -> Tensor:
        scaled = (values - getattr(self, f"mean_{name}")) / getattr(self, f"std_{name}")
        return torch.where(valid.unsqueeze(-3), scaled, scaled.new_zeros(()))
