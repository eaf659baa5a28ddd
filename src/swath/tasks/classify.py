"""Image classification: one class for an image as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import torch

from swath import __version__
from swath.data.classes import IGNORE, Classes
from swath.data.footprints import cut_from_file
from swath.data.loader import Batches
from swath.data.matching import match_files
from swath.data.placed import Placed
from swath.data.samplers import Places
from swath.data.scene_words import open_scene
from swath.data.scenes import Collection
from swath.data.selection import as_scene, select_layers
from swath.data.whole_images import small_scene, whole_images
from swath.errors import ConfigError, DataError
from swath.geo.stac import write_item
from swath.geo.tables import write_table
from swath.geo.vectors import footprint
from swath.metrics.confusion import Confusion
from swath.scene.stream import move
from swath.sensors.bands import Bands
from swath.tasks.baselines import pixel_classifiers
from swath.tasks.feed import cover
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.scores import Score, Scores
from swath.tasks.unit_classes import UnitClassification

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin
    from torch import Tensor, nn

    from swath.data.scenes import Scene
    from swath.data.sources import Source


class Judged(NamedTuple):
    """Images with a class, and what a network says of them.

    Attributes:
        features: Mean and deviation of each band, `[N, 2 C]`.
        classes: Class indices `[N]`.
        scenes: Their numbers in the collection `[N]`.
        logits: `[N, K]`; `[N, 0]` where no network looked.
    """

    features: np.ndarray
    classes: np.ndarray
    scenes: np.ndarray
    logits: np.ndarray


class Classification(UnitClassification):
    """Classification of images, each shrunk to a square of the recipe's patch.

    Args:
        net: Normalised image `[B, C, S, S]` to logits `[B, K]`.
        bands: Bands of the image.
        classes: Legend, in the order of the logits.
        recipe: How it is trained; its patch is the edge of the square.
        normalisation: Statistics that belong to the weights; None takes them from the training part.
    """

    kind: ClassVar[str] = "classification"

    def __init__(
        self,
        net: nn.Module,
        *,
        bands: Bands,
        classes: Classes,
        recipe: Recipe,
        normalisation: Mapping[str, Normalisation] | None = None,
    ) -> None:
        super().__init__(net, bands=bands, classes=classes, recipe=recipe, normalisation=normalisation)

    def seen(self, data: Collection) -> Collection:
        """See `NeuralTask.seen`; images are shrunk to the recipe's patch."""
        return whole_images(super().seen(data), self.recipe.patch)

    def prepare(self, data: Collection) -> None:
        """Check the legend."""
        data.require_classes(self.classes)

    def class_of(self, batch: Mapping[str, Any]) -> Tensor:
        """See `UnitClassification.class_of`."""
        return class_of(batch)

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
        judged = self._judged(data, part)
        told = {"system": judged.logits.argmax(1)}
        told |= {name: rival.predict(judged.features) for name, rival in self._rivals(data, seed).items()}
        return self._scores(data, part, judged, told, seed=seed, level=level, resamples=resamples)

    def _rivals(self, data: Collection, seed: int) -> dict[str, ClassifierMixin]:
        """The naive baselines, fitted on the features of the training part; none where it is empty."""
        known = self._judged(data, "train", look=False)
        return pixel_classifiers(known.features, known.classes, seed) if len(known.classes) else {}

    def _scores(
        self,
        data: Collection,
        part: str,
        judged: Judged,
        told: Mapping[str, np.ndarray],
        *,
        seed: int,
        level: float,
        resamples: int,
    ) -> Scores:
        """Scores of the classes `[N]` that each has told of judged images, the system's own first."""
        counts = {name: Confusion(len(self.classes)) for name in told}
        units = [data[int(scene)].group or int(scene) for scene in judged.scenes]
        for name, predicted in told.items():
            for one, true, unit in zip(predicted, judged.classes, units, strict=True):
                counts[name].update(np.array([one]), np.array([true]), unit=unit)

        def scored(confusion: Confusion) -> dict[str, Score]:
            intervals = confusion.intervals(self.summary, level=level, resamples=resamples, seed=seed)
            return {name: Score(value, *intervals[name]) for name, value in self.summary(confusion.matrix).items()}

        found = {name: scored(confusion) for name, confusion in counts.items()}
        images = len(judged.classes)
        what = "images" if len(set(units)) == images else "groups of images"
        return Scores(
            part,
            found.pop("system"),
            found,
            {"confusion": counts["system"].matrix.tolist(), "classes": list(self.classes.names)},
            {"images": images, "intervals": f"{level:.0%}, bootstrap over {len(set(units))} {what}"},
        )

    def open_source(self, words: Sequence[str], crs: str | None = None) -> list[Scene]:
        """Images as the words of a command line name them: files, or folders of them."""
        paths: list[str] = []
        for word in words:
            folder = Path(word)
            paths += [str(m.path) for m in match_files(folder, "**/*.*")] if folder.is_dir() else [word]
        return [open_scene([path], self.bands, crs) for path in paths]

    def predict(
        self,
        source: Scene | Source | str | Path | Sequence[Scene],
        output: Path,
        *,
        footprints: Path | None = None,
        margin: float = 0.1,
        device: str = "cpu",
        provenance: Mapping[str, Any] | None = None,
    ) -> list[Path]:
        """Write the class of each image, or of each thing outlined on it, and the probability of every class.

        Args:
            source: An image, or several.
            output: A table: `.csv`, `.json` or `.parquet`; or with outlines `.gpkg`, `.geojson`.
            footprints: A vector file of polygons, for example buildings; each is judged by itself, on a square cut from
                the image (`swath.data.footprints`), and the polygon comes out with its columns and its class.
            margin: What is added around a polygon on each side, as a share of its longer side.
            device: Where the network runs.
            provenance: Further facts for the STAC item, which images with a CRS get.

        Returns:
            The path.

        Raises:
            SwathError: If something cannot be read, polygons lie elsewhere, or the format of the table is unknown.
        """
        given = self._scenes(source)
        scenes = given if footprints is None else cut_from_file(given, footprints, margin)
        write_table(self._table(scenes, self._probabilities(scenes, device)), output)
        self._describe(given, Path(output), provenance or {})
        return [Path(output)]

    def _scenes(self, source: Scene | Source | str | Path | Sequence[Scene]) -> list[Scene]:
        given = list(source) if isinstance(source, Sequence) and not isinstance(source, str) else [source]
        if not given:
            raise ConfigError("There is no image")
        return [select_layers(as_scene(one, self.bands), self.bands) for one in given]

    @torch.inference_mode()
    def _probabilities(self, scenes: Sequence[Scene], device: str) -> np.ndarray:
        """Probability of each class `[N, K]`, of images of any size."""
        self.eval().to(device)
        patch = self.recipe.patch
        small = [replace(small_scene(scene, patch), id=str(number)) for number, scene in enumerate(scenes)]
        zeros = np.zeros(len(scenes), np.int64)
        places = Places(np.arange(len(scenes)), zeros, zeros, patch)
        found = []
        for batch in Batches(Collection(tuple(small)), places, part=None, patch=patch, batch=self.recipe.batch):
            bare = ~batch["valid"].flatten(1).any(1)
            if bare.any():
                raise DataError(f"Image {scenes[int(batch['scene'][bare][0])].id} has no valid pixel")
            found.append(self(move(batch, device)).float().softmax(1).cpu().numpy())
        return np.concatenate(found)

    def _table(self, scenes: Sequence[Scene], probabilities: np.ndarray) -> pd.DataFrame:
        """A row for each image, with outlines where all are known."""
        rows = []
        for scene, chances in zip(scenes, probabilities, strict=True):
            best = int(chances.argmax())
            own = {"image": scene.id, "class": self.classes.names[best], "probability": float(chances[best])}
            own |= {f"p_{name}": float(p) for name, p in zip(self.classes.names, chances, strict=True)}
            facts = scene.facts if isinstance(scene, Placed) else {}
            rows.append(own | {name: value for name, value in facts.items() if name not in own})
        table, outlines = pd.DataFrame(rows), [_outline(scene) for scene in scenes]
        if any(outline is None for outline in outlines):
            return table
        return gpd.GeoDataFrame(table, geometry=outlines, crs="EPSG:4326")

    def _describe(self, scenes: Sequence[Scene], output: Path, provenance: Mapping[str, Any]) -> None:
        """Write the STAC item of a table about scenes with a CRS."""
        if scenes[0].grid.crs is not None:
            system = getattr(self, "system", {})
            inputs = sorted({source.name for scene in scenes for source in scene.layers.values()})
            facts = {
                "system": system.get("id"),
                "weights": self.weights_hash(),
                "inputs": inputs,
                "version": __version__,
            }
            write_item(output, grid=scenes[0].grid, provenance={**facts, **provenance}, time=scenes[0].time, bands=[])

    @torch.inference_mode()
    def _judged(self, data: Collection, part: str, look: bool = True) -> Judged:
        """The images of a part that have a class, with logits where the network shall look.

        Raises:
            DataError: If it shall look and there is none.
        """
        self.eval()
        found = [
            (*_features(batch), self(batch).float().numpy() if look else np.zeros((len(batch["scene"]), 0)))
            for batch in self._images(data, part)
        ]
        columns = [np.concatenate(column) for column in zip(*found, strict=True)]
        judged = Judged(*(column[columns[1] != IGNORE] for column in columns)) if found else None
        if judged is not None and len(judged.classes):
            return judged
        if look:
            raise DataError(f"The '{part}' part of {data.name} has no image with a class")
        return Judged(np.zeros((0, 1)), np.zeros(0, int), np.zeros(0, int), np.zeros((0, 0)))

    def _images(self, data: Collection, part: str) -> Iterator[dict[str, Any]]:
        patch, batch = self.recipe.patch, self.recipe.batch
        places = cover(data, part, patch)[0]
        if len(places):
            yield from Batches(data, places, part=part, patch=patch, batch=batch)


def class_of(batch: Mapping[str, Any]) -> Tensor:
    """Class of each image `[B]`: of its labelled pixels, which all have the same."""
    return batch["mask"].flatten(1).amax(1)


def _features(batch: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard deviation of each band `[B, 2 C]`, class and scene of each image."""
    image = batch["image"].flatten(2).numpy()
    features = np.concatenate([image.mean(2), image.std(2)], 1)
    return features, class_of(batch).numpy(), batch["scene"].numpy()


def _outline(scene: Scene) -> Any:
    """Outline in longitude and latitude; None where it is not known."""
    if isinstance(scene, Placed) and scene.outline is not None:
        return scene.outline
    return None if scene.grid.crs is None else footprint(scene.grid)
