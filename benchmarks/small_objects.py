"""DeepTriNet where things are small: `python -m benchmarks.small_objects DATA RUNS [SEED ...]`.

Writes 36 simulated pictures of 3 m a pixel to DATA, in the layout of GID-15, where they are not there yet: many roofs
and roads are 2 to 6 pixels wide, on textured ground. The network and the same one without its attention learn for equal
steps from the same patches, for each of three seeds. A roof is found where half of its pixels are; roofs are connected
pixels of which no more than 6 stand in a row or column. What learned and what it is scored by was fixed beforehand.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

import swath
from benchmarks.floods import arrays, guessed, mapped
from swath.data.readers.gid15 import CLASSES, read_gid15
from swath.metrics.confusion import Confusion, macro_mean, per_class
from swath.simulate.aerial import gid15
from swath.simulate.world import make_world
from swath.tasks.recipe import Recipe
from swath.tasks.scores import Score

RECIPE = Recipe(loss="ce+dice", learning_rate=3e-3, epochs=12, batch=8, patch=96, samples=320, augment=("d4", "colour"))
PICTURES, EDGE = 36, 256
ROOF, ROAD = CLASSES.names.index("rural residential"), CLASSES.names.index("traffic land")
#: Pixels in a row or column of a small roof, at most; pixels of a roof, at least.
WIDEST, LEAST = 6, 4


def main(folder: str, runs: str, *seeds: str) -> None:
    """Write what is not there, train, score, print."""
    if not Path(folder).exists():
        gid15(make_world(seed=12, width=6500, height=6500, towns=60), Path(folder), PICTURES, EDGE)
    data = read_gid15(folder)
    for number, seed in enumerate(seeds or ("0", "1", "2")):
        found: dict[str, tuple[Confusion, list[np.ndarray]]] = {}
        for attention in ("sum_conv", "none"):
            torch.manual_seed(int(seed))
            task = swath.create("deeptrinet", encoder="test_resnet", attention=attention)
            task.fit(data, Path(runs) / f"{attention}-{seed}", recipe=RECIPE, seed=int(seed), accelerator="cpu")
            seen = task.eval().seen(data)
            rivals = {} if number or attention == "none" else task.rivals(seen, 2, 0)
            for scene in seen:
                if scene.part == "test":
                    values, truth = arrays(scene)
                    maps = {f"attention {attention}": mapped(task, values), **guessed(rivals, values, truth)}
                    for name, codes in maps.items():
                        confusion, roofs = found.setdefault(name, (Confusion(len(CLASSES)), []))
                        confusion.update(codes, truth, scene.id)
                        roofs.append(found_roofs(codes, truth))
        for name, (confusion, roofs) in found.items():
            told = scores(confusion.matrix)
            spread = confusion.intervals(scores, level=0.95, resamples=1000, seed=0)
            print(
                f"seed {seed}, {name}: small roofs found {np.concatenate(roofs).mean():.3f} of {sum(map(len, roofs))}"
            )
            print("; ".join(f"{k} {Score(v, *spread[k])}" for k, v in told.items()), flush=True)


def found_roofs(codes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Whether each small roof is found, `[roofs]`."""
    roofs, _ = ndimage.label(truth == ROOF)
    hit = []
    for number, place in enumerate(ndimage.find_objects(roofs), 1):
        own = roofs[place] == number
        if max(own.shape) <= WIDEST and own.sum() >= LEAST:
            hit.append((codes[place][own] == ROOF).mean() >= 0.5)
    return np.array(hit, bool)


def scores(matrix: np.ndarray) -> dict[str, float]:
    """Mean IoU, accuracy, and recall of the pixels of roofs and roads."""
    found = per_class(matrix)
    return {
        "miou": macro_mean(found["iou"]),
        "accuracy": float(np.trace(matrix) / matrix.sum()),
        "roofs": float(found["recall"][ROOF]),
        "roads": float(found["recall"][ROAD]),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
