"""RoofNet on simulated roofs of cities that no training saw: `python -m benchmarks.roofs FOLDER [SEED ...]`.

`python -m benchmarks.roofs cost` measures both ways to tune.

A seed deals the cities to parts and draws the first weights; the recipe was fixed before anything was scored. Crops are
64 pixels; the network is `tiny-resnet` from random weights, so zero-shot is what it says before it learned anything.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import swath
from swath.data.readers.roofnet import read_roofnet
from swath.losses.contrastive import info_nce
from swath.nn.clip import tokens
from swath.simulate.roofs import roofnet
from swath.simulate.world import make_world
from swath.tasks.scores import Scores

STEPS = {"learning_rate": 2e-3, "epochs": 25, "batch": 32, "schedule": "cosine"}
#: What is compared: options of the builder, and of the recipe.
FORMS = {
    "corrected": ({}, {}),
    "plain sampler": ({}, {"sampling": "area"}),
    "published": ({"variant": "published"}, {}),
    "projections only": ({"tune": "projections"}, {}),
}


def main(folder: str, *seeds: str) -> None:
    """Simulate once, train every form on every dealing of the cities, print scores."""
    root = Path(folder)
    if not (root / "cities.csv").is_file():
        roofnet(make_world(seed=5, width=6000, height=5000, towns=140, coast=0.0), root, roofs=45)
    for seed in map(int, seeds or ("0",)):
        data = read_roofnet(root, seed=seed)
        print("crops", {part: sum(scene.part == part for scene in data) for part in ("train", "val", "test")})
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


def show(name: str, scores: Scores, baselines: bool = False) -> None:
    """Print scores with and without the cities."""
    rows = {f"{name}, with cities": scores.system, f"{name}, without": scores.baselines["without the cities"]}
    rows |= scores.baselines if baselines else {}
    for row, values in rows.items():
        print(row, "; ".join(f"{metric} {value}" for metric, value in values.items()))
    print(scores.facts)


def cost(model: str = "ViT-B-32", images: int = 8, rounds: int = 4) -> None:
    """Print trained parameters and processor time of a training step of both ways to tune, taken in turns."""
    tasks = {tune: swath.create("roofnet", model=model, tune=tune).train() for tune in ("all", "projections")}
    trained = {tune: [p for p in task.net.parameters() if p.requires_grad] for tune, task in tasks.items()}
    optimizers = {tune: torch.optim.AdamW(parameters, 1e-5) for tune, parameters in trained.items()}
    texts = tokens(tasks["all"].net, [f"roof {n}" for n in range(images)])
    taken: dict[str, list[float]] = {tune: [] for tune in tasks}
    for _ in range(rounds):
        for tune, task in tasks.items():
            size, start = task.recipe.patch, time.process_time()
            seen = task.net.encode_image(torch.randn(images, 3, size, size))
            info_nce(seen, task.net.encode_text(texts)).backward()
            optimizers[tune].step()
            optimizers[tune].zero_grad()
            taken[tune].append(time.process_time() - start)
    for tune in tasks:
        count = sum(p.numel() for p in trained[tune])
        print(f"{model}, {tune}: {count:,} parameters, {np.median(taken[tune][1:]):.2f} s a step of {images} images")


if __name__ == "__main__":
    if sys.argv[1] == "cost":
        cost(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
