"""ENet of FloodNet on floods as radar sees them: `python -m benchmarks.floods FOLDER RUNS [PICTURE]`.

FOLDER holds the chips of Sen1Floods11 (`S1Hand`, `LabelHand`): 512 pixels of Sentinel-1, VV and VH in dB, and water by
hand. The seven chips with image and labels are dealt to three folds, so that each has much and little water; networks
are tested on one, select by a chip with much of both classes in another, and learn from the rest. Scores count the
pixels of all seven chips together, with intervals by chip. Rivals learned from the same chips: pixel classifiers, and
thresholds below which VV, VH, or the mean of VH over 7 pixels is water, with the best mean IoU there; Otsu's threshold
of VH is each tested chip's own. Paraguay_34417 holds no valid pixel and Ghana_83483 no label.

Chips, rivals and recipe were fixed before a chip was scored, but for smoke runs of a few steps. They showed scores of
rivals and of networks that called all chips dry; after the first, folds of one chip became these, for time. A run of
the command line with another split then had 0.747 on the chip of India in patches and 0.718 on the chip as a whole, so
networks are scored in patches of the size that they learned from, as `swath score` does, and no longer on whole chips.
The picture shows tested chips: VH, truth, map, and the map of the smoothed threshold.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from skimage.filters import threshold_otsu

import swath
from swath.data.classes import IGNORE
from swath.data.config import load_data
from swath.data.scenes import Collection, Scene
from swath.geo.windows import whole
from swath.metrics.confusion import confusion_matrix, per_class, summary
from swath.tasks.pixels import covered
from swath.tasks.recipe import Recipe
from swath.tasks.segment import Rival, Segmentation
from swath.tasks.tally import Tally

YAML = """
layers: {image: {files: "FOLDER/S1Hand/{id}_S1Hand.tif", sensor: sentinel1_grd, bands: [VV, VH]}}
labels: {files: "FOLDER/LabelHand/{id}_LabelHand.tif"}
classes: {0: dry, 1: {name: water, colour: "#3060ff"}}
ignore: [-1]
leave_out: [Paraguay_34417, Ghana_83483]
"""
RECIPE = Recipe(loss="ce+dice", learning_rate=2e-3, epochs=10, batch=8, patch=128, samples=192, augment=("d4",))
#: The chip that selects, and those that are tested.
FOLDS = {
    "Nigeria_812045": ("India_900498", "Spain_6860600"),
    "USA_905409": ("Nigeria_812045", "Mekong_333434", "Ghana_53713"),
    "India_900498": ("USA_905409", "Sri-Lanka_534068"),
}
DRAWN = ("India_900498", "Nigeria_812045", "USA_905409", "Sri-Lanka_534068")
#: Edge of the squares that a smoothed threshold averages, pixels.
EDGE = 7
SMOOTHED = f"threshold of VH, mean of {EDGE} x {EDGE} px"


def main(folder: str, runs: str, picture: str = "") -> None:
    """Train, score, print, draw."""
    data = chips(Path(folder), Path(runs))
    tallies: dict[str, Tally] = {}
    rows: dict[str, np.ndarray] = {}
    for select, tested in FOLDS.items():
        part = {select: "val", **dict.fromkeys(tested, "test")}
        fold = data.with_scenes([replace(s, part=part.get(s.id, "train")) for s in data], split="folds of chips")
        task = fitted(fold, Path(runs) / select)
        rivals, thresholds = task.rivals(task.seen(fold), 2, 0), learned_thresholds(fold)
        for scene in fold:
            if scene.part != "test":
                continue
            values, truth = arrays(scene)
            maps = {
                "ENet": mapped_in_patches(task, fold.with_scenes([scene])),
                **below(thresholds, values),
                **guessed(rivals, values, truth),
            }
            print(f"\n{scene.id}, {(truth == 1).sum() / (truth != IGNORE).sum():.1%} water")
            for name, codes in maps.items():
                tally = tallies.setdefault(name, Tally(data.classes, "water"))
                tally.update(codes, truth, (slice(None),) * 2, scene.id)
                matrix = confusion_matrix(codes, truth, 2)
                iou = per_class(matrix)["iou"]
                print(f"| {name} | {iou[1]:.3f} | {iou[0]:.3f} | {summary(matrix)['accuracy']:.3f} |", flush=True)
            rows[scene.id] = np.concatenate(panels(values, truth, maps["ENet"], maps[SMOOTHED]), 1)
    print("\nall chips")
    for name, tally in tallies.items():
        told = tally.scores(0.95, 1000, 0)
        print(f"| {name} | {told['miou']} | {told['water_iou']} | {told['accuracy']} |")
    if picture:
        Image.fromarray(np.concatenate([rows[name] for name in DRAWN])[::2, ::2]).save(picture)


def chips(folder: Path, runs: Path) -> Collection:
    """The chips, as a user's own YAML describes them."""
    runs.mkdir(parents=True, exist_ok=True)
    path = runs / "floods.yaml"
    path.write_text(YAML.replace("FOLDER", folder.resolve().as_posix()))
    return load_data(path)


def fitted(data: Collection, run: Path) -> Segmentation:
    """A network that learned from the training part."""
    torch.manual_seed(0)
    task = swath.create("floodnet", network="enet", classes=data.classes, bands=data.bands["image"])
    task.fit(data, run, recipe=RECIPE, accelerator="cpu")
    return task.eval()


def arrays(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Values `[2, H, W]` in dB, NaN where invalid, and classes `[H, W]`."""
    stored, valid = scene.layers["image"].read(whole(scene.grid.shape))
    values = np.where(valid, scene.layers["image"].bands.decode(stored), np.nan)
    return values, np.where(valid, scene.labels.read(scene.grid), IGNORE)


@torch.inference_mode()
def mapped(task: Segmentation, values: np.ndarray) -> np.ndarray:
    """Classes `[H, W]` of a chip."""
    batch = {
        "image": torch.tensor(np.nan_to_num(values))[None],
        "valid": torch.tensor(~np.isnan(values[:1]).any(0)[None]),
    }
    return task(batch).argmax(1)[0].numpy()


@torch.inference_mode()
def mapped_in_patches(task: Segmentation, data: Collection) -> np.ndarray:
    """Classes `[H, W]` of the one scene, from patches as a score has them."""
    found = np.zeros(data[0].grid.shape, np.int64)
    for batch, core in covered(task.seen(data), "test", task.recipe.patch, task.recipe.batch, 2, 0):
        for codes, (row, col, *_) in zip(task(batch).argmax(1).numpy(), batch["window"].tolist(), strict=True):
            inner = codes[core]
            row, col = row + core[0].start, col + core[1].start
            place = found[row : row + len(inner), col : col + inner.shape[1]]
            place[:] = inner[: place.shape[0], : place.shape[1]]
    return found


def guessed(rivals: Mapping[str, Rival], values: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Maps of pixel classifiers, where there are labels."""
    features = np.moveaxis(np.nan_to_num(values), 0, -1)
    return {name: rival(features, truth != IGNORE) for name, rival in rivals.items()}


def learned_thresholds(data: Collection) -> dict[str, float]:
    """Thresholds in dB of the training part, by name."""
    train = [arrays(scene) for scene in data if scene.part == "train"]
    truth = np.concatenate([mask[mask != IGNORE] for _, mask in train])
    found = {}
    for name, backscatter in BACKSCATTER.items():
        learned = np.concatenate([backscatter(seen)[mask != IGNORE] for seen, mask in train])
        found[name] = best_threshold(learned, truth)
    print("thresholds:", ", ".join(f"{name} {at:.2f} dB" for name, at in found.items()))
    return found


def below(thresholds: dict[str, float], values: np.ndarray) -> dict[str, np.ndarray]:
    """Maps of the thresholds, and of Otsu's of the chip itself."""
    maps = {name: (BACKSCATTER[name](values) < at).astype(np.int64) for name, at in thresholds.items()}
    vh = values[1]
    return maps | {"Otsu's threshold of VH": (vh < threshold_otsu(vh[~np.isnan(vh)])).astype(np.int64)}


def smoothed(values: np.ndarray) -> np.ndarray:
    """Mean of VH over squares `[H, W]`, of what is valid there."""
    valid = ~np.isnan(values[1])
    total, count = (ndimage.uniform_filter(v.astype(float), EDGE) for v in (np.nan_to_num(values[1]), valid))
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=valid)


BACKSCATTER: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "threshold of VV": lambda values: values[0],
    "threshold of VH": lambda values: values[1],
    SMOOTHED: smoothed,
}


def best_threshold(backscatter: np.ndarray, truth: np.ndarray) -> float:
    """The threshold in dB below which calling pixels water has the best mean IoU."""
    order = np.argsort(backscatter)
    hit = np.cumsum(truth[order])
    called = np.arange(1, len(order) + 1)
    water = hit / (called + truth.sum() - hit)
    right = len(order) - called - (truth.sum() - hit)
    dry = right / (len(order) - hit)
    return float(backscatter[order][(water + dry).argmax()])


def panels(values: np.ndarray, truth: np.ndarray, *maps: np.ndarray) -> list[np.ndarray]:
    """VH in grey from -30 to -10 dB, truth and maps, `[H, W, 3]`; grey where there is no label."""
    grey = np.clip(12.75 * (np.nan_to_num(values[1], nan=-30.0) + 30), 0, 255).astype(np.uint8)
    colours = np.array([[228, 220, 196], [48, 96, 255], [128, 128, 128]], np.uint8)
    return [
        np.repeat(grey[..., None], 3, -1),
        *(colours[codes] for codes in (np.where(truth == IGNORE, 2, truth), *maps)),
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
