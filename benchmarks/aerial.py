"""Simulated aerial pictures: `python -m benchmarks.aerial PART DATA RUNS`.

PART `buildings` holds U-Net++ against a plain U-Net of as many parameters on the same encoder, and against Otsu's
threshold, on towns at 1 m (12 pictures of 320 pixels: 8 train, 1 selects, 3 test). PART `cover` holds DeepLabv3+ with
the Dense Prediction Cell against the 15 nearest colours among the training pixels, on sheets of 0.5 m (6 of 800 pixels,
split by sheet). Networks learn for equal steps; recipes were fixed before anything was scored. DATA is written where it
is not there yet.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import segmentation_models_pytorch as smp
import torch
from skimage.filters import threshold_otsu
from sklearn.neighbors import KNeighborsClassifier

import swath
from benchmarks.floods import arrays, guessed, mapped
from swath.data.readers.landcover_ai import read_landcover_ai
from swath.data.readers.mass_buildings import read_mass_buildings
from swath.data.scenes import Collection
from swath.simulate.aerial import mass_buildings
from swath.simulate.layouts import landcover_ai
from swath.simulate.world import make_world
from swath.tasks.pixels import labelled_pixels
from swath.tasks.recipe import Recipe
from swath.tasks.segment import Segmentation
from swath.tasks.tally import Tally

RECIPE = Recipe(loss="ce+dice", learning_rate=3e-3, epochs=10, batch=8, patch=96, samples=192, augment=("d4", "colour"))
#: Channels of the plain decoder, with which it has about as many parameters as U-Net++: 1.77 M to 1.76 M.
PLAIN = (274, 137, 68, 34, 17)


def buildings(data: Path, runs: Path) -> None:
    """U-Net++, U-Net, Otsu and pixel classifiers."""
    if not data.exists():
        mass_buildings(make_world(seed=13, width=4000, height=4000, towns=60), data, 12, 320)
    scenes = read_mass_buildings(data)
    torch.manual_seed(0)
    nested = swath.create("effunetpp", encoder="test_efficientnet")
    torch.manual_seed(0)
    net = smp.Unet("tu-test_efficientnet", encoder_weights=None, decoder_channels=PLAIN, classes=2)
    plain = Segmentation(
        net, bands=nested.bands, classes=nested.classes, recipe=RECIPE, normalisation=nested.normalise.layers,
        stride=32, target="building",
    )  # fmt: skip
    plain.system = {"id": "unet", "options": {}}
    for name, task in (("U-Net++", nested), ("U-Net", plain)):
        print(name, sum(p.numel() for p in task.net.parameters()), "parameters")
        task.fit(scenes, runs / name, recipe=RECIPE, accelerator="cpu")
    report(scenes, {"U-Net++": nested, "U-Net": plain}, otsu=True)


def cover(data: Path, runs: Path) -> None:
    """DeepLabv3+ with its cell, nearest colours and pixel classifiers."""
    if not data.exists():
        landcover_ai(make_world(seed=14, width=5000, height=3000, towns=60), data, 6, 800)
    sheets = read_landcover_ai(data)
    torch.manual_seed(0)
    task = swath.create("landcover_ai", encoder="test_resnet")
    task.fit(sheets, runs / "cell", recipe=RECIPE, accelerator="cpu")
    report(sheets, {"cell": task})


def report(data: Collection, tasks: dict[str, Segmentation], otsu: bool = False) -> None:
    """Scores on the test part, with intervals by squares of 160 pixels."""
    first = next(iter(tasks.values())).eval()
    data = first.seen(data)
    rivals = dict(first.rivals(data, 2, 0))
    nearest = KNeighborsClassifier(15).fit(*labelled_pixels(data, "train", first.recipe.patch, 2, 0))
    found: dict[str, Tally] = {}
    for scene in data:
        if scene.part != "test":
            continue
        values, truth = arrays(scene)
        maps = {name: mapped(task.eval(), values) for name, task in tasks.items()}
        maps |= guessed(rivals, values, truth)
        maps["15 nearest colours"] = nearest.predict(values.reshape(len(values), -1).T).reshape(truth.shape)
        if otsu:
            grey = values.mean(0)
            maps["Otsu"] = (grey > threshold_otsu(grey)).astype(np.int64)
        for name, codes in maps.items():
            tally = found.setdefault(name, Tally(first.classes, first.target))
            for row in range(0, truth.shape[0], 160):
                for col in range(0, truth.shape[1], 160):
                    tally.update(codes, truth, (slice(row, row + 160), slice(col, col + 160)), (scene.id, row, col))
    for name, tally in found.items():
        print(name, "; ".join(f"{metric} {value}" for metric, value in tally.scores(0.95, 1000, 0).items()), flush=True)


if __name__ == "__main__":
    {"buildings": buildings, "cover": cover}[sys.argv[1]](*map(Path, sys.argv[2:]))
