"""Semantic segmentation: a class for every pixel, learned from dense or sparse labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
import torch

from swath.data.classes import IGNORE, Classes
from swath.data.selection import as_scene
from swath.errors import ConfigError, DataError
from swath.geo.grids import window_grid
from swath.losses import Loss
from swath.metrics.confusion import Confusion, summary
from swath.scene import outputs
from swath.scene.apply import apply
from swath.scene.plan import Blend
from swath.scene.vectors import outline_map
from swath.sensors.bands import Bands
from swath.tasks.baselines import Classifiers, pixel_classifiers
from swath.tasks.feed import cover
from swath.tasks.neural import NeuralTask
from swath.tasks.normalise import Normalisation
from swath.tasks.padding import padded
from swath.tasks.pixels import covered, labelled_pixels, pixel_features
from swath.tasks.recipe import Recipe
from swath.tasks.scores import Scores
from swath.tasks.tally import Tally

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin
    from torch import Tensor, nn

    from swath.data.scenes import Collection, Scene
    from swath.data.series import SeriesInput
    from swath.data.sources import Source

#: A naive baseline: of the physical values `[H, W, bands]` of a patch, and where it is asked `[H, W]`, the class index
#: of each pixel `[H, W]`; 0 elsewhere.
Rival = Callable[[np.ndarray, np.ndarray], np.ndarray]
#: What `predict` can write.
Product = Literal["classes", "probabilities", "uncertainty", "confidence", "vectors"]
PRODUCTS: tuple[Product, ...] = get_args(Product)
#: Scenes below which the bootstrap draws tiles instead.
_SCENES_TO_DRAW = 8


class Segmentation(NeuralTask):
    """Semantic segmentation.

    Args:
        net: Normalised image `[B, C, H, W]` to logits `[B, K, H, W]` of the same height and width; see `NeuralTask`
            where there are layers or series.
        bands: Bands of the image, or of each layer.
        classes: Legend, in the order of the logits.
        recipe: How it is trained.
        normalisation: Statistics that belong to the weights; None takes them from the training part.
        stride: Height and width that the network takes are multiples of this; other inputs are padded.
        target: Name of the class of most interest, whose own scores are given too; see `swath.tasks.tally`.
        series: What the network takes of each time series.
        classifiers: Fits the baselines on values and classes of training pixels, see `swath.tasks.baselines`.
    """

    kind: ClassVar[str] = "segmentation"
    monitor = "val_miou"
    loss: nn.Module

    def __init__(
        self,
        net: nn.Module,
        *,
        bands: Bands | Mapping[str, Bands],
        classes: Classes,
        recipe: Recipe,
        normalisation: Mapping[str, Normalisation] | None = None,
        stride: int = 1,
        target: str | None = None,
        series: Mapping[str, SeriesInput] | None = None,
        classifiers: Classifiers = pixel_classifiers,
    ) -> None:
        super().__init__(net, bands=bands, recipe=recipe, normalisation=normalisation, series=series)
        self.classes = classes
        self.target = target
        self._classifiers = classifiers
        self.stride = stride
        self._confusion = Confusion(len(classes))

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        """Logits `[B, K, H, W]` of a batch of physical values."""
        height, width = batch["valid"].shape[-2:]
        return super().forward(padded(batch, self.stride, self.series))[..., :height, :width]

    def probabilities(self, batch: Mapping[str, Any]) -> Tensor:
        """Class probabilities `[B, K, H, W]` of a batch of physical values."""
        return self(batch).float().softmax(1)

    def prepare(self, data: Collection) -> None:
        """Check the legend and weigh the classes; see `NeuralTask.prepare`."""
        data.require_classes(self.classes)
        self.loss = Loss(self.recipe.loss, self.loss_weights(data))

    def loss_weights(self, data: Collection) -> Tensor | None:
        """Weight of each class in the loss `[K]`, N / (K n) of N labelled pixels; None where the recipe has none."""
        if self.recipe.class_weights != "inverse":
            return None
        counts = class_counts(data, "train", self.classes, self.recipe.patch)
        return torch.tensor(counts.sum() / (len(counts) * np.maximum(counts, 1)), dtype=torch.float32)

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
        every: Any = self.all_gather(torch.from_numpy(self._confusion.matrix).to(self.device))
        matrix = every.reshape(-1, len(self.classes), len(self.classes)).sum(0).cpu().numpy()
        for name, value in summary(matrix).items():
            self.log(f"val_{name}", 0.0 if np.isnan(value) else value, rank_zero_only=False)

    def judged(self, data: Collection) -> Collection:
        """What scores see of data: what the network sees."""
        return self.seen(data)

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
        data = self.judged(data)
        data.require_classes(self.classes)
        self.eval()
        rivals = self.rivals(data, threads, seed)
        counts = {name: Tally(self.classes, self.target) for name in ("system", *rivals)}
        by_scene = len({scene.id for scene in data if scene.part == part}) >= _SCENES_TO_DRAW
        for batch, core in covered(data, part, self.recipe.patch, self.recipe.batch, threads, seed):
            predicted = self(batch).argmax(1).numpy()
            features = pixel_features(batch, self.series)
            for i, mask in enumerate(batch["mask"].numpy()):
                if not (mask[core] != IGNORE).any():
                    continue
                unit = (
                    int(batch["scene"][i]) if by_scene else (int(batch["scene"][i]), *batch["window"][i, :2].tolist())
                )
                counts["system"].update(predicted[i], mask, core, unit)
                asked = np.zeros(mask.shape, bool)
                asked[core if self.target is None else ...] = True
                asked &= mask != IGNORE
                for name, rival in rivals.items():
                    counts[name].update(rival(features[i], asked), mask, core, unit)
        confusion, drawn = counts["system"].confusion, "scenes" if by_scene else "tiles"
        if not confusion.matrix.sum():
            raise DataError(f"The '{part}' part of {data.name} has no labelled pixel")
        scored = {name: tally.scores(level, resamples, seed) for name, tally in counts.items()}
        return Scores(
            part,
            scored.pop("system"),
            scored,
            {"confusion": confusion.matrix.tolist(), "classes": list(self.classes.names)},
            {
                "pixels": int(confusion.matrix.sum()),
                "intervals": f"{level:.0%}, bootstrap over {len(confusion.units)} {drawn}",
            },
        )

    def rivals(self, data: Collection, threads: int, seed: int) -> dict[str, Rival]:
        """Naive baselines that learned from the training part of `data`, by name."""
        learned = self._classifiers(*labelled_pixels(data, "train", self.recipe.patch, threads, seed), seed)
        return {name: partial(_pixel_by_pixel, estimator) for name, estimator in learned.items()}

    def predict(
        self,
        source: Scene | Source | str | Path,
        output: Path,
        *,
        products: Sequence[Product] = ("classes",),
        tile: int | None = None,
        overlap: float = 0.25,
        blend: Blend = "cosine",
        even: bool = False,
        batch: int | None = None,
        precision: Literal["fp32", "auto", "bf16"] = "fp32",
        device: str = "cpu",
        on_error: Literal["raise", "skip"] = "raise",
        engine: Literal["threads", "dask"] = "threads",
        scheduler: str | None = None,
        provenance: Mapping[str, Any] | None = None,
        progress: bool = True,
    ) -> list[Path]:
        """Map a scene of any size.

        Args:
            source: A scene, a source for a task of one layer, or the path of a raster with the task's bands in order.
            output: The class map; other products stand beside it, with their name added.
            products: Any of `classes`, `probabilities`, `uncertainty`, `vectors`; for a class of most interest also
                `confidence`, 1 to 255, and 0 where nothing is known.
            tile: Edge of a tile in pixels; by default the recipe's patch, at least 256.
            overlap: Share of a tile that neighbours have in common.
            blend: How overlaps are joined: faded (`cosine`, `linear`), or `crop`ped in their middle.
            even: Whether tiles are spread evenly over the scene instead of at their stride.
            batch: Tiles that run together; by default 2 on a CPU and 16 elsewhere.
            precision: `auto` takes bf16 where the processor has it and a sample of tiles agrees with fp32.
            device: Where the network runs: `cpu`, `cuda`, `cuda:1`, ...
            on_error: Whether a block that cannot be read ends the run, or leaves its ground invalid and is listed.
            engine: Threads of this process, or the workers of a Dask cluster.
            scheduler: Address of the Dask scheduler; None starts a cluster on this machine.
            provenance: Further facts for the STAC items.
            progress: Whether to show a bar on a terminal.

        Returns:
            The paths written, in the order of `products`.

        Raises:
            ConfigError: If a product is unknown.
            SwathError: As `swath.scene.apply.apply` and `swath.data.raster.open_raster` raise it.
        """
        output = Path(output)
        if strange := [name for name in products if name not in PRODUCTS]:
            raise ConfigError(f"There is no product '{strange[0]}'", expected=", ".join(PRODUCTS))
        if "confidence" in products and self.target is None:
            raise ConfigError("The task has no class of most interest that it could be confident of")
        scene = self.seen_scene(as_scene(source, self.bands))
        tile = tile or max(self.recipe.patch, 256)
        beside = {name: output.with_name(f"{output.stem}-{name}{output.suffix}") for name in PRODUCTS}
        makers = {
            "classes": lambda: outputs.class_map(output, self.classes),
            "probabilities": lambda: outputs.probabilities(beside["probabilities"], self.classes),
            "uncertainty": lambda: outputs.uncertainty(beside["uncertainty"]),
            "confidence": lambda: outputs.confidence(beside["confidence"], self.classes, self.target or ""),
        }
        rasters = [name for name in PRODUCTS if name in products or (name == "classes" and "vectors" in products)]
        system = getattr(self, "system", {})
        self.eval().to(device)
        self.net.to(memory_format=torch.channels_last)
        report = apply(
            self.probabilities, scene, [makers[name]() for name in rasters if name in makers],
            tile=-(-tile // self.stride) * self.stride, overlap=overlap, blend=blend, even=even,
            batch=batch or (2 if device == "cpu" else 16), precision=precision, device=device,
            on_error=on_error, engine=engine, scheduler=scheduler, progress=progress,
            provenance={"system": system.get("id"), "weights": self.weights_hash(), **(provenance or {})},
        )  # fmt: skip
        written = dict(zip((name for name in rasters if name in makers), report.paths, strict=True))
        if "vectors" in products:
            written["vectors"] = outline_map(output, beside["vectors"].with_suffix(".gpkg"), self.classes)
        return [written[name] for name in products]


def _pixel_by_pixel(estimator: ClassifierMixin, features: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """See `Rival`."""
    guessed = np.zeros(asked.shape, np.int64)
    guessed[asked] = estimator.predict(features[asked])
    return guessed


def class_counts(data: Collection, part: str, classes: Classes, patch: int) -> np.ndarray:
    """Labelled pixels of each class in a part, `[K]`."""
    counts = np.zeros(len(classes), np.int64)
    places, margin = cover(data, part, patch)
    for place in places:
        scene, core = data[place.scene], place.window.pad(-margin)
        if scene.labels is not None:
            mask = scene.labels.read(window_grid(scene.grid, core))
            chosen = mask[(mask != IGNORE) & scene.part_mask(core, part)]
            counts += np.bincount(chosen, minlength=len(classes))
    return counts
