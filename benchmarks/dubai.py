"""Systems on real pictures of Dubai, tile by tile unseen: `python -m benchmarks.dubai SYSTEM FOLDER RUN`.

Tiles 1, 4, 7 and 8 train, 3 selects, 2 and 5 test; every picture is averaged over squares of 3 pixels. The tiles were
dealt, and the recipe was fixed, before a system was scored. `effunetpp` maps buildings against all else.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

import swath
from swath.data.readers.dubai import read_dubai
from swath.data.readers.dubai_buildings import read_dubai_buildings
from swath.data.reduced import with_reduced_pictures
from swath.tasks.recipe import Recipe

PARTS = {"1": "train", "4": "train", "7": "train", "8": "train", "3": "val", "2": "test", "5": "test"}
ENCODERS = {"effunetpp": "test_efficientnet", "deeptrinet": "test_resnet"}
RECIPE = Recipe(loss="ce+dice", learning_rate=3e-3, epochs=8, batch=8, patch=128, samples=240, augment=("d4", "colour"))


def main(system: str, folder: str, run: str) -> None:
    """Train, score, print."""
    read = read_dubai_buildings if system == "effunetpp" else read_dubai
    found = read(folder)
    data = found.with_scenes([replace(s, part=PARTS[s.group or ""]) for s in found], split="by tile")
    data = with_reduced_pictures(data, 3)
    torch.manual_seed(0)
    task = swath.create(system, classes=data.classes, encoder=ENCODERS[system])
    task.fit(data, Path(run), recipe=RECIPE, accelerator="cpu")
    scores = task.score(data, "test")
    for name, values in {system: scores.system, **scores.baselines}.items():
        print(name, "; ".join(f"{metric} {value}" for metric, value in values.items()))


if __name__ == "__main__":
    main(*sys.argv[1:])
