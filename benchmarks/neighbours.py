"""What neighbours in the training part are worth: `python -m benchmarks.neighbours FOLDER RUNS`.

The Dubai pictures are cut from tiles, nine from each, so that a picture left out at random has its neighbours in the
training part; a whole tile left out has none. Both ways every picture is tested once, in three folds of like size with
the same short training; the difference is what a split at random adds to the score. Pictures are averaged over squares
of 6 pixels.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import swath
from benchmarks.dubai import ENCODERS, RECIPE
from swath.data.readers.dubai import read_dubai
from swath.data.reduced import with_reduced_pictures
from swath.data.scenes import Collection
from swath.geo.windows import whole
from swath.metrics.bootstrap import percentile_interval
from swath.metrics.confusion import Confusion, summary

FOLDS = (("1", "2"), ("3", "4"), ("5", "6", "7", "8"))
SHORT = replace(RECIPE, patience=None, epochs=6, patch=64, samples=160)


def main(folder: str, runs: str) -> None:
    """Train six times, print."""
    data = with_reduced_pictures(read_dubai(folder), 6)
    rng = np.random.default_rng(0)
    by_tile = {scene.id: next(i for i, tiles in enumerate(FOLDS) if scene.group in tiles) for scene in data}
    at_random = dict(zip(by_tile, rng.permutation(list(by_tile.values())).tolist(), strict=True))
    ways = {"by tile": by_tile, "at random": at_random}
    found = {way: _tested(data, folds, Path(runs) / way.replace(" ", "_")) for way, folds in ways.items()}
    units = np.stack([np.stack([found[way].units[scene.id] for scene in data]) for way in ways], 1)

    def scores(total: np.ndarray) -> dict[str, float]:
        tile, chance = (summary(matrix) for matrix in total)
        return {
            f"{name}, {way}": values[name]
            for name in ("miou", "accuracy")
            for way, values in (
                ("by tile", tile),
                ("at random", chance),
                ("difference", {k: chance[k] - tile[k] for k in tile}),
            )
        }

    intervals = percentile_interval(units, scores)
    for name, value in scores(units.sum(0)).items():
        low, high = intervals[name]
        print(f"{name}: {value:.3f} [{low:.3f}, {high:.3f}]")


def _tested(data: Collection, folds: dict[str, int], runs: Path) -> Confusion:
    """Counts of every picture by the network that did not train on it."""
    counts = Confusion(len(data.classes or ()))
    for number in range(len(FOLDS)):
        parts = {name: "test" if fold == number else "train" for name, fold in folds.items()}
        dealt = data.with_scenes([replace(scene, part=parts[scene.id]) for scene in data], split="folds")
        torch.manual_seed(0)
        task = swath.create("landcover_ai", classes=data.classes, encoder=ENCODERS["deeptrinet"])
        task.fit(dealt, runs / str(number), recipe=SHORT, accelerator="cpu")
        for scene in dealt.with_part("test"):
            values, valid = scene.layers["image"].read(whole(scene.grid.shape))
            stored = scene.layers["image"].bands.decode(values)
            with torch.inference_mode():
                batch = {"image": torch.from_numpy(stored)[None], "valid": torch.from_numpy(valid)[None]}
                predicted = task(batch)[0].argmax(0).numpy()
            counts.update(predicted, scene.labels.read(scene.grid), scene.id)
    return counts


if __name__ == "__main__":
    main(*sys.argv[1:])
