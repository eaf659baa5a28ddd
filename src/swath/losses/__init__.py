"""Losses by name. `ce+dice` is a sum; the pure functions stand in `swath.losses.functional`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from swath.errors import UnknownNameError
from swath.losses.functional import (
    cross_entropy,
    focal,
    foreground_jaccard,
    half_cross_entropy_and_dice,
    lovasz,
    parcel_cross_entropy,
    tversky,
)

if TYPE_CHECKING:
    from torch import Tensor

_LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "ce": cross_entropy,
    "smooth_ce": partial(cross_entropy, smoothing=0.1),
    "parcel": parcel_cross_entropy,
    "focal": focal,
    "normalised_focal": partial(focal, normalised=True),
    "dice": partial(tversky, alpha=0.5, beta=0.5),
    "jaccard": partial(tversky, alpha=1.0, beta=1.0),
    "foreground_jaccard": foreground_jaccard,
    "tversky": partial(tversky, alpha=0.3, beta=0.7),
    "focal_tversky": partial(tversky, alpha=0.3, beta=0.7, gamma=0.75),
    "lovasz": lovasz,
    "unetpp": half_cross_entropy_and_dice,
}
#: Losses that weigh classes; the others average over classes already.
_WEIGHING = {"ce", "smooth_ce", "parcel", "focal", "normalised_focal"}


class Loss(nn.Module):
    """A sum of named losses.

    Args:
        name: Names joined by `+`.
        weights: Weight of each class, `[K]`, for the losses that weigh classes.

    Raises:
        UnknownNameError: If there is no such loss.
    """

    def __init__(self, name: str, weights: Tensor | None = None) -> None:
        super().__init__()
        self.names = [part.strip() for part in name.split("+")]
        if strange := [part for part in self.names if part not in _LOSSES]:
            raise UnknownNameError(f"There is no loss '{strange[0]}'", expected=f"a sum of {', '.join(_LOSSES)}")
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of logits `[B, K, H, W]` against targets `[B, H, W]` with -1 where no label counts."""
        parts = [
            _LOSSES[name](logits, target, weights=self.weights) if name in _WEIGHING else _LOSSES[name](logits, target)
            for name in self.names
        ]
        return sum(parts[1:], parts[0])
