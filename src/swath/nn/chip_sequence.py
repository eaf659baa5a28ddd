"""Sequences of chips: each frame is told alike, and what is told of frames is put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from swath.errors import ConfigError
from swath.nn.chip_encoder import ChipTransformer, chip_encoder

#: How a frame, or frames seen side by side, are told: by the mean of responses, by the largest, or by a transformer.
Backbone = Literal["convolutions", "peaks", "transformer"]
#: Encoders by the name of the backbone.
_MAKERS: Mapping[str, Callable[[int, int], nn.Module]] = {
    "convolutions": chip_encoder,
    "peaks": partial(chip_encoder, peaks=True),
    "transformer": ChipTransformer,
}
#: How frames are put together without learning: the last alone; their mean; one beside another; the first and the
#: changes from each to the next; mean and variance.
Fixed = Literal["last", "mean", "concatenate", "difference", "mean_variance"]
#: Or seen side by side as bands of one image, or by a transformer over frames.
Aggregation = Literal["stacked", "last", "mean", "concatenate", "difference", "mean_variance", "transformer"]


def aggregate(features: Tensor, how: Fixed) -> Tensor:
    """Features of frames in order, `[B, frames, F]`, as `[B, features]`; one frame has no changes and no variance.

    Raises:
        ConfigError: If there is no such way.
    """
    if how not in get_args(Fixed):
        raise ConfigError("Frames cannot be put together so", got=how, expected=", ".join(get_args(Fixed)))
    if how == "last":
        return features[:, -1]
    if how == "mean":
        return features.mean(dim=1)
    if how == "concatenate":
        return features.flatten(1)
    if how == "difference":
        return torch.cat([features[:, 0], features.diff(dim=1).flatten(1)], dim=1)
    return torch.cat([features.mean(dim=1), features.var(dim=1, unbiased=False)], dim=1)


class SequenceEncoder(nn.Module):
    """An encoder of single frames, used for each, and what puts them together: `[B, frames, ...]` -> `[B, width]`.

    Args:
        frame: From `[B, 1, bands, height, width]` to `[B, width]`.
        frames: How many.
        width: Number of features.
        how: `transformer`, a layer over frames whose places are learned, read out by a token of its own; else as
            `aggregate`, and a linear layer.

    Raises:
        ConfigError: As `aggregate`.
    """

    def __init__(self, frame: nn.Module, frames: int, width: int, how: Fixed | Literal["transformer"]) -> None:
        super().__init__()
        self.frame, self.how = frame, how
        if how == "transformer":
            heads = next(n for n in (4, 2, 1) if width % n == 0)
            layer = nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            self.places = nn.Parameter(0.02 * torch.randn(1, frames + 1, width))
            self.mixer: nn.Module = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        else:
            count = aggregate(torch.zeros(1, frames, width), how).shape[1]
            self.mixer = nn.Linear(count, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, images: Tensor) -> Tensor:
        """Features of sequences."""
        told = self.frame(images.flatten(0, 1)[:, None]).unflatten(0, images.shape[:2])
        if self.how == "transformer":
            token = told.new_zeros(len(told), 1, told.shape[2])
            return self.norm(self.mixer(torch.cat([token, told], dim=1) + self.places)[:, 0])
        return self.norm(self.mixer(aggregate(told, self.how)))


def sequence_encoder(frames: int, bands: int, width: int, backbone: Backbone, how: Aggregation) -> nn.Module:
    """A small encoder of image sequences: `[B, frames, bands, height, width]` -> `[B, width]`.

    Args:
        frames: How many; of one there is nothing to put together.
        bands: Of each.
        width: Features.
        backbone: Of frames.
        how: Frames are put together.

    Raises:
        ConfigError: If there is no such backbone or way.
    """
    if backbone not in get_args(Backbone) or how not in get_args(Aggregation):
        raise ConfigError(
            "There is no such encoder of sequences",
            got=f"{backbone}, {how}",
            expected=f"{', '.join(get_args(Backbone))}; {', '.join(get_args(Aggregation))}",
        )
    make = _MAKERS[backbone]
    if how == "stacked" or frames == 1:
        return make(frames * bands, width)
    return SequenceEncoder(make(bands, width), frames, width, how)
