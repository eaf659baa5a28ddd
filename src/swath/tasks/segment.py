"""Semantic segmentation: a class for every pixel, learned from dense or sparse labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch.nn import functional

from swath.losses import Loss
from swath.data.classes import IGNORE, Classes
from swath.data.loader import Batches
from swath.data.selection import select_bands
from swath.errors import DataError
from swath.geo.grids import window_grid
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

    from swath.data.scenes import Collection

#: Labelled pixels from which the baselines learn, at most.
_BASELINE_PIXELS = 50_000
#: Of these, at most so many from one patch.
_PATCH_PIXELS = 2_000
#: Scenes below which the bootstrap draws tiles instead.
_SCENES_TO_DRAW = 8


class Segmentation(NeuralTask):
    """Semantic segmentation.

    Args:
        net: Normalised image `[B, C, H, W]` to logits `[B, K, H, W]` of the same height and width.
        bands: Bands of the image, or of each layer.
        classes: Legend, in the order of the logits.
        recipe: How it is trained.
        normalisation: Statistics that belong to the weights; None takes them from the training part.
        stride: Height and width that the network takes are multiples of this; other inputs are padded.
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
        self._confusion = Confusion(len(classes))

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        """Logits `[B, K, H, W]` of a batch of physical values."""
        height, width = batch["valid"].shape[-2:]
        down, right = -height % self.stride, -width % self.stride
        if down or right:
            batch = _pad(batch, down, right)
        return super().forward(batch)[..., :height, :width]

    def probabilities(self, batch: Mapping[str, Any]) -> Tensor:
        """Class probabilities `[B, K, H, W]` of a batch of physical values."""
        return self(batch).float().softmax(1)

    def prepare(self, data: Collection) -> None:
        """Check the legend and weigh the classes; see `NeuralTask.prepare`."""
        self._require_classes(data)
        weights = None
        if self.recipe.class_weights == "inverse":
            counts = _class_counts(data, "train", self.classes, self.recipe.patch)
            weights = torch.tensor(counts.sum() / (len(counts) * np.maximum(counts, 1)), dtype=torch.float32)
        self.loss = Loss(self.recipe.loss, weights)

    def training_step(self, batch: dict[str, Any], _: int) -> Tensor:
        """Loss of one batch."""
        loss = self.loss(self(batch), batch["mask"])
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["mask"]), sync_dist=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Count anew."""
        self._confusion = Confusion(len(self.classes))

    def validation_step(self, batch: dict[str, Any], _: int) -> None:
        """Count one batch."""
        predicted = self(batch).argmax(1)
        self._confusion.update(predicted.cpu().numpy(), batch["mask"].cpu().numpy())

    def on_validation_epoch_end(self) -> None:
        """Log accuracy, mean IoU, F1 and kappa over the whole validation part."""
        matrix = self.all_gather(torch.from_numpy(self._confusion.matrix).to(self.device))
        matrix = matrix.reshape(-1, len(self.classes), len(self.classes)).sum(0).cpu().numpy()
        for name, value in summary(matrix).items():
            self.log(f"val_{name}", 0.0 if np.isnan(value) else value, rank_zero_only=False)

    @torch.inference_mode()
    def score(
        self,
        data: Collection,
        part: str = "test",
        *,
        seed: int = 0,
        level: float = 0.95,
        resamples: int = 1000,
        threads: int = 2,
        **_: Any,
    ) -> Scores:
        """Score on a part of labelled data, beside pixel classifiers that learned from the training part.

        Args:
            data: Labelled scenes, split.
            part: The part to score.
            seed: Of the bootstrap and of the random forest.
            level: Of the intervals.
            resamples: Draws of the bootstrap, over scenes, or over tiles where there are few scenes.
            threads: Threads that read patches.

        Raises:
            DataError: If the part has no labelled pixel, or the legends differ.
        """
        data = select_bands(data, self.bands)
        self._require_classes(data)
        self.eval()
        rivals = pixel_classifiers(*_labelled_pixels(data, "train", self.recipe.patch, threads, seed), seed)
        counts = {name: Confusion(len(self.classes)) for name in ("system", *rivals)}
        by_scene = len({scene.id for scene in data if scene.part == part}) >= _SCENES_TO_DRAW
        for batch, truth, core in _covered(data, part, self.recipe.patch, self.recipe.batch, threads, seed):
            predicted = self(batch).argmax(1).numpy()[:, *core]
            features = _features(batch, core)
            for i, mask in enumerate(truth):
                labelled = mask != IGNORE
                if not labelled.any():
                    continue
                unit = (
                    int(batch["scene"][i]) if by_scene else (int(batch["scene"][i]), *batch["window"][i, :2].tolist())
                )
                counts["system"].update(predicted[i][labelled], mask[labelled], unit=unit)
                for name, rival in rivals.items():
                    counts[name].update(rival.predict(features[i][labelled]), mask[labelled], unit=unit)
        matrix, drawn = counts["system"].matrix, "scenes" if by_scene else "tiles"
        if not matrix.sum():
            raise DataError(f"The '{part}' part of {data.name} has no labelled pixel")

        def scored(confusion: Confusion) -> dict[str, Score]:
            intervals = confusion.intervals(summary, level=level, resamples=resamples, seed=seed)
            return {name: Score(value, *intervals[name]) for name, value in summary(confusion.matrix).items()}

        return Scores(
            part,
            scored(counts["system"]),
            {name: scored(counts[name]) for name in rivals},
            {"confusion": matrix.tolist(), "classes": list(self.classes.names)},
            {
                "pixels": int(matrix.sum()),
                "intervals": f"{level:.0%}, bootstrap over {len(counts['system'].units)} {drawn}",
            },
        )

    def _require_classes(self, data: Collection) -> None:
        if data.classes is None:
            raise DataError(f"{data.name} has no labels", fix="Give `labels:` and `classes:`")
        if data.classes.names != self.classes.names:
            raise DataError(
                f"{data.name} has other classes than the task",
                got=", ".join(data.classes.names),
                expected=", ".join(self.classes.names),
            )


def _pad(batch: Mapping[str, Any], down: int, right: int) -> dict[str, Any]:
    """The batch with invalid pixels added below and to the right."""

    def grow(values: Tensor) -> Tensor:
        return functional.pad(values, (0, right, 0, down))

    image = batch["image"]
    layers = grow(image) if isinstance(image, torch.Tensor) else {name: grow(v) for name, v in image.items()}
    return {**batch, "image": layers, "valid": grow(batch["valid"])}


def _features(batch: Mapping[str, Any], core: tuple[slice, slice]) -> np.ndarray:
    """Physical values `[B, height, width, bands]` of all layers in the core of each patch."""
    image = batch["image"]
    layers = [image] if isinstance(image, torch.Tensor) else list(image.values())
    return torch.cat(layers, 1).numpy()[:, :, *core].transpose(0, 2, 3, 1)


def _covered(
    data: Collection, part: str, patch: int, batch: int, threads: int, seed: int, shuffled: bool = False
) -> Iterator[tuple[dict[str, Any], np.ndarray, tuple[slice, slice]]]:
    """Batches over a part with the truth of each patch's core, `[B, height, width]`, where any is labelled."""
    places, margin = cover(data, part, patch)
    if not len(places):
        return
    if shuffled:
        places = places.take(np.random.default_rng(seed).permutation(len(places)))
    core = (slice(margin, patch - margin),) * 2
    for found in Batches(data, places, part=part, patch=patch, batch=batch, threads=threads, seed=seed):
        truth = found["mask"].numpy()[:, *core]
        if (truth != IGNORE).any():
            yield found, truth, core


def _labelled_pixels(data: Collection, part: str, patch: int, threads: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Physical values `[N, bands]` and classes `[N]` of labelled pixels from patches in random order.

    At most `_PATCH_PIXELS` of a patch and `_BASELINE_PIXELS` in all, so that a large part need not be read whole.
    """
    generator = np.random.default_rng(seed)
    features: list[np.ndarray] = []
    classes: list[np.ndarray] = []
    for batch, truth, core in _covered(data, part, patch, 4, threads, seed, shuffled=True):
        for values, mask in zip(_features(batch, core), truth, strict=True):
            rows, cols = np.nonzero(mask != IGNORE)
            drawn = generator.permutation(len(rows))[:_PATCH_PIXELS]
            features.append(values[rows[drawn], cols[drawn]])
            classes.append(mask[rows[drawn], cols[drawn]])
        if sum(map(len, classes)) >= _BASELINE_PIXELS:
            break
    if not classes:
        raise DataError(f"The '{part}' part of {data.name} has no labelled pixel for the baselines to learn from")
    return np.concatenate(features), np.concatenate(classes)


def _class_counts(data: Collection, part: str, classes: Classes, patch: int) -> np.ndarray:
    """Labelled pixels of each class in a part, `[K]`."""
    counts = np.zeros(len(classes), np.int64)
    places, _ = cover(data, part, patch)
    for place in places:
        scene = data[place.scene]
        if scene.labels is not None:
            mask = scene.labels.read(window_grid(scene.grid, place.window))
            chosen = mask[(mask != IGNORE) & scene.part_mask(place.window, part)]
            counts += np.bincount(chosen, minlength=len(classes))
    return counts
