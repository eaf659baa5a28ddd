"""A segmentation of a series small enough to train in a second: squares that show only at the second of three dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from torch import nn

import tiny
from small_segmentation import CLASSES
from swath.data.scenes import Collection, Scene
from swath.data.series import Frame, Series, SeriesInput
from swath.data.sources import ArraySource
from swath.sensors.bands import Band, Bands
from swath.tasks.recipe import Recipe
from swath.tasks.segment import Segmentation

BANDS = Bands("custom", (Band("a", "dB"),))
IMAGE = Bands("rgb", (Band("red", "dn"),))
EDGE = 32


class Labels:
    """Class indices of a grid, laid on windows of it."""

    name = "array labels"

    def __init__(self, classes: np.ndarray, grid) -> None:
        self._source = ArraySource(classes[None].astype(np.int16), Bands("c", (Band("class", "1"),)), grid)

    def read(self, grid):
        from swath.geo.warp import warp

        values, valid = warp(self._source, grid, "nearest")
        return np.where(valid, values[0], -1).astype(np.int16)


def scene(number: int, part: str | None, image: bool = True, grid=None) -> Scene:
    """A scene whose image is noise; of every other scene the last date is missing."""
    grid = tiny.grid(EDGE, EDGE, x=500_000.0 + 2000 * number) if grid is None else grid
    generator = np.random.default_rng(number)
    classes = np.kron(generator.integers(0, 2, (4, 4)), np.ones((8, 8), int))
    dates = generator.normal(-12, 1, (3, 1, EDGE, EDGE)).astype(np.float32)
    dates[1, 0] += 4 * classes
    frames = [
        Frame(datetime(2020, 5, 1, tzinfo=UTC) + timedelta(30 * n), ArraySource(values, BANDS, grid))
        for n, values in enumerate(dates[: 3 - number % 2])
    ]
    layers = {"image": ArraySource(generator.integers(0, 255, (1, EDGE, EDGE)).astype(np.uint8), IMAGE, grid)}
    return Scene(
        f"s{number}", layers if image else {}, Labels(classes, grid), part=part, series={"s1": Series(tuple(frames))}
    )


def data(image: bool = True) -> Collection:
    parts = ["train"] * 4 + ["val", "test", "test"]
    return Collection(tuple(scene(n, part, image) for n, part in enumerate(parts)), CLASSES)


class Net(nn.Module):
    """The sum over valid dates of a convolution; the image only adds what it learns to add."""

    def __init__(self, image: bool = True) -> None:
        super().__init__()
        self.dates = nn.Conv2d(1, 2, 3, padding=1)
        self.image = nn.Conv2d(1, 2, 1) if image else None

    def forward(self, image, series):
        one = series["s1"]
        batch, length, _, height, width = one["values"].shape
        found = self.dates(one["values"].flatten(0, 1)).reshape(batch, length, 2, height, width)
        found = (found * one["valid"][:, :, None]).sum(1)
        return found if self.image is None else found + 0.01 * self.image(image)


def task(image: bool = True) -> Segmentation:
    import torch

    torch.manual_seed(0)
    recipe = Recipe(epochs=3, batch=8, patch=16, samples=64, learning_rate=0.05)
    made = Segmentation(
        Net(image),
        bands=IMAGE if image else {},
        classes=CLASSES,
        recipe=recipe,
        series={"s1": SeriesInput(BANDS)},
        stride=8,
    )
    made.system = {"id": "small", "options": {}}
    return made
