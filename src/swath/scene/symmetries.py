"""A model seen through the eight symmetries of the square: the mean of what it says of each, turned back."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from swath.scene.stream import Model


def through_symmetries(model: Model) -> Model:
    """A model whose scores are the mean over all turns and mirror images of its batch; series turn with the images."""

    def mean(batch: Mapping[str, Any]) -> Tensor:
        views = list(product(range(4), (False, True)))
        found = [_back(model(_moved(batch, turns, mirrored)), turns, mirrored) for turns, mirrored in views]
        return torch.stack(found).mean(0)

    return mean


def _moved(value: Any, turns: int, mirrored: bool) -> Any:
    """All images and maps of a batch, turned by quarters and then mirrored; dates and places stay."""
    if isinstance(value, Mapping):
        still = {"dates", "scene", "window"}
        return {key: item if key in still else _moved(item, turns, mirrored) for key, item in value.items()}
    turned = torch.rot90(value, turns, (-2, -1))
    return turned.flip(-1) if mirrored else turned


def _back(scores: Tensor, turns: int, mirrored: bool) -> Tensor:
    flipped = scores.flip(-1) if mirrored else scores
    return torch.rot90(flipped, -turns, (-2, -1))
