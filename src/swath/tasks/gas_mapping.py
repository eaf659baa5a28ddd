"""Gas mapping: the column of a gas in hyperspectral cubes, and the plumes in it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

from swath.data.classes import IGNORE
from swath.data.cubes import Cube, open_cube
from swath.data.scenes import Scene
from swath.errors import ConfigError, DataError
from swath.files import write_text
from swath.metrics import ranking
from swath.metrics.bootstrap import percentile_interval
from swath.spectral.absorption import read_table
from swath.spectral.mapping import UNITS, FilterName, Mapper
from swath.spectral.plumes import plume_mask
from swath.spectral.ratio import band_ratio
from swath.tasks.run import Run
from swath.tasks.scores import Score, Scores
from swath.tasks.task import Task

if TYPE_CHECKING:
    from swath.data.scenes import Collection

#: What `predict` writes beside the map.
Product = Literal["mask", "plumes", "quicklook"]
PRODUCTS: tuple[Product, ...] = get_args(Product)
#: Thresholds of the morphological detector (Herec et al. 2025); 0.004 of the matched filter is 400 ppm m.
THRESHOLDS: dict[FilterName, float] = {
    "mag1c_sas": 300.0, "mag1c": 300.0, "mag1c_columns": 300.0, "matched_filter": 400.0, "ace": 0.03, "cem": 0.004,
}  # fmt: skip
#: The table of the absorption in a run.
_TABLE = "absorption.csv"
#: Scenes below which the bootstrap draws blocks of pixels instead, and their edge.
_SCENES_TO_DRAW, _BLOCK = 8, 64


class GasMapping(Task):
    """Map a gas with a spectral filter and outline its plumes.

    Args:
        mapper: How a cube becomes a map.
        threshold: Of the detector, in the map's unit; None takes the published one of the filter.
    """

    kind: ClassVar[str] = "gas_mapping"
    trained: ClassVar[bool] = False

    def __init__(self, mapper: Mapper, threshold: float | None = None) -> None:
        self.mapper = mapper
        self.threshold = THRESHOLDS[mapper.filter] if threshold is None else threshold
        self.net, self.bands = None, {}

    def open_source(self, words: Sequence[str], crs: str | None = None) -> Cube:
        """The cube of one word: an ENVI file, an EMIT `.nc`, or a folder of bands; see `swath.data.cubes.open_cube`."""
        return open_gas_cube(words, crs)

    def fit(self, data: Collection, run: Path) -> Run:
        """Choose the detector's threshold by the pixels' F1 on the `train` part, and leave a run.

        Args:
            data: Scenes with one layer, a cube, and labels: 0 is background and 1 plume.
            run: The folder.

        Raises:
            DataError: If the part shows no plume.
        """
        maps = list(self._maps(data.with_part("train")))
        scores, present = (np.concatenate(values) for values in zip(*(_flat(s, t) for _, s, t in maps), strict=True))
        if not present.any():
            raise DataError(f"{data.name} shows no plume in its 'train' part", fix="Use the published threshold")
        edges = ranking.bin_edges(scores)
        if not len(edges):
            raise DataError("The map is the same everywhere, so no threshold divides it")
        self.threshold = ranking.best_edge(ranking.count_by_score(scores, present, edges), edges)
        self.save(run)
        return Run(run)

    def predict(
        self,
        source: Cube | Scene | str | Path,
        output: Path,
        *,
        products: Sequence[Product] = PRODUCTS,
        fewest_pixels: int = 6,
        pixel_size: float | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> list[Path]:
        """Map a cube.

        Args:
            source: A cube, a scene with one, or its path.
            output: The map, `.tif`: float32, NaN where nothing could be measured. Others stand beside it:
                `<stem>-mask.tif`, `<stem>-plumes.gpkg` and `.csv`, `<stem>.png`, each raster with a STAC item.
            products: What is written beside the map.
            fewest_pixels: Pixels that a plume has at least.
            pixel_size: Edge of a pixel in m, for cubes without a CRS; gives areas, lengths and masses.
            provenance: Added to the STAC items.

        Returns:
            The paths written, the map first.

        Raises:
            ConfigError: If an option is unknown.
            BandError: If the cube lacks bands or wavelengths.
            DataError: If it has too few valid pixels.
            WriteError: If a product cannot be written.
        """
        from swath.tasks.gas_products import write_products

        output = Path(output)
        if output.suffix.casefold() not in (".tif", ".tiff") or set(products) - set(PRODUCTS):
            raise ConfigError(
                "A gas map cannot be written so",
                got=f"{output.name} with {', '.join(products)}",
                expected=f"a .tif with some of {', '.join(PRODUCTS)}",
            )
        cube = cube_of(source)
        enhancement = self.mapper.map(cube)
        mask = plume_mask(enhancement, self.threshold, fewest_pixels)
        mask_of = {"threshold": self.threshold, "fewest pixels": fewest_pixels}
        told = {
            "system": getattr(self, "system", {}).get("id"), "weights": None, "inputs": {"cube": cube.name},
            **{name: str(value) for name, value in asdict(self.mapper).items()}, **mask_of, **(provenance or {}),
        }  # fmt: skip
        return write_products(
            cube, enhancement, mask, output, UNITS[self.mapper.filter], products, told, pixel_size=pixel_size
        )

    def score(
        self, data: Collection, part: str = "test", *, seed: int = 0, level: float = 0.95, resamples: int = 1000
    ) -> Scores:
        """Score maps and plume masks on labelled pixels, pooled, beside the band ratio and no skill.

        Args:
            data: Scenes with one layer, a cube, and labels: 0 is background and 1 plume.
            part: The part to score.
            seed: Of the bootstrap.
            level: Of the intervals.
            resamples: Draws of scenes, or of blocks of 64 pixels where there are fewer than eight scenes.

        Raises:
            DataError: If the part shows no plume.
        """
        chosen = data.with_part(part)
        by_scene = len(chosen) >= _SCENES_TO_DRAW
        truths: list[tuple[Scene, np.ndarray, np.ndarray]] = list(self._maps(chosen))
        system = [(plume_mask(found, self.threshold), found, truth, scene.id) for scene, found, truth in truths]
        if not any((truth == 1).any() for _, _, truth in truths):
            raise DataError(f"{data.name} shows no plume in its '{part}' part", expected="labels of class 1")
        ratios = [band_ratio(cube_of(scene), self.mapper.absorption) for scene, _, _ in truths]
        rival_threshold = _best_threshold(ratios, [truth for _, _, truth in truths])
        rival = [
            (plume_mask(ratio, rival_threshold), ratio, truth, scene.id)
            for ratio, (scene, _, truth) in zip(ratios, truths, strict=True)
        ]
        summed = partial(_scores, by_scene=by_scene, level=level, resamples=resamples, seed=seed)
        counted = sum(int((truth != IGNORE).sum()) for _, _, truth in truths)
        share = sum(int((truth == 1).sum()) for _, _, truth in truths) / counted
        return Scores(
            part,
            summed(system),
            {
                "band ratio": summed(rival),
                "no skill": {"auprc": Score(share), "f1": Score(0.0), "iou": Score(0.0)},
            },
            facts={
                "pixels": counted,
                "threshold": self.threshold,
                "intervals": f"{level:.0%}, drawn by {'scenes' if by_scene else f'blocks of {_BLOCK} px'}",
                "band ratio": "with the threshold that is best on this very part",
            },
        )

    def learned(self, run: Path) -> dict[str, Any]:
        """The threshold, and the table of the absorption, where the user gave one."""
        keep_table(self.mapper, run)
        return {"threshold": self.threshold}

    def recall(self, run: Path, description: dict[str, Any]) -> None:
        """Take back the threshold and the table.

        Raises:
            ConfigError: If there is no threshold.
        """
        found = description.get("threshold")
        if not isinstance(found, int | float):
            raise ConfigError(f"{run} holds no threshold", got=found)
        self.threshold = float(found)
        self.mapper = with_kept_table(self.mapper, run)

    def _maps(self, data: Collection) -> Iterator[tuple[Scene, np.ndarray, np.ndarray]]:
        """Each labelled scene with its map and its truth (0, 1, or -1 where unknown or unmeasured)."""
        for scene in data:
            if scene.labels is None:
                continue
            found = self.mapper.map(cube_of(scene))
            truth = scene.labels.read(scene.grid)
            yield scene, found, np.where(np.isfinite(found), truth, IGNORE)


def open_gas_cube(words: Sequence[str], crs: str | None) -> Cube:
    """The cube of one word: an ENVI file, an EMIT `.nc`, or a folder of bands; see `swath.data.cubes.open_cube`."""
    if len(words) != 1:
        raise ConfigError("A gas is mapped in one cube at a time", got=" ".join(words))
    return open_cube(words[0], crs)


def keep_table(mapper: Mapper, run: Path) -> None:
    """Write the table of the absorption into a run, where the user gave one."""
    if mapper.absorption is not None:
        nm, values = read_table(mapper.absorption)
        rows = "".join(f"{float(a)!r},{float(b)!r}\n" for a, b in zip(nm, values, strict=True))
        write_text(run / _TABLE, f"wavelength,absorption\n{rows}")


def with_kept_table(mapper: Mapper, run: Path) -> Mapper:
    """The mapper with the table that `keep_table` wrote."""
    return replace(mapper, absorption=run / _TABLE) if (run / _TABLE).is_file() else mapper


def cube_of(source: Cube | Scene | str | Path) -> Cube:
    """The cube of a scene or a path.

    Raises:
        DataError: If the first layer of the scene is no cube.
    """
    if isinstance(source, str | Path):
        return open_cube(source)
    layer: Any = next(iter(source.layers.values())) if isinstance(source, Scene) else source
    if not hasattr(layer, "pick"):
        raise DataError(f"{layer.name} is no cube", fix="Open it with `swath.data.cubes.open_cube`")
    cube: Cube = layer
    return cube


def _flat(found: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores and presence of the pixels that count."""
    counted = (truth != IGNORE) & np.isfinite(found)
    return found[counted], truth[counted] == 1


def _best_threshold(maps: list[np.ndarray], truths: list[np.ndarray]) -> float:
    pairs = [_flat(found, truth) for found, truth in zip(maps, truths, strict=True)]
    scores, present = (np.concatenate(values) for values in zip(*pairs, strict=True))
    edges = ranking.bin_edges(scores)
    return ranking.best_edge(ranking.count_by_score(scores, present, edges), edges) if len(edges) else 0.0


def _scores(
    found: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray, str]],
    *,
    by_scene: bool,
    level: float,
    resamples: int,
    seed: int,
) -> dict[str, Score]:
    """AUPRC of maps, F1 and IoU of masks, from `(mask, map, truth, scene)`."""
    edges = ranking.bin_edges(np.concatenate([_flat(values, truth)[0] for _, values, truth, _ in found]))
    units: dict[Hashable, np.ndarray] = {}
    for mask, values, truth, scene in found:
        step = max(truth.shape) if by_scene else _BLOCK
        for top in range(0, truth.shape[0], step):
            for left in range(0, truth.shape[1], step):
                part = slice(top, top + step), slice(left, left + step)
                scores, present = _flat(values[part], truth[part])
                counts = ranking.count_by_score(scores, present, edges)
                told = mask[part][(truth[part] != IGNORE) & np.isfinite(values[part])]
                # the last columns: hits, false alarms and misses of the mask
                masked = [[(told & present).sum(), (told & ~present).sum()], [(~told & present).sum(), 0]]
                units[scene, top, left] = np.concatenate((counts, masked), 1)
    stacked = np.stack([unit for unit in units.values() if unit.any()])
    intervals = percentile_interval(stacked, _summary, level=level, resamples=resamples, seed=seed)
    return {name: Score(value, *intervals[name]) for name, value in _summary(stacked.sum(0)).items()}


def _summary(counts: np.ndarray) -> dict[str, float]:
    hits, false, missed = (float(n) for n in (counts[0, -2], counts[0, -1], counts[1, -2]))
    union = hits + false + missed
    return {
        "auprc": ranking.average_precision(counts[:, :-2]),
        "f1": 2 * hits / (union + hits) if union else float("nan"),
        "iou": hits / union if union else float("nan"),
    }
