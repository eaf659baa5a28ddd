"""Cloud-Adapter across sensors, on real scenes: `python -m benchmarks.clouds SENSOR FOLDER RUNS`.

Learns clouds on blocks of one scene, of `sentinel2` or `landsat7` (DLR's labels), and is scored on the scene's unseen
blocks, on the scene of the other sensor and on patches of Landsat 8 (38-Cloud), beside a threshold of brightness, a
linear probe of the same frozen transformer, and pixel classifiers. All see red, green and blue of the same blocks.
The plan was changed after scores were seen: a first one learned on 38-Cloud, most of whose patches here are all cloud
or all clear. Smoke runs of this one showed scores too; afterwards only the number of steps was changed, for time.

No pretrained weights are at hand, so the frozen transformer is a small one drawn at random.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import swath
from swath.data.classes import IGNORE
from swath.data.loader import Batches
from swath.data.readers.cloud38 import CLASSES, read_cloud38
from swath.data.readers.cloudshadow import read_cloudshadow
from swath.data.scenes import Collection, Scene
from swath.geo.windows import Window, whole
from swath.nn.dino import dino_vit, tokens
from swath.tasks.feed import cover
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.scores import Score
from swath.tasks.segment import Segmentation
from swath.tasks.tally import Tally

RECIPE = Recipe(
    loss="queries", learning_rate=1e-3, weight_decay=0.05, schedule="poly",
    epochs=5, batch=4, patch=128, samples=96, augment=("d4", "colour"), sampling="labels",
)  # fmt: skip
PROBE = replace(RECIPE, loss="ce", learning_rate=1e-2)
OPTIONS = {"encoder": "vit_tiny", "head": "tiny", "image_size": 128}


class Probe(nn.Module):
    """A linear map from the frozen transformer's last tokens to logits."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.encoder = dino_vit("vit_tiny", 128)
        self.probe = nn.Conv2d(self.encoder.embed_dim, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits `[B, K, H, W]` of normalised images."""
        x = tokens(self.encoder, image)
        for block in self.encoder.blocks:
            x = block(x)
        rows, columns = image.shape[-2] // 16, image.shape[-1] // 16
        logits = self.probe(x[:, 1:].mT.unflatten(2, (rows, columns)))
        return functional.interpolate(logits, image.shape[-2:], mode="bilinear")


class Brightness(nn.Module):
    """Cloud where the mean of the bands is above a threshold."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, image: Tensor) -> Tensor:
        """Logits `[B, 2, H, W]` of images in physical units."""
        over = image.mean(1) - self.threshold
        return torch.stack([-over, over], 1)


def main(sensor: str, folder: str, runs: str) -> None:
    """Train, score, print."""
    scenes = read_cloudshadow(Path(folder) / "cloudshadow_labels", legend="cloud")
    data = scenes.with_scenes([scene for scene in scenes if scene.id == sensor])
    torch.manual_seed(0)
    adapter = swath.create("cloud_adapter", classes=CLASSES, bands=data.bands["image"], **OPTIONS)
    adapter.fit(data, Path(runs) / f"{sensor}-adapter", recipe=RECIPE, accelerator="cpu")
    known = {"bands": adapter.bands, "classes": CLASSES}
    torch.manual_seed(0)
    probe = Segmentation(Probe(2), recipe=PROBE, normalisation=adapter.normalise.layers, stride=16, **known)
    probe.system = {"id": "probe", "options": {}}
    probe.train_only("probe")
    probe.fit(data, Path(runs) / f"{sensor}-probe", recipe=PROBE, accelerator="cpu")
    threshold = best_threshold(probe.seen(data)[0])
    none = {"image": Normalisation((0.0,) * 3, (1.0,) * 3)}
    bright = Segmentation(Brightness(threshold), recipe=PROBE, normalisation=none, **known)
    print(f"brightness above {threshold:.3f}")
    rivals = {"linear probe": probe, "brightness": bright}
    report(f"{sensor}, unseen blocks", adapter, rivals, data)
    others = [[scene] for scene in scenes if scene.id != sensor]
    for found in (*others, list(read_cloud38(Path(folder) / "cloud38_mini"))):
        test = [replace(scene, part="test") for scene in found]
        seen = [*adapter.seen(data), *adapter.seen(data.with_scenes(test))]
        mixed = [replace(seen[0], part=OnlyTraining(seen[0])), *seen[1:]]
        report(found[0].id, adapter, rivals, data.with_scenes(mixed))


def best_threshold(scene: Scene) -> float:
    """The brightness that is right for most labelled training pixels."""
    window = whole(scene.grid.shape)
    stored, valid = scene.layers["image"].read(window)
    labels = scene.labels.read(scene.grid)
    learned = valid & scene.part_mask(window, "train") & (labels != IGNORE)
    bright, cloud = scene.layers["image"].bands.decode(stored).mean(0)[learned], labels[learned] == 1
    order = np.argsort(bright)
    # right above a threshold are clouds, right below it is clear ground
    right = np.cumsum(~cloud[order]) + cloud.sum() - np.cumsum(cloud[order])
    return float(bright[order][right.argmax()])


class OnlyTraining:
    """The training blocks of a scene, and no others.

    Args:
        scene: The scene.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def mask(self, window: Window, part: str) -> np.ndarray:
        """See `swath.data.scenes.Partition`."""
        return self.scene.part_mask(window, part) & (part == "train")


def report(name: str, adapter: Segmentation, rivals: dict[str, Segmentation], data: Collection) -> None:
    """Score on the test part, and print a table."""
    scores = adapter.score(data)
    rows = {"cloud_adapter": scores.system, **{n: tallied(rival, data) for n, rival in rivals.items()}}
    print(f"\n{name}: {scores.facts['pixels']} pixels, {scores.facts['intervals']}")
    for rival, values in {**rows, **scores.baselines}.items():
        print(f"| {rival} | {values['miou']} | {values['accuracy']} |", flush=True)


@torch.inference_mode()
def tallied(task: Segmentation, data: Collection) -> dict[str, Score]:
    """Scores on the test part as `Segmentation.score` has them, without its pixel classifiers."""
    data = task.eval().seen(data)
    places, margin = cover(data, "test", task.recipe.patch)
    by_scene = len({scene.id for scene in data if scene.part == "test"}) >= 8
    tally, core = Tally(CLASSES), (slice(margin, task.recipe.patch - margin),) * 2
    for batch in Batches(data, places, part="test", patch=task.recipe.patch, batch=4):
        predicted, masks = task(batch).argmax(1).numpy(), batch["mask"].numpy()
        for i, (scene, window) in enumerate(zip(batch["scene"].tolist(), batch["window"].tolist(), strict=True)):
            if (masks[i][core] != IGNORE).any():
                tally.update(predicted[i], masks[i], core, scene if by_scene else (scene, *window[:2]))
    return tally.scores(0.95, 1000, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
