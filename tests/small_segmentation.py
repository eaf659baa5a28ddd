"""A segmentation small enough to train in a second: squares in noise, on pictures of 64 pixels."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from odc.geo.geobox import GeoBox
from torch import nn

from swath.data.classes import Classes
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource
from swath.geo.grids import pixel_grid
from swath.sensors.bands import Band, Bands
from swath.tasks.recipe import Recipe
from swath.tasks.segment import Segmentation

BANDS = Bands("custom", (Band("a", "1"), Band("b", "1")))
CLASSES = Classes.of(["ground", "square"])


class ArrayLabels:
    """Class indices of a picture, laid on windows of its own grid."""

    name = "array labels"

    def __init__(self, classes: np.ndarray) -> None:
        bands = Bands("custom", (Band("class", "1"),))
        self._source = ArraySource(classes[None], bands, pixel_grid(*classes.shape))

    def read(self, grid: GeoBox) -> np.ndarray:
        from swath.geo.windows import Window

        window = Window(round(-grid.affine.f), round(grid.affine.c), *(int(n) for n in grid.shape))
        values, valid = self._source.read(window)
        return np.where(valid, values[0], -1).astype(np.int16)


def scene(number: int, part: str | None) -> Scene:
    generator = np.random.default_rng(number)
    classes = np.kron(generator.integers(0, 2, (8, 8)), np.ones((8, 8), int)).astype(np.int16)
    noise = generator.normal(0, 1, (2, 64, 64)) + generator.normal(0, 0.1, (2, 1, 1))
    values = (noise + np.stack([classes, np.zeros_like(classes)])).astype(np.float32)
    return Scene(
        f"s{number}", {"image": ArraySource(values, BANDS, pixel_grid(64, 64))}, ArrayLabels(classes), part=part
    )


def data() -> Collection:
    parts = ["train"] * 6 + ["val"] * 2 + ["test"] * 3
    return Collection(tuple(scene(i, part) for i, part in enumerate(parts)), CLASSES, name="squares")


def task(dropout: float = 0.1, **changes: Any) -> Segmentation:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 8, 5, padding=2), nn.ReLU(), nn.Dropout(dropout), nn.Conv2d(8, 2, 1))
    options = {
        "epochs": 4,
        "batch": 4,
        "patch": 32,
        "samples": 64,
        "learning_rate": 0.03,
        "sampling": "area",
        **changes,
    }
    made = Segmentation(net, bands=BANDS, classes=CLASSES, recipe=Recipe(**options))  # type: ignore[arg-type]
    made.system = {"id": "small", "options": {}}
    return made


if __name__ == "__main__":
    folder, devices, pause = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    import time

    from lightning.pytorch import Callback

    class Slow(Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            time.sleep(pause)

    task(dropout=0.0 if devices > 1 else 0.1).fit(
        data(), folder, seed=3, accelerator="cpu", devices=devices, strategy="ddp" if devices > 1 else "auto",
        callbacks=(Slow(),),
    )  # fmt: skip
