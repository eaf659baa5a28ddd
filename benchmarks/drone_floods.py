"""FloodNet's masks on simulated pictures of a drone: `python -m benchmarks.drone_floods DATA RUNS NETWORK ...`.

Writes 48 pictures of 72 m to DATA, where they are not there yet: 24 train, 12 select, 12 test. In every other one water
stands on low ground; roofs look the same where they stand in it, and flooded roads look as other flooded ground does.
NETWORK is `enet` or `deeplab` (on a small encoder); the recipe was fixed before anything was scored, and the network
that selects better is the one to report. Scores are means over the classes and, for pairs that only their surroundings
tell apart, the mean recall of both among the pixels of the pair that are taken for one of it: a coin has 0.5.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

import swath
from benchmarks.floods import arrays, guessed, mapped
from swath.data.readers.floodnet import read_floodnet
from swath.metrics.confusion import Confusion, macro_mean, per_class
from swath.simulate.drone import floodnet
from swath.simulate.world import make_world
from swath.tasks.recipe import Recipe
from swath.tasks.scores import Score

RECIPE = Recipe(
    loss="ce+dice", learning_rate=3e-3, epochs=12, batch=8, patch=128, samples=320, augment=("d4", "colour")
)
PICTURES, EDGE = 48, 288
#: Pairs of classes by what they are.
PAIRS = {"buildings": (1, 2), "flooded road and other water": (3, 5), "roads": (3, 4)}


def main(data: str, runs: str, *networks: str) -> None:
    """Write what is not there, train, score, print."""
    folder = Path(data)
    if not folder.exists():
        floodnet(make_world(seed=11, width=6000, height=5000, towns=40), folder, PICTURES, EDGE)
    for network in networks:
        report(network, folder, Path(runs) / network)


def report(network: str, folder: Path, run: Path) -> None:
    """Train, score and print one network beside the pixel classifiers."""
    data = read_floodnet(folder)
    torch.manual_seed(0)
    task = swath.create("floodnet", network=network, encoder="test_resnet")
    task.fit(data, run, recipe=RECIPE, accelerator="cpu")
    task.eval()
    rivals = task.rivals(task.seen(data), 2, 0)
    found: dict[str, Confusion] = {}
    for scene in task.seen(data):
        if scene.part == "test":
            values, truth = arrays(scene)
            for name, codes in {network: mapped(task, values), **guessed(rivals, values, truth)}.items():
                found.setdefault(name, Confusion(len(task.classes))).update(codes, truth, scene.id)
    for name, confusion in found.items():
        iou = ", ".join(
            f"{c} {v:.2f}" for c, v in zip(task.classes.names, per_class(confusion.matrix)["iou"], strict=True)
        )
        told = scores(confusion.matrix)
        spread = confusion.intervals(scores, level=0.95, resamples=1000, seed=0)
        print(f"\n{name}: " + "; ".join(f"{k} {Score(v, *spread[k])}" for k, v in told.items()))
        print(iou, flush=True)


def scores(matrix: np.ndarray) -> dict[str, float]:
    """Mean IoU, accuracy, and how well the classes of each pair are told apart."""
    found = {"miou": macro_mean(per_class(matrix)["iou"]), "accuracy": float(np.trace(matrix) / matrix.sum())}
    for name, pair in PAIRS.items():
        found[name] = macro_mean(per_class(matrix[np.ix_(pair, pair)])["recall"])
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
