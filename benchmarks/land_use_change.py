"""FUSU-Net on simulated farmland: `python -m benchmarks.land_use_change FOLDER RUNS [STEPS]`.

Fields are bare at both dates, as cleared ground is; the months around tell them apart. Twelve patches train, four
select, eight test; they were dealt, and the recipe was fixed, before anything was scored.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import swath
from swath.data.readers.fusu import read_fusu
from swath.data.series import SeriesInput, View
from swath.simulate.fusu import fusu
from swath.simulate.world import make_world
from swath.tasks.recipe import Recipe

MONTHS = (("A", 10), ("B", 2), ("B", 5), ("B", 7), ("B", 9), ("C", 2), ("C", 5), ("C", 7), ("C", 9))
#: Patches, their edge in pixels of 0.5 m, and the edge of the series in pixels of 10 m.
PATCHES, EDGE, AROUND = 24, 160, 32
PARTS = ("train",) * 12 + ("val",) * 4 + ("test",) * 8


def simulated(folder: Path) -> None:
    """Simulate the patches where nothing lies yet."""
    if not (folder / "im1").is_dir():
        world = make_world(seed=5, width=4000, height=4000, coast=0.0, towns=12, relief=60, forest=0.1)
        fusu(world, folder, patches=PATCHES, edge=EDGE, months=MONTHS, around=AROUND)


def main(folder: str, runs: str, steps: str = "80") -> None:
    """Simulate, train with and without months, score, print."""
    simulated(Path(folder))
    found = read_fusu(folder)
    order = np.random.default_rng(1).permutation(len(found)).tolist()
    parts = dict(zip(order, PARTS, strict=True))
    data = found.with_scenes([replace(s, part=parts[n], group=None) for n, s in enumerate(found)], split="by patch")
    recipe = Recipe(
        optimizer="adam", learning_rate=2e-4, weight_decay=1e-4, schedule="poly", patch=96, batch=4, epochs=2,
        samples=2 * int(steps), augment=("d4",),
    )  # fmt: skip
    series = {"monthly": SeriesInput(data.series["monthly"].bands, View(10.0, AROUND))}
    for name, fusion in (("fused", True), ("images alone", False)):
        torch.manual_seed(0)
        task = swath.create("fusu", classes=data.classes, series=series, encoder="hrnet_w18_small", fusion=fusion)
        task.fit(data, Path(runs) / name.replace(" ", "-"), recipe=recipe, accelerator="cpu")
        scores = task.score(data, "test")
        scores.save(Path(runs) / f"{name.replace(' ', '-')}.json")
        for rival, values in {name: scores.system, **scores.baselines}.items():
            print(rival, "; ".join(f"{metric} {value}" for metric, value in values.items()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
