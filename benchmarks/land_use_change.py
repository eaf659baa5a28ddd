"""FUSU-Net where images cannot tell what a series can: `python -m benchmarks.land_use_change RUNS [STEPS [NAME ...]]`.

Plots of 40 m are meadow, field or house. Meadow and field have the same noise in the images of both dates; of the four
dates of the series, a field is green at two, a meadow at all. Some plots become houses between the second and the third
date, some houses fields. Sixteen scenes train, three select, eight test; the recipe was fixed before anything was
scored.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from affine import Affine
from odc.geo.geobox import GeoBox

import swath
from swath.data.classes import Classes
from swath.data.labels import RasterLabels
from swath.data.pair_labels import PairLabels
from swath.data.scenes import Collection, Scene
from swath.data.series import Frame, Series, View
from swath.data.sources import ArraySource
from swath.sensors.bands import Band, Bands
from swath.sensors.catalogue import resolve
from swath.tasks.recipe import Recipe

CLASSES = Classes.of(["meadow", "field", "house"])
GREEN = Bands("series", (Band("green", "1"), Band("bare", "1")))
#: Edge of images, of their pixels in m, of plots in pixels, of the series in pixels of 10 m.
EDGE, PIXEL, PLOT, AROUND = 64, 2.5, 16, 24
#: Green cover of each class at each date.
COVER = np.array([[0.6, 0.65, 0.6, 0.65], [0.2, 0.8, 0.8, 0.2], [0.1, 0.1, 0.1, 0.1]])
PARTS = ("train",) * 16 + ("val",) * 3 + ("test",) * 8


def grid(edge: int, pixel: float, number: int) -> GeoBox:
    """A square of `edge` pixels around the place of a scene."""
    half, middle = edge * pixel / 2, 500_000 + 1000 * number
    return GeoBox((edge, edge), Affine(pixel, 0, middle - half, 0, -pixel, 5_000_000 + half), "EPSG:32633")


def scene(number: int, part: str) -> Scene:
    """A scene of its own seed."""
    rng = np.random.default_rng(number)
    plots = AROUND * 10 // 40
    before = rng.choice(3, (plots, plots), p=[0.4, 0.4, 0.2])
    turned = rng.random(before.shape) < 0.3
    after = np.where(turned, np.where(before == 2, 1, 2), before)
    inner = slice((plots - EDGE // PLOT) // 2, (plots + EDGE // PLOT) // 2)
    layers, labels = {}, []
    for name, use in (("before", before), ("after", after)):
        fine = np.kron(use[inner, inner], np.ones((PLOT, PLOT), int))
        seen = 100 + 50 * (fine == 2) + rng.normal(0, 14, (3, EDGE, EDGE))
        layers[name] = ArraySource(np.clip(seen, 0, 255).astype(np.uint8), resolve("rgb"), grid(EDGE, PIXEL, number))
        codes = ArraySource(fine[None].astype(np.uint8), Bands("use", (Band("use", "1"),)), grid(EDGE, PIXEL, number))
        labels.append(RasterLabels(codes, CLASSES))
    frames = []
    for date in range(4):
        cover = np.kron(COVER[before if date < 2 else after, date], np.ones((4, 4)))
        values = np.stack([cover, 1 - cover]) + rng.normal(0, 0.08, (2, AROUND, AROUND))
        source = ArraySource(values.astype(np.float32), GREEN, grid(AROUND, 10.0, number))
        frames.append(Frame(datetime(2021, 3 * date + 1, 15, tzinfo=UTC), source))
    series = {"months": Series(tuple(frames), View(10.0, AROUND))}
    return Scene(f"s{number}", layers, PairLabels(labels[0], labels[1], 3), part=part, series=series)


def main(runs: str, steps: str = "120", *names: str) -> None:
    """Train with and without the series (or one of both, by name), score, print."""
    data = Collection(tuple(scene(n, part) for n, part in enumerate(PARTS)), CLASSES, "plots")
    recipe = Recipe(
        optimizer="adam", learning_rate=3e-4, weight_decay=1e-4, schedule="poly", patch=EDGE, batch=4, epochs=3,
        samples=4 * int(steps) // 3, augment=("d4",),
    )  # fmt: skip
    for name in names or ("fused", "images alone"):
        torch.manual_seed(0)
        task = swath.create(
            "fusu", classes=CLASSES, series=data.series, encoder="hrnet_w18_small", pixel=PIXEL, fusion=name == "fused"
        )
        task.fit(data, Path(runs) / name.replace(" ", "-"), recipe=recipe, accelerator="cpu")
        scores = task.score(data, "test")
        print(name, scores.facts)
        for rival, values in {name: scores.system, **scores.baselines}.items():
            print(rival, "; ".join(f"{metric} {value}" for metric, value in values.items()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
