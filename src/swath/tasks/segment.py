"""Semantic segmentation: a class for every pixel, learned from dense or sparse labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from swath import losses
from swath.data.classes import IGNORE, Classes
from swath.data.selection import select_bands, select_layers
from swath.errors import DataError
from swath.metrics.bootstrap import bootstrap
from swath.metrics.confusion import Confusion, summary
from swath.sensors.bands import Bands
from swath.tasks.baselines import pixel_classifiers
from swath.tasks.feed import cover
from swath.tasks.neural import NeuralTask
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.scores import Score, Scores

if TYPE_CHECKING:
    from torch import Tensor, nn

    from swath.data.loader import Batches
    from swath.data.scenes import Collection, Scene
    from swath.data.sources import Source

#: Labelled pixels from which the baselines learn, at most.
_BASELINE_PIXELS = 50_000


class Segmentation(NeuralTask):
    """Semantic segmentation.

    Args:
        net: Normalised image `[B, C, H, W]` to logits `[B, K, H, W]` of the same height and width.
        bands: Bands of the image, or of each layer.
        classes: Legend, in the order of the logits.
        recipe: How it is trained.
        normalisation: Statistics that belong to the weights; None takes them from the training part.
        stride: Height and width that the network takes must be multiples of this; smaller inputs are padded.
    """

    kind: ClassVar[str] = "segmentation"
    monitor = "val_miou"

    def __init__(
        self,
        net: nn.Module,
        *,
        bands: Bands | Mapping[str, Bands],
        classes: Classes,
        recipe: Recipe,
        normalisation: Mapping[str, Normalisation] | None = None,
        stride: int = 1,
    ) -> None:
        super().__init__(net, bands=bands, recipe=recipe, normalisation=normalisation)
        self.classes = classes
        self.stride = stride
        self.loss: nn.Module | None = None
        self._validation = Confusion(len(classes))
'''
