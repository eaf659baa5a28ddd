"""Semantic segmentation by networks whose queries answer: each a class and a mask (`swath.nn.mask2former`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch.nn import functional

from swath.data.classes import IGNORE
from swath.errors import ConfigError
from swath.losses.set_prediction import SetLoss, semantic_targets
from swath.tasks.padding import padded
from swath.tasks.segment import Segmentation

if TYPE_CHECKING:
    from torch import Tensor

    from swath.data.scenes import Collection

#: What recipes call the loss of queries.
LOSS = "queries"


class QuerySegmentation(Segmentation):
    """Segmentation by a network that gives `Queries` while it trains and scores `[B, K, H, W]` after.

    Scores are not negative and need not sum to one. See `Segmentation` for the rest.

    Attributes:
        points: Points at which the loss compares masks; set it before training.
    """

    undecayed = ("norm", "queries_embedder", "transformer.level_embed")
    points: int = 12544

    def probabilities(self, batch: Mapping[str, Any]) -> Tensor:
        """Scores of each class as shares of their sum, `[B, K, H, W]`."""
        scores = self(batch).float()
        return scores / scores.sum(1, keepdim=True).clamp(min=1e-12)

    def prepare(self, data: Collection) -> None:
        """Check legend and recipe; see `NeuralTask.prepare`.

        Raises:
            ConfigError: If the recipe asks for another loss, or weighs classes.
        """
        if self.recipe.loss != LOSS or self.recipe.class_weights != "none":
            raise ConfigError(
                "Queries learn by a loss of their own, which weighs no classes",
                got=f"loss {self.recipe.loss}, class_weights {self.recipe.class_weights}",
                expected=f"loss {LOSS}, class_weights none",
            )
        data.require_classes(self.classes)
        self.loss = SetLoss(len(self.classes), self.points)

    def training_step(self, batch: dict[str, Any], _: int) -> Tensor:
        """Loss of one batch."""
        mask = batch["mask"]
        height, width = mask.shape[-2:]
        down, right = -height % self.stride, -width % self.stride
        queries = self.net(*self.inputs(padded(batch, self.stride, self.series)))
        mask = functional.pad(mask, (0, right, 0, down), value=IGNORE)
        loss = self.loss(queries, semantic_targets(mask), mask != IGNORE)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(mask), sync_dist=True)
        return loss
