"""Image classification: one class for an image as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import geopandas as gpd
import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from swath.data.classes import IGNORE, Classes
from swath.data.loader import Batches
from swath.data.matching import match_files
from swath.data.samplers import Places
from swath.data.scene_words import open_scene
from swath.data.scenes import Collection
from swath.data.selection import as_scene, select_layers
from swath.data.whole_images import small_scene, whole_images
from swath.errors import ConfigError, DataError
from swath.geo.stac import write_item
from swath.geo.tables import write_table
from swath.geo.vectors import footprint
from swath.metrics.confusion import Confusion, summary
from swath.scene.stream import move
from swath.sensors.bands import Bands
from swath.tasks.baselines import pixel_classifiers
from swath.tasks.feed import cover
from swath.tasks.neural import NeuralTask
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.scores import Score, Scores

if TYPE_CHECKING:
    from torch import Tensor, nn

    from swath.data.scenes import Scene
    from swath.data.sources import Source

#: Scores of a confusion matrix that mean something for images.
_METRICS = ("accuracy", "macro_f1", "kappa")


class Classification(NeuralTask):
    """Classification of images, each shrunk to a square of the recipe's patch.

    Args:
        net: Normalised image `[B, C, S, S]` to logits `[B, K]`.
        bands: Bands of the image.
        classes: Legend, in the order of the logits.
        recipe: How it is trained; its patch is the edge of the square.
        normalisation: Statistics that belong to the weights; None takes them from the training part.
    """

    kind: ClassVar[str] = "classification"
    monitor = "val_macro_f1"

    def __init__(
        self,
        net: nn.Module,
        *,
        bands: Bands,
        classes: Classes,
        recipe: Recipe,
        normalisation: Mapping[str, Normalisation] | None = None,
    ) -> None:
        super().__init__(net, bands=bands, recipe=recipe, normalisation=normalisation)
        self.classes = classes
        self._confusion = Confusion(len(classes))

    def seen(self, data: Collection) -> Collection:
        """See `NeuralTask.seen`; images are shrunk to the recipe's patch."""
        return whole_images(super().seen(data), self.recipe.patch)

    def prepare(self, data: Collection) -> None:
        """Check the legend."""
        if data.classes is None or data.classes.names != self.classes.names:
            raise DataError(
                f"{data.name} has other classes than the task",
                got="none" if data.classes is None else ", ".join(data.classes.names),
                expected=", ".join(self.classes.names),
            )

    def training_step(self, batch: dict[str, Any], _: int) -> Tensor:
        """Loss of one batch."""
        loss = functional.cross_entropy(self(batch), _class_of(batch), ignore_index=IGNORE)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["scene"]), sync_dist=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Count anew."""
        self._confusion = Confusion(len(self.classes))

    def validation_step(self, batch: dict[str, Any], _: int) -> None:
        """Count one batch."""
        self._confusion.update(self(batch).argmax(1).cpu().numpy(), _class_of(batch).cpu().numpy())

    def on_validation_epoch_end(self) -> None:
        """Log accuracy, F1 and kappa of the validation part."""
        every: Any = self.all_gather(torch.from_numpy(self._confusion.matrix).to(self.device))
        matrix = every.reshape(-1, len(self.classes), len(self.classes)).sum(0).cpu().numpy()
        for name, value in _summary(matrix).items():
            self.log(f"val_{name}", 0.0 if np.isnan(value) else value, rank_zero_only=False)

    def score(
        self, data: Collection, part: str = "test", *, seed: int = 0, level: float = 0.95, resamples: int = 1000
    ) -> Scores:
        """Score on images of a part, beside classifiers of each band's mean and spread that saw the training part.

        Args:
            data: Images with classes, split.
            part: The part to score.
            seed: Of the bootstrap and of the random forest.
            level: Of the intervals.
            resamples: Draws of the bootstrap, over groups of images where the data have them, else over images.

        Raises:
            DataError: If the part has no image, or the legends differ.
        """
        data = self.seen(data)
        self.prepare(data)
        features, classes, _, _ = self._judged(data, "train")
        rivals = pixel_classifiers(features, classes, seed) if len(classes) else {}
        features, classes, logits, scenes = self._judged(data, part)
        if not len(classes):
            raise DataError(f"The '{part}' part of {data.name} has no image with a class")
        told = {"system": logits.argmax(1)} | {name: rival.predict(features) for name, rival in rivals.items()}
        counts = {name: Confusion(len(self.classes)) for name in told}
        for name, predicted in told.items():
            for one, true, scene in zip(predicted, classes, scenes, strict=True):
                unit = data[int(scene)].group or int(scene)
                counts[name].update(np.array([one]), np.array([true]), unit=unit)

        def scored(confusion: Confusion) -> dict[str, Score]:
            intervals = confusion.intervals(_summary, level=level, resamples=resamples, seed=seed)
            return {name: Score(value, *intervals[name]) for name, value in _summary(confusion.matrix).items()}

        found = {name: scored(confusion) for name, confusion in counts.items()}
        return Scores(
            part,
            found.pop("system"),
            found,
            {"confusion": counts["system"].matrix.tolist(), "classes": list(self.classes.names)},
            {"images": len(classes), "intervals": f"{level:.0%}, bootstrap over {len(counts['system'].units)} images"},
        )

    def open_source(self, words: Sequence[str], crs: str | None = None) -> list[Scene]:
        """Images as the words of a command line name them: files, or folders of them."""
        paths: list[str] = []
        for word in words:
            folder = Path(word)
            paths += [str(m.path) for m in match_files(folder, "**/*.*")] if folder.is_dir() else [word]
        return [open_scene([path], self.bands, crs) for path in paths]

    @torch.inference_mode()
    def predict(
        self,
        source: Scene | Source | str | Path | Sequence[Scene],
        output: Path,
        *,
        device: str = "cpu",
        provenance: Mapping[str, Any] | None = None,
    ) -> list[Path]:
        """Write the class of each image and the probability of every class.

        Args:
            source: An image, or several.
            output: A table: `.csv`, `.json` or `.parquet`; or with footprints `.gpkg`, `.geojson`.
            device: Where the network runs.
            provenance: Further facts for the STAC item, which images with a CRS get.

        Returns:
            The path.

        Raises:
            SwathError: If an image cannot be read, or the format of the table is unknown.
        """
        scenes = self._scenes(source)
        self.eval().to(device)
        rows = []
        for scene in scenes:
            probabilities = self._probabilities(scene, device)
            best = int(probabilities.argmax())
            rows.append(
                {"image": scene.id, "class": self.classes.names[best], "probability": float(probabilities[best])}
                | {f"p_{name}": float(p) for name, p in zip(self.classes.names, probabilities, strict=True)}
            )
        table = pd.DataFrame(rows)
        placed = all(scene.grid.crs is not None for scene in scenes)
        if placed:
            table = gpd.GeoDataFrame(table, geometry=[footprint(s.grid) for s in scenes], crs="EPSG:4326")
        write_table(table, Path(output))
        if placed:
            system = getattr(self, "system", {})
            facts = {"system": system.get("id"), "weights": self.weights_hash(), **(provenance or {})}
            write_item(Path(output), grid=scenes[0].grid, provenance=facts, time=scenes[0].time, bands=[])
        return [Path(output)]

    def _scenes(self, source: Scene | Source | str | Path | Sequence[Scene]) -> list[Scene]:
        given = list(source) if isinstance(source, Sequence) and not isinstance(source, str) else [source]
        if not given:
            raise ConfigError("There is no image")
        return [select_layers(as_scene(one, self.bands), self.bands) for one in given]

    def _probabilities(self, scene: Scene, device: str) -> np.ndarray:
        """Probability of each class, of an image of any size."""
        scene = small_scene(scene, self.recipe.patch)
        first = np.zeros(1, np.int64)
        places = Places(first, first, first, self.recipe.patch)
        (batch,) = Batches(Collection((scene,)), places, part=None, patch=self.recipe.patch, batch=1)
        if not batch["valid"].any():
            raise DataError(f"Image {scene.id} has no valid pixel")
        return self(move(batch, device)).float().softmax(1)[0].cpu().numpy()

    @torch.inference_mode()
    def _judged(self, data: Collection, part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Features, classes, logits and scene numbers of the images of a part that have a class."""
        self.eval()
        found = [(*_features(batch), self(batch).float().numpy()) for batch in self._images(data, part)]
        if not found:
            empty = np.zeros((0, 1))
            return empty, np.zeros(0, int), empty, np.zeros(0, int)
        features, classes, scenes, logits = (np.concatenate(column) for column in zip(*found, strict=True))
        known = classes != IGNORE
        return features[known], classes[known], logits[known], scenes[known]

    def _images(self, data: Collection, part: str) -> Iterator[dict[str, Any]]:
        patch, batch = self.recipe.patch, self.recipe.batch
        places = cover(data, part, patch)[0]
        if len(places):
            yield from Batches(data, places, part=part, patch=patch, batch=batch)


def _class_of(batch: Mapping[str, Any]) -> Tensor:
    """Class of each image `[B]`: of its labelled pixels, which all have the same."""
    return batch["mask"].flatten(1).amax(1)


def _features(batch: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard deviation of each band `[B, 2 C]`, class and scene of each image."""
    image = batch["image"].flatten(2).numpy()
    features = np.concatenate([image.mean(2), image.std(2)], 1)
    return features, _class_of(batch).numpy(), batch["scene"].numpy()


def _summary(matrix: np.ndarray) -> dict[str, float]:
    found = summary(matrix)
    return {name: found[name] for name in _METRICS}
