"""Instance segmentation: things that are told apart, each with class, score and outline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
import torch

from swath.data.instances import Instances, lay, read_instances
from swath.data.loader import Batches
from swath.data.raster import open_raster
from swath.data.selection import as_scene
from swath.data.warped import on_grid
from swath.errors import ConfigError, DataError
from swath.geo.grids import shape_of
from swath.geo.masks import crop, mask_outline, picture_grid
from swath.geo.tables import write_count
from swath.geo.windows import whole
from swath.metrics.instances import mask_iou, mask_nms, matrix_nms
from swath.scene.objects import Merger, Sighting, lying_on, seek_objects, write_numbers, write_objects
from swath.scene.stream import move
from swath.sensors.bands import Bands
from swath.tasks.feed import cover
from swath.tasks.instance_baselines import BASELINES, Lesson, learn_threshold
from swath.tasks.instance_tally import InstanceTally
from swath.tasks.neural import NeuralTask
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.scores import Scores

if TYPE_CHECKING:
    import shapely
    from torch import Tensor, nn

    from swath.data.classes import Classes
    from swath.data.scenes import Collection, Scene
    from swath.data.sources import Source

#: What `predict` can write.
Product = Literal["objects", "numbers", "count"]
PRODUCTS: tuple[Product, ...] = get_args(Product)
Suppression = Literal["box", "mask", "matrix"]
#: Pixels from which the baselines learn, at most.
_LESSON_PIXELS = 2_000_000


class InstanceSegmentation(NeuralTask):
    """Instance segmentation with a network of torchvision's kind (`swath.nn.mask_rcnn`).

    Args:
        net: A list of normalised images `[C, H, W]` to dicts of `boxes`, `labels` (from 1), `scores` and `masks`
            `[n, 1, H, W]`; with targets, in training, to a dict of losses.
        bands: Bands of the image.
        classes: Legend, in the order of the labels.
        recipe: How it is trained; the loss is the network's own.
        normalisation: Statistics that belong to the weights; None takes them from the training part.
        suppression: What the network's own, of boxes, is followed by: nothing (`box`), or suppression by `mask` or
            `matrix`, which keep things that cross or lie side by side; such a network allows much overlap of boxes.
        overlap: Overlap of masks that is allowed.
        merge: How things of overlapping tiles are merged; None takes the rule of `swath.scene.merge`.
        even: See `swath.geo.tiling.Tiling`.

    Attributes:
        counted: Least score of things that are counted and told.

    Raises:
        ConfigError: If the suppression is unknown.
    """

    kind: ClassVar[str] = "instances"
    monitor = "val_ap50"
    instances: ClassVar[bool] = True
    counted: float = 0.5

    def __init__(
        self,
        net: nn.Module,
        *,
        bands: Bands,
        classes: Classes,
        recipe: Recipe,
        normalisation: Mapping[str, Normalisation] | None = None,
        suppression: Suppression = "box",
        overlap: float = 0.5,
        merge: Merger | None = None,
        even: bool = False,
    ) -> None:
        if suppression not in get_args(Suppression):
            raise ConfigError(
                "There is no such suppression", got=suppression, expected=", ".join(get_args(Suppression))
            )
        super().__init__(net, bands=bands, recipe=recipe, normalisation=normalisation)
        self.classes = classes
        self._suppression, self._overlap, self._merge, self._even = suppression, overlap, merge, even
        self._tally = InstanceTally(classes)

    def prepare(self, data: Collection) -> None:
        """Check the legend."""
        data.require_classes(self.classes)

    def training_step(self, batch: dict[str, Any], _: int) -> Tensor:
        """Sum of the network's losses of one batch; crowds are not learned from."""
        assert self.normalise is not None
        image = self.normalise(batch["image"], batch["valid"])
        losses = self.net(list(image), list(_targets(batch)))
        loss: Tensor = sum(losses.values())
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["scene"]), sync_dist=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Count anew."""
        self._tally = InstanceTally(self.classes)

    def validation_step(self, batch: dict[str, Any], _: int) -> None:
        """Judge the patches of one batch."""
        for i, (shapes, scores, kinds) in enumerate(self._found(batch)):
            shape = tuple(batch["valid"][i].shape)
            found = lay(np.array(shapes, object), None, picture_grid(shape), np.array(kinds, np.int64))
            true = _laid(batch, i)
            self._tally.update(found, np.array(scores)[found.numbers], true)

    def on_validation_epoch_end(self) -> None:
        """Log AP and the error of counts over patches of the validation part."""
        if len(self._tally):
            for name, value in self._tally.values().items():
                self.log(f"val_{name}", 0.0 if np.isnan(value) else value, sync_dist=True)

    def score(
        self,
        data: Collection,
        part: str = "test",
        *,
        tile: int | None = None,
        tile_overlap: float = 0.25,
        most: int | None = None,
        counted: float | None = None,
        seed: int = 0,
        level: float = 0.95,
        resamples: int = 1000,
    ) -> Scores:
        """Score on scenes of a part, beside thresholds of one band that learned from the training part.

        Args:
            data: Scenes with things told apart, split. A thing of a divided scene belongs to the part that most of its
                pixels lie in.
            part: The part to score.
            tile: See `predict`.
            tile_overlap: See `predict`.
            most: Only so many of the surest things of a class in a scene count, as COCO counts 100; None for all.
            counted: Least score of things that are counted; None takes the task's.
            seed: Of the bootstrap.
            level: Of the intervals.
            resamples: Draws of the bootstrap, over scenes.

        Raises:
            DataError: If the part holds no thing, the training part none to learn from, or the legends differ.
        """
        data = self.seen(data)
        self.prepare(data)
        self.eval()
        threshold = learn_threshold(self._lessons(data, seed), _rgb(self.bands["image"]))
        tallies = {"system": InstanceTally(self.classes, most, self.counted if counted is None else counted)}
        tallies |= {name: InstanceTally(self.classes, most, -np.inf) for name in BASELINES}
        scenes: list[str] = []
        for scene in data:
            if scene.part is None or (isinstance(scene.part, str) and scene.part != part):
                continue
            counts = scene.part_mask(whole(shape_of(scene.grid)), part)
            true = _mostly(read_instances(scene.labels, scene.grid), counts)
            objects = self.sighting(scene, tile, tile_overlap).objects
            found = _mostly(lay(objects.shapes, None, picture_grid(shape_of(scene.grid)), objects.classes), counts)
            tallies["system"].update(found, objects.scores[found.numbers], true)
            source = on_grid(next(iter(scene.layers.values())), scene.grid)
            stored, valid = source.read(whole(shape_of(scene.grid)))
            values = source.bands.decode(stored)
            for name, baseline in BASELINES.items():
                things, scores = baseline(threshold, values, valid & counts)
                tallies[name].update(things, scores, true)
            scenes.append(scene.id)
        tally = tallies["system"]
        if not len(tally) or not tally.things:
            raise DataError(f"The '{part}' part of {data.name} holds no thing")
        scored = {name: one.scores(level, resamples, seed) for name, one in tallies.items()}
        told: dict[str, list[Any]] = {"scenes": scenes, "true": [true for _, true in tally.counts]}
        told |= {name: [found for found, _ in one.counts] for name, one in tallies.items()}
        return Scores(
            part,
            scored.pop("system"),
            scored,
            {"ap50 by class": tally.by_class(), "counts": told},
            {
                "scenes": len(tally),
                "things": tally.things,
                "intervals": f"{level:.0%}, bootstrap over {len(tally)} scenes",
            },
        )

    def predict(
        self,
        source: Scene | Source | str | Path,
        output: Path,
        *,
        products: Sequence[Product] = ("objects",),
        least_score: float | None = None,
        within: Path | None = None,
        tile: int | None = None,
        tile_overlap: float = 0.25,
        batch: int = 2,
        device: str = "cpu",
        on_error: Literal["raise", "skip"] = "raise",
        provenance: Mapping[str, Any] | None = None,
    ) -> list[Path]:
        """Find the things of a scene of any size.

        Args:
            source: A scene, a source, or the path of a raster with the task's bands in order.
            output: Vector file, by suffix: `.gpkg`, `.parquet`, `.geojson`, `.fgb`; with class and score.
            products: `objects`; `numbers`: a raster beside it, of the row of each thing from 1; `count`: a table of
                one row beside it.
            least_score: Things below it are left out; None takes what the task counts.
            within: A map of classes; things that lie for the most part on its code 0, or beyond it, are left out.
            tile: Edge of a tile in pixels; by default the recipe's patch, at least 256.
            tile_overlap: Share of a tile that neighbours have in common; things larger than that are joined.
            batch: Tiles that run together.
            device: Where the network runs.
            on_error: Whether a block that cannot be read ends the run, or its tile is left out and listed.
            provenance: Further facts for the STAC items.

        Returns:
            The paths written, in the order of `products`.

        Raises:
            ConfigError: If a product or the format is unknown.
            SwathError: As `swath.scene.objects.seek_objects` raises it.
        """
        output = Path(output)
        if strange := [name for name in products if name not in PRODUCTS]:
            raise ConfigError(f"There is no product '{strange[0]}'", expected=", ".join(PRODUCTS))
        scene = self.seen_scene(as_scene(source, self.bands))
        self.eval().to(device)
        least = self.counted if least_score is None else least_score
        sighting = self.sighting(scene, tile, tile_overlap, batch=batch, on_error=on_error, least_score=least)
        if within is not None:
            sighting = lying_on(sighting, scene, open_raster(within))
        system = getattr(self, "system", {})
        told = {
            "system": system.get("id"),
            "weights": self.weights_hash(),
            "least_score": least,
            **({} if within is None else {"within": str(within)}),
            **(provenance or {}),
        }
        write = {
            "objects": lambda: write_objects(sighting, scene, output, self.classes, told),
            "numbers": lambda: write_numbers(sighting, scene, output.with_name(f"{output.stem}-numbers.tif"), told),
            "count": lambda: write_count(scene.id, len(sighting.objects), output.with_name(f"{output.stem}-count.csv")),
        }
        return [write[name]() for name in products]

    def sighting(
        self,
        scene: Scene,
        tile: int | None = None,
        tile_overlap: float = 0.25,
        *,
        least_score: float = 0.0,
        **options: Any,
    ) -> Sighting:
        """The things of a scene, merged; those below the least score are left out before. See `predict`."""

        def find(batch: Mapping[str, Any]) -> list[tuple[list[shapely.Geometry], list[float], list[int]]]:
            return [_above(found, least_score) for found in self._found(move(batch, str(self.device)))]

        return seek_objects(
            find, scene, rule=self._merge or "polygons", tile=tile or max(self.recipe.patch, 256),
            overlap=tile_overlap, even=self._even, **options,
        )  # fmt: skip

    @torch.inference_mode()
    def _found(self, batch: Mapping[str, Any]) -> Iterator[tuple[list[shapely.Geometry], list[float], list[int]]]:
        """Outlines in pixels, scores and class indices of the things of each patch."""
        for found in self(batch):
            masks = found["masks"][:, 0].cpu().numpy() > 0.5
            scores, kinds = (found[key].float().cpu().numpy() for key in ("scores", "labels"))
            kept = np.flatnonzero(masks.any((1, 2)))
            masks, scores, kinds = masks[kept], scores[kept], kinds[kept].astype(int) - 1
            if self._suppression != "box" and len(masks):
                kept, scores = self._suppressed(masks, scores, kinds)
                masks, scores, kinds = masks[kept], scores[kept], kinds[kept]
            yield [mask_outline(mask) for mask in masks], scores.tolist(), kinds.tolist()

    def _suppressed(self, masks: np.ndarray, scores: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places of those that stay, and scores of all."""
        iou = mask_iou(masks, masks) * (kinds[:, None] == kinds[None, :])
        if self._suppression == "mask":
            return mask_nms(iou, scores, self._overlap), scores
        return np.arange(len(scores)), matrix_nms(iou, scores)

    def _lessons(self, data: Collection, seed: int) -> Iterator[Lesson]:
        """Patches of the training part in random order, until there are pixels enough."""
        patch = self.recipe.patch
        places = cover(data, "train", patch)[0]
        if not len(places):
            raise DataError(f"{data.name} has no training part for the baselines to learn from")
        places = places.take(np.random.default_rng(seed).permutation(len(places))[: max(1, _LESSON_PIXELS // patch**2)])
        for batch in Batches(data, places, part="train", patch=patch, batch=4, instances=True):
            for i, valid in enumerate(batch["valid"].numpy()):
                yield batch["image"][i].numpy(), valid, _laid(batch, i)


def _targets(batch: Mapping[str, Any]) -> Iterator[dict[str, Tensor]]:
    """What torchvision learns from, of each patch."""
    for boxes, masks, kinds, crowd in zip(
        batch["bbox_xyxy"], batch["instance_masks"], batch["label"], batch["crowd"], strict=True
    ):
        yield {"boxes": boxes[~crowd], "labels": kinds[~crowd] + 1, "masks": masks[~crowd].to(torch.uint8)}


def _laid(batch: Mapping[str, Any], i: int) -> Instances:
    """The things of a patch of a batch."""
    masks = batch["instance_masks"][i].cpu().numpy()
    parts = [crop(mask) for mask in masks]
    kinds, crowd = (batch[key][i].cpu().numpy() for key in ("label", "crowd"))
    windows, crops = tuple(window for window, _ in parts), tuple(mask for _, mask in parts)
    return Instances(tuple(batch["valid"][i].shape), kinds, crowd, np.arange(len(parts)), windows, crops)


def _mostly(things: Instances, counts: np.ndarray) -> Instances:
    """Those of which at least half of the pixels count."""
    shares = [counts[window.slices][part].mean() for window, part in zip(things.windows, things.crops, strict=True)]
    return things.take(np.flatnonzero(np.array(shares) >= 0.5))


def _above(
    found: tuple[list[shapely.Geometry], list[float], list[int]], least: float
) -> tuple[list[shapely.Geometry], list[float], list[int]]:
    shapes, scores, kinds = found
    kept = [place for place, score in enumerate(scores) if score >= least]
    return [shapes[place] for place in kept], [scores[place] for place in kept], [kinds[place] for place in kept]


def _rgb(bands: Bands) -> tuple[int, int, int] | None:
    """Places of red, green and blue, where all are there."""
    places = [[i for i, band in enumerate(bands) if band.called(name)] for name in ("red", "green", "blue")]
    return tuple(found[0] for found in places) if all(places) else None  # type: ignore[return-value]
