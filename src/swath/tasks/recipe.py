"""Recipes: how a network is trained, as data. A system states its published one, and a user changes what he likes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from swath.errors import ConfigError


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        loss: Name of a loss or a sum of them, for example `ce` or `ce+dice` (see `swath.losses`).
        optimizer: Update rule.
        learning_rate: Peak learning rate.
        weight_decay: Decoupled for `adamw`, L2 otherwise.
        momentum: Of `sgd`.
        schedule: Learning rate over the run: `cosine` to zero, `poly` (power 0.9), `step` (divided by 10 at 60 % and
            90 %) or `constant`.
        epochs: Passes of `samples` patches.
        batch: Patches in a batch.
        patch: Edge of a training patch in pixels.
        samples: Patches in an epoch; None takes as many as would cover the training part once.
        sampling: Where patches are drawn: evenly by `area`, around `labels`, around labels of each of the `classes`
            equally often, or `auto`: around labels where they are sparse, by area where they are dense.
        augment: Names of augmentations (see `swath.data.augment`), in order.
        class_weights: Weight of a class in the loss: none, or `inverse` to its frequency in the training part.
        clip: Largest norm of the gradient; None for no clipping.
        patience: Epochs without a better validation score after which training stops; None trains to the end.
    """

    loss: str = "ce"
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    momentum: float = 0.9
    schedule: Literal["cosine", "poly", "step", "constant"] = "cosine"
    epochs: int = 20
    batch: int = 16
    patch: int = 256
    samples: int | None = None
    sampling: Literal["auto", "area", "labels", "classes"] = "auto"
    augment: tuple[str, ...] = ("d4",)
    class_weights: Literal["none", "inverse"] = "none"
    clip: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "patch", "samples", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"`{name}` of the recipe is too small", got=value, expected="at least 1")
        if self.learning_rate <= 0:
            raise ConfigError("The learning rate is not positive", got=self.learning_rate)
