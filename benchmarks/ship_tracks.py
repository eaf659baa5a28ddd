"""CloudTracks on simulated granules: `python -m benchmarks.ship_tracks FOLDER semantic|instances|cost`.

Masks: 80 granules of 192 x 192 pixels on 20 days, of which 12 days train, 3 select and 5 test. Single tracks, beside
masks: 480 of 96 x 96 on 120 days, of which 72 train, 18 select and 30 test. Every fourth granule has no track. Days
were dealt, and recipes were fixed, before anything was scored on the test part. Single tracks were first measured on
120 granules, of which 28 tested; those now train, and the 120 that test now are others. What the page tells of single
tracks is a run that was cut off after 7 of the 14 epochs, the better one on the validation part of two.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch

import swath
from swath.data.readers.cloudtracks import read_cloudtracks
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource
from swath.data.splits import split_fixed
from swath.geo.grids import pixel_grid
from swath.metrics.bootstrap import percentile_interval
from swath.metrics.counting import count_scores
from swath.sensors.catalogue import resolve
from swath.simulate.ship_tracks import cloudtracks, granule
from swath.simulate.world import make_world
from swath.tasks.counted import components
from swath.tasks.recipe import Recipe
from swath.tasks.scores import Scores

SEED, EDGE = 11, 192
SEMANTIC = Recipe(
    loss="ce+foreground_jaccard", learning_rate=2e-3, epochs=12, batch=6, patch=EDGE, samples=48,
    augment=("d4", "colour"), sampling="area",
)  # fmt: skip
#: Granules of 96 pixels with at most 4 tracks, on which single tracks are learned within minutes.
SMALL, SMALL_MOST, SMALL_GRANULES = 96, 4, 480
SMALL_SEMANTIC = replace(SEMANTIC, epochs=8, batch=8, patch=SMALL, samples=None)
INSTANCES = Recipe(learning_rate=1.5e-3, epochs=14, batch=4, patch=SMALL, augment=("d4", "colour"), sampling="area")
#: A whole granule of MODIS.
WHOLE = (2030, 1354)


def simulated(folder: Path, granules: int = 80, edge: int = EDGE, most: int = 7) -> Collection:
    """The granules, made where they are not there yet, dealt by day in the order of time."""
    if not (folder / "images").is_dir():
        world = make_world(seed=SEED, width=600, height=600)
        cloudtracks(world, folder, granules=granules, shape=(edge, edge), most=most)
    found = read_cloudtracks(folder)
    days = sorted({scene.group or "" for scene in found})
    part = {
        day: "train" if i < 0.6 * len(days) else "val" if i < 0.75 * len(days) else "test" for i, day in enumerate(days)
    }
    return split_fixed(found, {scene.id: part[scene.group or ""] for scene in found})


def kinds(data: Collection, part: str) -> dict[str, np.ndarray]:
    """Which scenes of a part are empty, which have tracks that touch, so that connected pixels must count too few."""
    true, touching = [], []
    for scene in (s for s in data if s.part == part):
        masks = scene.labels.instances(scene.grid).masks()  # type: ignore[union-attr]
        true.append(len(masks))
        touching.append(bool(len(masks)) and int(components(masks.any(0), least=1).max()) < len(masks))
    empty, crossing = np.array(true) == 0, np.array(touching)
    return {"crossing": crossing, "apart": ~crossing & ~empty, "empty": empty}


def told(scores: Scores, name: str) -> None:
    """Print the scores of a system and its baselines."""
    for who, values in {name: scores.system, **scores.baselines}.items():
        print(who, "; ".join(f"{metric} {value}" for metric, value in values.items()))


def counts_told(counts: Mapping[str, Sequence[float]], chosen: Mapping[str, np.ndarray]) -> None:
    """Print errors of counts on scenes of each kind."""
    true = np.array(counts["true"])
    for who, predicted in counts.items():
        if who in ("true", "scenes"):
            continue
        for kind, which in chosen.items():
            judge = partial(count_scores, np.array(predicted)[which], true[which])
            low, high = percentile_interval(np.eye(which.sum()), judge)["count_mae"]
            print(f"{who}, {which.sum()} {kind}: MAE {judge()['count_mae']:.3f} [{low:.3f}, {high:.3f}]")


def main(folder: str, what: str) -> None:
    """Train, score, print."""
    if what == "cost":
        cost()
    elif what == "semantic":
        data = simulated(Path(folder) / "granules")
        counts_told(trained("cloudtracks", data, SEMANTIC, Path(folder) / "mask"), kinds(data, "test"))
    else:
        data = simulated(Path(folder) / "small", SMALL_GRANULES, SMALL, SMALL_MOST)
        mask = trained("cloudtracks", data, SMALL_SEMANTIC, Path(folder) / "small-mask")
        weights = Path(folder) / "small-mask" / "weights.safetensors"
        tracks = trained("cloudtracks:instances", data, INSTANCES, Path(folder) / "small-tracks", weights=weights)
        assert mask["scenes"] == tracks["scenes"]
        counts_told({**mask, "connected pixels of the mask": mask["system"], **tracks}, kinds(data, "test"))


def trained(name: str, data: Collection, recipe: Recipe, run: Path, **options: object) -> dict[str, Any]:
    """Train and score a form of the system; its counts, and those of its baselines, scene by scene."""
    torch.manual_seed(0)
    task: Any = swath.create(name, encoder="test_resnet", **options)
    began = process_time()
    task.fit(data, run, recipe=recipe, accelerator="cpu")
    print(f"{process_time() - began:.0f} s of training", flush=True)
    scores = task.score(data, "test")
    told(scores, name)
    counts: Any = scores.details["counts"]
    return dict(counts)


@torch.inference_mode()
def cost() -> None:
    """CPU seconds of a whole granule in tiles of 448 and as one tile, in turn, and the memory."""
    torch.manual_seed(0)
    picture = np.moveaxis(granule(SEED, 0, WHOLE).picture, -1, 0)
    scene = Scene("granule", {"image": ArraySource(picture, resolve("rgb"), pixel_grid(*WHOLE))})
    task: Any = swath.create("cloudtracks", encoder="test_resnet", variant="published")
    whole = {
        "image": torch.from_numpy(picture.astype(np.float32))[None],
        "valid": torch.ones(1, *WHOLE, dtype=torch.bool),
    }
    ways: dict[str, Callable[[], object]] = {
        "tiles of 448, a quarter shared": lambda: task.mask(scene, 448, 0.25),
        "tiles of 448, side by side": lambda: task.mask(scene, 448, 0.0),
        "whole": lambda: task.eval().probabilities(whole).argmax(1) == 1,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3):
        for name, way in ways.items():
            began = process_time()
            way()
            seconds[name].append(process_time() - began)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(f"{name}: {seconds[name][-1]:.1f} s; peak so far {peak:.2f} GiB", flush=True)
    base = np.median(seconds["whole"])
    for name, found in seconds.items():
        print(f"{name}: median {np.median(found):.1f} s, {np.median(found) / base:.2f} of whole")


if __name__ == "__main__":
    main(*sys.argv[1:])
