"""Segmentation of things that are counted: connected pixels of a class are one thing, rightly or not."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import geopandas as gpd
import numpy as np
import rasterio
import torch
from rasterio.errors import NotGeoreferencedWarning
from scipy import ndimage

from swath.data.instances import InstanceLabels
from swath.data.selection import as_scene, select_layers
from swath.errors import ConfigError
from swath.geo.grids import shape_of
from swath.geo.tables import write_count
from swath.geo.vectors import polygonize, write_vectors
from swath.geo.windows import whole
from swath.metrics.bootstrap import percentile_interval
from swath.metrics.counting import count_scores
from swath.scene.plan import Blend, Plan
from swath.scene.stream import finished_rows
from swath.tasks.pixels import covered, pixel_features
from swath.tasks.ridges import FILTERS, Ridge, fit_ridge
from swath.tasks.scores import Score, Scores
from swath.tasks.segment import PRODUCTS as MAPS
from swath.tasks.segment import Rival, Segmentation

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

    from swath.data.scenes import Collection, Scene
    from swath.data.sources import Source

#: What `predict` can write.
Product = Literal["classes", "probabilities", "uncertainty", "confidence", "vectors", "things", "count"]
PRODUCTS: tuple[Product, ...] = get_args(Product)
#: Connected pixels fewer than this are specks, not things.
LEAST = 30
#: Training patches from which the filters learn their threshold, at most.
_PATCHES = 24
_TOUCHING = np.ones((3, 3))


def components(mask: np.ndarray, least: int = LEAST) -> np.ndarray:
    """Number from 1 of the connected pixels that each pixel belongs to `[H, W]`, int32; 0 for none.

    Args:
        mask: Bool `[H, W]`; pixels connect by sides and corners.
        least: Pixels below which a component is left out.
    """
    numbers, count = ndimage.label(mask, _TOUCHING)
    large = np.bincount(numbers.ravel(), minlength=count + 1) >= least
    large[0] = False
    table = np.where(large, np.cumsum(large), 0).astype(np.int32)
    return table[numbers]


class CountedSegmentation(Segmentation):
    """Segmentation of one class of things, which are counted too.

    Two things that touch are counted as one, so counts of crossing things are too low; see the instances for those.
    """

    kind: ClassVar[str] = "segmentation"
    target: str
    _ridges: Mapping[str, Ridge]

    def seen(self, data: Collection) -> Collection:
        """See `NeuralTask.seen`."""
        return super().seen(data.with_scenes([self.sized(scene) for scene in data]))

    def sized(self, scene: Scene) -> Scene:
        """A scene on the pixels that the network takes: by default its own."""
        return scene

    def rivals(self, data: Collection, threads: int, seed: int) -> dict[str, Rival]:
        """See `Segmentation.rivals`; and filters for bright lines."""
        learned = super().rivals(data, threads, seed)
        index = self.classes.names.index(self.target)
        patches: list[tuple[np.ndarray, np.ndarray]] = []
        for batch, _ in covered(data, "train", self.recipe.patch, 4, threads, seed, shuffled=True):
            patches += zip(pixel_features(batch, self.series), batch["mask"].numpy(), strict=True)
            if len(patches) >= _PATCHES:
                break
        self._ridges = {name: fit_ridge(name, patches[:_PATCHES], index) for name in FILTERS}
        return {**learned, **self._ridges}

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
        """See `Segmentation.score`; and counts, scene by scene, of scenes that are in the part as a whole.

        Baselines are the connected pixels of the filters, and the mean count of the training part. The truth are the
        things of labels that tell them apart, or their connected pixels.
        """
        scores = super().score(data, part, seed=seed, level=level, resamples=resamples, threads=threads)
        scenes = [scene for scene in self.seen(data) if scene.part in (part, "train")]
        tested = [scene for scene in scenes if scene.part == part]
        learned = [self.true_count(scene) for scene in scenes if scene.part == "train"]
        if not tested or not learned:
            return scores
        true = np.array([self.true_count(scene) for scene in tested])
        told = {"system": np.array([self.count(scene) for scene in tested])}
        for name, rule in self._ridges.items():
            told[name] = np.array([components(_by_rule(rule, scene) == rule.index).max() for scene in tested])
        told["training mean"] = np.full(len(true), np.mean(learned))
        found: dict[str, dict[str, Score]] = {}
        for name, predicted in told.items():
            judge = partial(count_scores, predicted, true)
            intervals = percentile_interval(np.eye(len(true)), judge, level=level, resamples=resamples, seed=seed)
            found[name] = {metric: Score(value, *intervals[metric]) for metric, value in judge().items()}
        system = {**scores.system, **found.pop("system")}
        baselines = {
            name: {**scores.baselines.get(name, {}), **found.get(name, {})} for name in {**scores.baselines, **found}
        }
        counts = {"scenes": [scene.id for scene in tested], "true": true.tolist()}
        counts |= {name: predicted.tolist() for name, predicted in told.items()}
        return replace(scores, system=system, baselines=baselines, details={**scores.details, "counts": counts})

    @torch.inference_mode()
    def count(self, scene: Scene, tile: int | None = None, overlap: float = 0.25) -> int:
        """Things on a scene: connected pixels of the class."""
        return int(components(self.mask(scene, tile, overlap)).max())

    @torch.inference_mode()
    def mask(self, scene: Scene, tile: int | None = None, overlap: float = 0.25) -> np.ndarray:
        """Where the class is on a scene, bool `[H, W]`, in memory."""
        self.eval()
        tile = -(-(tile or self.recipe.patch) // self.stride) * self.stride
        plan = Plan(shape_of(scene.grid), tile, min(round(overlap * tile), tile - 1), 2)
        index = self.classes.names.index(self.target)
        rows = [
            (rows.scores.argmax(0) == index) & rows.valid for rows in finished_rows(self.probabilities, scene, plan)
        ]
        return np.concatenate(rows)

    def true_count(self, scene: Scene) -> int:
        """Things that the labels of a scene tell."""
        if scene.labels is None:
            return 0
        index = self.classes.names.index(self.target)
        if isinstance(scene.labels, InstanceLabels):
            return int((scene.labels.instances(scene.grid).classes == index).sum())
        return int(components(scene.labels.read(scene.grid) == index).max())

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
        """See `Segmentation.predict`; `things` are outlines with a number each, and `count` is a table of one row.

        Without CRS, coordinates of outlines are pixels, `(col, -row)` from the top-left corner, as GIS draws pictures.
        """
        if strange := [name for name in products if name not in PRODUCTS]:
            raise ConfigError(f"There is no product '{strange[0]}'", expected=", ".join(PRODUCTS))
        output = Path(output)
        scene = self.sized(select_layers(as_scene(source, self.bands), self.bands, self.series))
        maps = list(dict.fromkeys(["classes", *(name for name in products if name in MAPS)]))
        paths = super().predict(
            scene, output, products=maps, tile=tile, overlap=overlap, blend=blend, even=even, batch=batch,
            precision=precision, device=device, on_error=on_error, engine=engine, scheduler=scheduler,
            provenance=provenance, progress=progress,
        )  # fmt: skip
        written: dict[str, Path] = dict(zip(maps, paths, strict=True))
        if {"things", "count"} & set(products):
            things = self._outlined(output, scene.grid)
            if "things" in products:
                written["things"] = output.with_name(f"{output.stem}-things.gpkg")
                write_vectors(things, written["things"])
            if "count" in products:
                written["count"] = write_count(scene.id, len(things), output.with_name(f"{output.stem}-count.csv"))
        return [written[name] for name in products]

    def _outlined(self, path: Path, grid: GeoBox) -> gpd.GeoDataFrame:
        """Outline of each thing on a class map: `number`, `pixels` and, with a CRS, `area_m2`."""
        code = self.classes.codes[self.classes.names.index(self.target)]
        with warnings.catch_warnings():  # a map without CRS is a picture
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as file:
                numbers = components(file.read(1) == code)
        frame = polygonize(numbers, grid, valid=numbers > 0, connectivity=8).rename(columns={"value": "number"})
        frame.insert(1, "pixels", np.bincount(numbers.ravel())[frame["number"]])
        return frame


def _by_rule(rule: Ridge, scene: Scene) -> np.ndarray:
    """Class indices `[H, W]` that a filter gives on a scene as a whole."""
    source = next(iter(scene.layers.values()))
    stored, valid = source.read(whole(shape_of(scene.grid)))
    return rule(np.moveaxis(source.bands.decode(stored), 0, -1), valid)
