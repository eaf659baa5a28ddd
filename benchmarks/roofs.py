"""RoofNet on simulated roofs of cities that no training saw: `python -m benchmarks.roofs FOLDER [SEEDS]`.

Cities are dealt to parts, and the recipe was fixed on the validation part, before anything was scored. Crops are 64
pixels; the network is `tiny-resnet` from random weights, so zero-shot is what it says before it has learned anything.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import swath
from swath.data.readers.roofnet import read_roofnet
from swath.simulate.roofs import roofnet
from swath.simulate.world import make_world

STEPS = {"learning_rate": 2e-3, "epochs": 20, "batch": 32, "schedule": "cosine"}
#: What is compared: options of the builder, and of the recipe.
FORMS = {
    "corrected": ({}, {}),
    "plain sampler": ({}, {"sampling": "area"}),
    "published": ({"variant": "published"}, {}),
    "projections only": ({"tune": "projections"}, {}),
}


def main(folder: str, seeds: str = "1") -> None:
    """Simulate once, train every form, print scores."""
    root = Path(folder)
    if not (root / "cities.csv").is_file():
        roofnet(make_world(seed=5, width=6000, height=5000, towns=140, coast=0.0), root, roofs=30)
    data = read_roofnet(root)
    print("crops", {part: sum(scene.part == part for scene in data) for part in ("train", "val", "test")})
    for seed in range(int(seeds)):
        for name, (options, changes) in FORMS.items():
            torch.manual_seed(seed)
            task = swath.create("roofnet", model="tiny-resnet", **options)
            if name == "corrected":
                show(f"seed {seed}: zero-shot, untrained", task.score(data, cities=root / "cities.csv"))
            start = time.process_time()
            recipe = replace(task.recipe, **{**STEPS, **changes})
            task.fit(data, root / f"runs/{name}-{seed}", recipe=recipe, accelerator="cpu", seed=seed)
            print(f"{name}, seed {seed}: {time.process_time() - start:.0f} s of one core", flush=True)
            scores = task.score(data, cities=root / "cities.csv")
            show(f"seed {seed}: {name}", scores, baselines=name == "corrected")


def show(name: str, scores: object, baselines: bool = False) -> None:
    rows = {f"{name}, with cities": scores.system, f"{name}, without": scores.baselines["without the cities"]}
    rows |= scores.baselines if baselines else {}
    for row, values in rows.items():
        print(row, "; ".join(f"{metric} {value}" for metric, value in values.items()))
    print(scores.facts)


def steps(images: int = 8, model: str = "ViT-B-32") -> Iterator[tuple[str, int, float]]:
    """Trainable parameters, and seconds of a training step, of both ways to tune."""
    for tune in ("all", "projections"):
        task = swath.create("roofnet", model=model, tune=tune).train()
        trained = [p for p in task.net.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, 1e-5)
        size, taken = task.recipe.patch, []
        from swath.losses.contrastive import info_nce
        from swath.nn.clip import tokens

        texts = tokens(task.net, [f"roof {n}" for n in range(images)])
        for _ in range(4):
            start = time.perf_counter()
            seen = task.net.encode_image(torch.randn(images, 3, size, size))
            info_nce(seen, task.net.encode_text(texts)).backward()
            optimizer.step()
            optimizer.zero_grad()
            taken.append(time.perf_counter() - start)
        yield tune, sum(p.numel() for p in trained), float(np.median(taken[1:]))


if __name__ == "__main__":
    main(*sys.argv[1:])
