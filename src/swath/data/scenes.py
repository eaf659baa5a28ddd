"""Scenes and collections: what a data set is to Swath.

A scene is one place (and time) on its own grid, with image layers, time series (`swath.data.series`) or both, perhaps
labels, and the facts by which honest splits are made. A collection is an ordered set of scenes with one legend. Scenes
keep their own CRS and resolution; everything is read on the scene's grid, by window, but series that have a view.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import numpy as np
from odc.geo.geobox import GeoBox

from swath.data.classes import Classes
from swath.data.series import Series, SeriesInput, same_inputs
from swath.data.sources import Source
from swath.errors import DataError
from swath.geo.windows import Window
from swath.sensors.bands import Bands

#: Names of the parts of a split, in the order of their codes.
PARTS = ("train", "val", "test")


class Labels(Protocol):
    """Labels that can be laid on any grid.

    Attributes:
        name: Where they come from, for messages.
    """

    name: str

    def read(self, grid: GeoBox) -> np.ndarray:
        """Class indices `[height, width]`, int16, on `grid`; `IGNORE` where there is no label."""
        ...


class Partition(Protocol):
    """Which pixels of a scene belong to which part of a split."""

    def mask(self, window: Window, part: str) -> np.ndarray:
        """Bool `[height, width]`: pixels of `window` that belong to `part`."""
        ...


@dataclass(frozen=True)
class Scene:
    """One place on one grid.

    Attributes:
        id: Unique in its collection.
        layers: Image sources by name; the first one's grid is the scene's grid, others are read on it. Empty for a
            scene of series only, whose grid is that of its first frame.
        labels: Where the truth is known; None for unlabelled scenes.
        group: What must not be torn apart by a split: source image, flight, city, field.
        time: Acquisition time, UTC.
        part: `train`, `val` or `test` where a publisher fixed it; a partition where pixels of the scene are divided;
            None while undecided.
        series: Time series by name; a name is not that of a layer too.
    """

    id: str
    layers: Mapping[str, Source]
    labels: Labels | None = None
    group: str | None = None
    time: datetime | None = None
    part: str | Partition | None = None
    series: Mapping[str, Series] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.layers and not self.series:
            raise DataError(f"Scene {self.id} has neither layers nor series", expected="at least one image")
        if both := sorted(self.layers.keys() & self.series.keys()):
            raise DataError(f"Scene {self.id} has a layer and a series of the same name", got=", ".join(both))

    @property
    def main(self) -> Source:
        """The first layer or, where there is none, the first frame of the first series."""
        for source in self.layers.values():
            return source
        return next(iter(self.series.values())).frames[0].source

    @property
    def grid(self) -> GeoBox:
        """Grid of the main source."""
        return self.main.grid

    @property
    def depth(self) -> int:
        """Bytes of a pixel of all that is read on the scene's grid, as it is stored."""
        frames = (frame.source for s in self.series.values() if s.view is None for frame in s.frames)
        return max(1, sum(len(s.bands) * s.dtype.itemsize for s in (*self.layers.values(), *frames)))

    @property
    def inputs(self) -> dict[str, str | list[str]]:
        """Where the pixels of each layer, and of each frame of a series, come from."""
        layers = {name: source.name for name, source in self.layers.items()}
        return layers | {name: [frame.source.name for frame in s.frames] for name, s in self.series.items()}

    def part_mask(self, window: Window, part: str) -> np.ndarray:
        """Bool `[height, width]`: pixels of `window` that belong to `part`."""
        if self.part is None:
            raise DataError(f"Scene {self.id} is in no part of a split yet", fix="Split the collection first")
        if isinstance(self.part, str):
            return np.full(window.shape, self.part == part)
        return self.part.mask(window, part)


@dataclass(frozen=True)
class Collection(Sequence[Scene]):
    """An ordered set of scenes with one legend.

    Attributes:
        scenes: The scenes.
        classes: Legend of the labels; None where there are none.
        name: For reports.
        facts: What a report should say of the data: origin, licence, how it was split, what was warped.
    """

    scenes: tuple[Scene, ...]
    classes: Classes | None = None
    name: str = "data"
    facts: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.scenes:
            raise DataError(f"{self.name} holds no scenes", expected="at least one")
        ids = [scene.id for scene in self.scenes]
        if doubled := sorted({i for i in ids if ids.count(i) > 1} if len(set(ids)) < len(ids) else ()):
            raise DataError(f"{self.name} holds scenes of the same id", got=", ".join(doubled[:8]))

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> Scene:  # type: ignore[override]
        return self.scenes[index]

    def __iter__(self) -> Iterator[Scene]:
        return iter(self.scenes)

    @property
    def bands(self) -> dict[str, Bands]:
        """Bands of each layer, which all scenes share; raises `DataError` where they differ."""
        first = self.scenes[0]
        bands = {name: source.bands for name, source in first.layers.items()}
        for scene in self.scenes[1:]:
            other = {name: source.bands for name, source in scene.layers.items()}
            if {n: (b.sensor, b.names, b.units) for n, b in other.items()} != {
                n: (b.sensor, b.names, b.units) for n, b in bands.items()
            }:
                raise DataError(
                    f"Scenes {first.id} and {scene.id} have different layers or bands",
                    got={n: b.names for n, b in other.items()},
                    expected={n: b.names for n, b in bands.items()},
                )
        return bands

    @property
    def series(self) -> dict[str, SeriesInput]:
        """Bands and view of each series, which all scenes share; raises `DataError` where they differ."""
        first = self.scenes[0]
        inputs = {name: SeriesInput(series.bands, series.view) for name, series in first.series.items()}
        for scene in self.scenes[1:]:
            other = {name: SeriesInput(series.bands, series.view) for name, series in scene.series.items()}
            if not same_inputs(inputs, other):
                raise DataError(
                    f"Scenes {first.id} and {scene.id} have different series",
                    got={n: (s.bands.names, s.view) for n, s in other.items()},
                    expected={n: (s.bands.names, s.view) for n, s in inputs.items()},
                )
        return inputs

    def require_classes(self, classes: Classes) -> None:
        """Refuse labels of other classes than those that a task tells, or in another order.

        Raises:
            DataError: If there are no labels, or names of classes differ.
        """
        if self.classes is None:
            raise DataError(f"{self.name} has no labels", fix="Give `labels:` and `classes:`")
        if self.classes.names != classes.names:
            raise DataError(
                f"{self.name} has other classes than the task",
                got=", ".join(self.classes.names),
                expected=", ".join(classes.names),
            )

    def with_scenes(self, scenes: Sequence[Scene], **facts: object) -> Collection:
        """The same collection with other scenes and further facts."""
        return replace(self, scenes=tuple(scenes), facts={**self.facts, **facts})

    def with_part(self, part: str) -> Collection:
        """Only the scenes in which `part` occurs; raises `DataError` if there are none.

        Whether a divided scene holds labelled pixels of the part is the sampler's question.
        """
        kept = tuple(s for s in self.scenes if s.part == part or not isinstance(s.part, str | type(None)))
        if not kept:
            raise DataError(f"{self.name} has no scene in its '{part}' part", fix="Change the `split:` of the data")
        return replace(self, scenes=kept)
