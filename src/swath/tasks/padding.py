"""Inputs whose height and width suit a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from swath.data.series import SeriesInput


def padded(batch: Mapping[str, Any], stride: int, series: Mapping[str, SeriesInput]) -> Mapping[str, Any]:
    """The batch with invalid pixels below and to the right, up to whole multiples of `stride`.

    Series with a view of their own stay as they are.
    """
    height, width = batch["valid"].shape[-2:]
    down, right = -height % stride, -width % stride
    if not (down or right):
        return batch

    def grow(values: Tensor) -> Tensor:
        return functional.pad(values, (0, right, 0, down))

    image = batch["image"]
    layers = grow(image) if isinstance(image, torch.Tensor) else {name: grow(v) for name, v in image.items()}
    grown = {**batch, "image": layers, "valid": grow(batch["valid"])}
    if series:
        grown["series"] = {
            name: one if series[name].view else {**one, "values": grow(one["values"]), "valid": grow(one["valid"])}
            for name, one in batch["series"].items()
        }
    return grown
