"""Materials of roofs by text: prompts with the city, a prior of what stands there, a review of what is unsure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import shapely

from swath.data.city_table import City, CityTable, city_key, read_cities
from swath.data.footprints import cut_from_file
from swath.data.placed import Placed
from swath.data.readers.roofnet import UNKNOWN
from swath.data.reviews import CLASS, IMAGE, proposal, write_review
from swath.data.roof_names import placed_roof, shape_of_roof
from swath.errors import DataError
from swath.geo.grids import shape_of
from swath.geo.tables import write_table
from swath.metrics.confusion import macro_mean, per_class, summary
from swath.tasks.classify import Judged
from swath.tasks.scores import Scores
from swath.tasks.text_classify import TextClassification

if TYPE_CHECKING:
    from swath.data.scenes import Collection, Scene
    from swath.data.sources import Source

#: A label that the network contradicts with at least this probability is reviewed.
_CONTRADICTED = 0.9
#: Column of a roof's shape.
_SHAPE = "roofshape"


class Answers(NamedTuple):
    """What is said of labelled crops.

    Attributes:
        judged: The crops.
        scenes: The same.
        where: Their cities, where known.
        allowed: Which classes each can have `[N, K]`.
        told: Class of each `[N]` by the `system` and by each baseline.
    """

    judged: Judged
    scenes: tuple[Placed, ...]
    where: tuple[City | None, ...]
    allowed: np.ndarray
    told: dict[str, np.ndarray]


class RoofMaterials(TextClassification):
    """Classification of roofs; see `TextClassification`.

    A scene that is no `Placed` one yet has its city, and what else is known of it, in its file name.

    Args:
        skips_small: Whether predictions leave small crops out, as released, instead of sending them to the review.
    """

    kind: ClassVar[str] = "roof materials"

    def __init__(self, *args: Any, skips_small: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self._skips_small = skips_small

    def seen(self, data: Collection) -> Collection:
        """See `Classification.seen`; crops get their places."""
        return super().seen(data.with_scenes([_placed(scene) for scene in data]))

    def summary(self, matrix: np.ndarray) -> dict[str, float]:
        """Accuracy and kappa of all classes, recall and F1 averaged over the materials, and recall of the unknown."""
        found, each = summary(matrix), per_class(matrix)
        names = self.classes.names
        material = np.array([name != UNKNOWN for name in names])
        scores = {
            "accuracy": found["accuracy"],
            "macro_recall": macro_mean(each["recall"][material]),
            "macro_f1": macro_mean(each["f1"][material]),
            "kappa": found["kappa"],
        }
        if UNKNOWN in names:
            scores["unknown_recall"] = float(each["recall"][names.index(UNKNOWN)])
        return scores

    def score(
        self,
        data: Collection,
        part: str = "test",
        *,
        cities: Path | None = None,
        review: Path | None = None,
        seed: int = 0,
        level: float = 0.95,
        resamples: int = 1000,
    ) -> Scores:
        """Score on crops of a part, beside classifiers of each band's mean and spread that saw the training part.

        Args:
            data: Crops with classes, split.
            part: The part to score.
            cities: A table of cities (`swath.data.city_table`). The system then chooses among the materials of the city
                of each crop, and without the table it is a row of its own.
            review: Where to write the crops whose label breaks the table, or that the network contradicts.
            seed: Of the bootstrap and of the random forest.
            level: Of the intervals.
            resamples: Draws of the bootstrap, over cities.

        Raises:
            DataError: If the part has no crop, or the legends differ.
            ReadError: If the table of cities cannot be read.
        """
        table = None if cities is None else read_cities(cities)
        data = self.seen(data)
        self.prepare(data)
        judged, scenes, where, allowed, told = self.answers(data, part, table, seed=seed)
        scores = self._scores(data, part, judged, told, seed=seed, level=level, resamples=resamples)
        if review is not None:
            write_review(self._contested(judged, scenes, where, allowed), review)
        return replace(
            scores,
            details={**scores.details, "cities": _by_city(scenes, judged.classes, told["system"])},
            facts={**scores.facts, **_chances(allowed, table)},
        )

    def answers(self, data: Collection, part: str, table: CityTable | None = None, *, seed: int = 0) -> Answers:
        """What the system and its baselines say of crops of a part; see `score`.

        Args:
            data: Crops with classes, split, as `seen` gives them and after `prepare`.
            part: The part.
            table: The cities.
            seed: Of the random forest.

        Raises:
            DataError: If the part has no crop.
        """
        judged = self._judged(data, part)
        scenes = tuple(_placed(data[int(number)]) for number in judged.scenes)
        where = tuple(_city_of(scene, table) for scene in scenes)
        allowed = self._allowed(where)
        told = {"system": np.where(allowed, judged.logits, -np.inf).argmax(1)}
        if table is not None:
            told["without the cities"] = judged.logits.argmax(1)
        counts = np.bincount(self._judged(data, "train", look=False).classes, minlength=len(self.classes))
        for name, rival in self._rivals(data, seed).items():
            told[name] = rival.predict(judged.features)
            if table is not None and hasattr(rival, "predict_proba"):
                chances = np.zeros(allowed.shape)
                chances[:, rival.classes_] = rival.predict_proba(judged.features)
                told[f"{name} of the city's"] = _likeliest(chances, allowed, counts)
        return Answers(judged, scenes, where, allowed, told)

    def predict(
        self,
        source: Scene | Source | str | Path | Sequence[Scene],
        output: Path,
        *,
        footprints: Path | None = None,
        margin: float = 0.1,
        cities: Path | None = None,
        prior: bool = True,
        review: Path | None = None,
        doubt: float = 0.5,
        small: int = 1000,
        device: str = "cpu",
        provenance: Mapping[str, Any] | None = None,
    ) -> list[Path]:
        """Write the material of each crop, or of each building on a scene, with probabilities and what else is known.

        Args:
            source: A crop or scene, or several.
            output: A table: `.csv`, `.json` or `.parquet`; or with outlines or places `.gpkg`, `.geojson`.
            footprints: A vector file of buildings; each is judged on a square cut from the scene.
            margin: What is added around a building on each side, as a share of its longer side.
            cities: A table of cities (`swath.data.city_table`), for names of cities and what stands in them.
            prior: Whether only materials of the city are chosen, where the table knows it.
            review: Where to write the roofs that a person should look at (`swath.data.reviews`): those whose likeliest
                material the city does not have, those below `doubt` and the small. What was decided there before is
                kept.
            doubt: Probability below which a roof is reviewed.
            small: Pixels up to which a crop is small; `variant="published"` leaves small crops out.
            device: Where the network runs.
            provenance: Further facts for the STAC item.

        Returns:
            The table, and the review where there is something to review.

        Raises:
            SwathError: If something cannot be read or written, or scenes and buildings do not meet.
        """
        table = None if cities is None else read_cities(cities)
        given = self._scenes(source)
        cut = given if footprints is None else cut_from_file(given, footprints, margin)
        if self._skips_small and not (cut := [scene for scene in cut if _pixels(scene) > small]):
            raise DataError("All crops are small", got=f"up to {small} pixels", fix="Give a smaller `small`")
        scenes = [_named(_placed(scene, table), table) for scene in cut]
        where = [_city_of(scene, table) for scene in scenes]
        scenes = [_with_city(scene, city) for scene, city in zip(scenes, where, strict=True)]
        free, allowed = self._probabilities(scenes, device), self._allowed(where)
        chances = free * allowed if prior else free
        chances = chances / chances.sum(1, keepdims=True)
        frame = self._table(scenes, chances)
        if table is not None:
            frame.insert(3, "without_cities", np.array(self.classes.names)[free.argmax(1)])
        if _SHAPE in frame.columns:
            frame[_SHAPE] = frame[_SHAPE].where(frame[_SHAPE].notna(), frame[CLASS].map(shape_of_roof))
        write_table(frame, output)
        self._describe(given, Path(output), {"cities": None if cities is None else str(cities), **(provenance or {})})
        if review is None:
            return [Path(output)]
        best = free.argmax(1)
        breaks = ~allowed[np.arange(len(best)), best]
        few = np.array([_pixels(scene) <= small for scene in scenes])
        cases = self._cases(frame, breaks, best, where, doubt, few)
        return [Path(output), Path(review)] if write_review(cases, review) else [Path(output)]

    def _allowed(self, where: Sequence[City | None]) -> np.ndarray:
        """Which classes a roof can have `[N, K]`: those of its city, and the unknown; all where no city is known."""
        names = self.classes.names
        allowed = np.ones((len(where), len(names)), bool)
        for row, city in zip(allowed, where, strict=True):
            own = np.array([city is not None and name in city.materials for name in names])
            if own.any():
                row[:] = own | np.array([name == UNKNOWN for name in names])
        return allowed

    def _cases(
        self,
        frame: pd.DataFrame,
        breaks: np.ndarray,
        best: np.ndarray,
        where: Sequence[City | None],
        doubt: float,
        few: np.ndarray,
    ) -> pd.DataFrame:
        """Rows of predictions that a person should look at, rule-breaking ones first, then the least sure."""
        unsure = (frame["probability"].to_numpy() < doubt) | few
        reasons = [
            f"looks like {self.classes.names[b]}, which {city.name} does not have" if broken and city else
            "few pixels" if little else
            f"unsure, {p:.2f}"
            for b, city, broken, p, little in zip(best, where, breaks, frame["probability"], few, strict=True)
        ]  # fmt: skip
        cases = frame.assign(**{CLASS: [proposal(name) for name in frame[CLASS]]})
        cases.insert(2, "reason", reasons)
        order = np.lexsort((frame["probability"].to_numpy(), ~breaks))
        return cases.iloc[[row for row in order if breaks[row] or unsure[row]]].reset_index(drop=True)

    def _contested(
        self, judged: Judged, scenes: Sequence[Placed], where: Sequence[City | None], allowed: np.ndarray
    ) -> pd.DataFrame:
        """Labelled crops whose label breaks the table, or that the network contradicts."""
        names = self.classes.names
        chances = np.exp(judged.logits - judged.logits.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        rows = []
        for number, (scene, city, label) in enumerate(zip(scenes, where, judged.classes, strict=True)):
            best = int(chances[number].argmax())
            row = {IMAGE: scene.id, CLASS: proposal(names[int(label)])}
            sure = float(chances[number, best])
            seen = {"seen as": names[best], "probability": sure}
            if city is not None and not allowed[number, label]:
                rows.append({**row, "reason": f"{city.name} does not have it", **seen})
            elif best != label and sure >= _CONTRADICTED:
                rows.append({**row, "reason": "the network contradicts", **seen})
        return pd.DataFrame(rows, columns=[IMAGE, CLASS, "reason", "seen as", "probability"])


class UntrainedRoofMaterials(RoofMaterials):
    """The same without training: classes by prompts alone, with published weights."""

    trained: ClassVar[bool] = False


def _placed(scene: Scene, table: CityTable | None = None) -> Placed:
    return scene if isinstance(scene, Placed) else placed_roof(scene, table=table)


def _named(scene: Placed, table: CityTable | None) -> Placed:
    """The scene with the name of its city, where only its position is known."""
    city = None if scene.place else _city_of(scene, table)
    return scene if city is None else replace(scene, place=city_key(city.name).replace("_", " ").title())


def _with_city(scene: Placed, city: City | None) -> Placed:
    """The scene with what the table says of its city."""
    if city is None:
        return scene
    told = {"city": city.key, "country": city.country, "continent": city.continent}
    return replace(scene, facts={**scene.facts, **told})


def _city_of(scene: Placed, table: CityTable | None) -> City | None:
    """The city of a scene: the nearest within 150 miles, else that of its name."""
    if table is None:
        return None
    if scene.outline is None:
        return table.of(scene.place)
    middle = shapely.centroid(scene.outline)
    return table.of(scene.place, middle.x, middle.y)


def _pixels(scene: Scene) -> int:
    height, width = shape_of(scene.grid)
    return height * width


def _likeliest(chances: np.ndarray, allowed: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The likeliest allowed class `[N]`; of those that are as likely, the one with the largest count `[K]`."""
    return np.where(allowed, chances + 1e-9 * counts / max(counts.sum(), 1), -1.0).argmax(1)


def _by_city(scenes: Sequence[Placed], classes: np.ndarray, told: np.ndarray) -> dict[str, dict[str, float]]:
    """Crops and accuracy by city, of true and predicted classes `[N]`."""
    cities = np.array([scene.group or scene.place for scene in scenes])
    right = classes == told
    return {
        str(city): {"crops": int(here.sum()), "accuracy": float(right[here].mean())}
        for city in np.unique(cities)
        for here in [cities == city]
    }


def _chances(allowed: np.ndarray, table: CityTable | None) -> dict[str, float]:
    """Accuracy of a guess at random among all classes, and among those of the city."""
    found = {"chance": round(1 / allowed.shape[1], 4)}
    if table is not None:
        found["chance of the city's"] = round(float((1 / allowed.sum(1)).mean()), 4)
    return found
