"""Maps of crops from a year of images: segmentation of monthly composites, learned inside parcels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from swath.data.classes import IGNORE, Classes
from swath.data.monthly_series import monthly
from swath.data.readers.sen4agrinet import open_patch
from swath.data.scenes import Collection, Labels, Scene
from swath.data.series import SeriesInput
from swath.tasks.baselines import pixel_classifiers
from swath.tasks.normalise import Normalisation
from swath.tasks.peak_rule import PeakRule
from swath.tasks.recipe import Recipe
from swath.tasks.segment import Segmentation, class_counts

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox
    from sklearn.base import ClassifierMixin
    from torch import Tensor, nn

    from swath.sensors.bands import Bands

#: What the series is called.
SERIES = "series"


class CropMapping(Segmentation):
    """Segmentation of monthly composites.

    Args:
        net: Normalised series `[B, T, C, H, W]` to logits `[B, K, H, W]`.
        bands: Bands of the images.
        classes: Legend, in the order of the logits.
        months: First and last month of the composites, which are the steps of the series.
        recipe: How it is trained.
        other: Name of a class that lies in parcels but is neither learned nor scored; None where there is none.
        normalisation: Statistics that belong to the weights; None takes them from the training part.
    """

    kind: ClassVar[str] = "crop mapping"

    def __init__(
        self,
        net: nn.Module,
        *,
        bands: Bands,
        classes: Classes,
        months: tuple[int, int],
        recipe: Recipe,
        other: str | None = None,
        normalisation: Normalisation | None = None,
    ) -> None:
        super().__init__(
            net,
            bands={},
            classes=classes,
            recipe=recipe,
            normalisation=None if normalisation is None else {SERIES: normalisation},
            series={SERIES: SeriesInput(bands)},
            classifiers=partial(_crop_classifiers, bands, months[1] - months[0] + 1),
        )
        self.months = months
        self._other = classes.names.index(other) if other in classes.names else None
        self._learned = np.array([place for place in range(len(classes)) if place != self._other])

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        """Logits `[B, K, H, W]` of a batch of physical values."""
        _, series = self.inputs(batch)
        return self.net(series[SERIES]["values"])

    def seen_scene(self, scene: Scene) -> Scene:
        """See `NeuralTask.seen_scene`; the series becomes one of monthly composites."""
        return monthly(super().seen_scene(scene), SERIES, *self.months)

    def loss_weights(self, data: Collection) -> Tensor:
        """See `Segmentation.loss_weights`; K counts the classes that are learned, and the other has weight 0."""
        counts = class_counts(data, "train", self.classes, self.recipe.patch)[self._learned]
        weights = np.zeros(len(self.classes))
        inverse = self.recipe.class_weights == "inverse"
        weights[self._learned] = counts.sum() / (len(counts) * np.maximum(counts, 1)) if inverse else 1.0
        return torch.tensor(weights, dtype=torch.float32)

    def validation_step(self, batch: dict[str, Any], index: int) -> None:
        """Count one batch; the class that is not learned does not count."""
        if self._other is not None:
            batch = {**batch, "mask": batch["mask"].masked_fill(batch["mask"] == self._other, IGNORE)}
        super().validation_step(batch, index)

    def judged(self, data: Collection) -> Collection:
        """See `Segmentation.judged`; pixels of the class that is not learned do not count: to predict it is a miss."""
        if self._other is not None:
            scenes = [s if s.labels is None else replace(s, labels=_Learned(s.labels, self._other)) for s in data]
            data = replace(data, scenes=tuple(scenes))
        return super().judged(data)

    def open_source(self, words: Sequence[str], crs: str | None = None) -> Scene:
        """See `Task.open_source`; a `.nc` is a patch of Sen4AgriNet."""
        if len(words) == 1 and Path(words[0]).suffix == ".nc":
            return open_patch(words[0], self.series[SERIES].bands)
        return super().open_source(words, crs)


def _crop_classifiers(
    bands: Bands, steps: int, features: np.ndarray, classes: np.ndarray, seed: int
) -> dict[str, ClassifierMixin]:
    """As `pixel_classifiers`, with one that tells the crop by the month in which NDVI is highest."""
    rule = PeakRule(steps, bands).fit(features, classes)
    return {**pixel_classifiers(features, classes, seed), "peak rule": rule}


class _Learned:
    """Labels without those of a class, a `swath.data.scenes.Labels`."""

    def __init__(self, labels: Labels, without: int) -> None:
        self.name, self._labels, self._without = labels.name, labels, without

    def read(self, grid: GeoBox) -> np.ndarray:
        found = self._labels.read(grid)
        return np.where(found == self._without, np.int16(IGNORE), found)
