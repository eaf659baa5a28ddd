"""Bias and coverage of adjusted effects on simulated studies whose confounder an image shows.

    OMP_NUM_THREADS=1 python -m benchmarks.confounding PART [STUDIES]

`coverage` and `bias`: the simulation of the authors' package, 500 units with an image of 16 x 16 pixels each, effect 2,
one confounder in the image, two in the table; the frozen way with 16 random features. `network`: the same by networks.
`kernel` and `resolution`: the simulation of the paper, 500 units with an image of 32 x 32 pixels, whose confounder is
the response to a pattern of 8 pixels; random filters of several sizes, and images whose pixels are merged. `salience`:
share of the network's gradient on planted objects. Intervals of 90 %, by bootstraps of 30 draws.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

from swath import registry
from swath.causal.chip_net import NetTraining, gradients
from swath.causal.propensity import train_net
from swath.causal.units import Units
from swath.nn.chip_sequence import Backbone, sequence_encoder
from swath.simulate.confounded import confounded_study, pattern_study

_EFFECT = 2.0


def report(name: str, make: Callable[[int], Units], studies: int, draws: int = 30, **options: object) -> None:
    """Print bias, its error, and coverage of each estimator over studies."""
    found: dict[str, list[tuple[float, bool]]] = {}
    for seed in range(studies):
        with tempfile.TemporaryDirectory() as folder:
            registry.create("imgconfound", **options).fit(make(seed), Path(folder), seed=seed, draws=draws)
            estimates = json.loads((Path(folder) / "study.json").read_text())["estimates"]
        for estimator, one in estimates.items():
            covered = one["low"] <= _EFFECT <= one["high"]
            found.setdefault(estimator, []).append((one["value"] - _EFFECT, covered))
    for estimator, rows in found.items():
        bias, covered = np.array(rows, float).T
        error = bias.std(ddof=1) / len(bias) ** 0.5
        print(
            f"{name:24} {estimator:18} bias {bias.mean():6.3f} +- {error:.3f}  coverage {covered.mean():.3f}",
            flush=True,
        )


def package(seed: int, covariates: bool = True, shown: bool = True) -> Units:
    """A study of the package's simulation, without covariates or without what the image shows."""
    units = confounded_study(500, seed, _EFFECT, edge=16, covariates=covariates)
    if shown:
        return units
    return replace(units, images=np.random.default_rng(seed).random(units.images.shape, np.float32))


def merged(units: Units, factor: int) -> Units:
    """Units whose pixels are means of `factor` x `factor` of the old."""
    *outer, height, width = units.images.shape
    blocks = units.images.reshape(*outer, height // factor, factor, width // factor, factor)
    return replace(units, images=blocks.mean(axis=(-3, -1)))


def salience(seed: int, backbone: Backbone) -> tuple[float, float]:
    """Share of the gradient of the logit on planted objects, over that of the area: of norms, and of their squares.

    Objects are squares of 6 pixels in noise of 32 x 32; 400 images, half with an object, of which nine in ten are
    treated, as is one in ten of the others. Measured on 100 other images.
    """
    random = np.random.default_rng(seed)
    present = random.random(500) < 0.5
    images = random.normal(size=(500, 1, 3, 32, 32)).astype(np.float32)
    inside = np.zeros((500, 32, 32), bool)
    for number in np.flatnonzero(present):
        row, col = random.integers(0, 27, 2)
        images[number, :, :, row : row + 6, col : col + 6] += 2.0
        inside[number, row : row + 6, col : col + 6] = True
    units = confounded_study(500, seed, edge=32, covariates=False)
    treatment = (random.random(500) < np.where(present, 0.9, 0.1)).astype(float)
    units = replace(units, images=images, treatment=treatment).select(np.arange(500) < 400)
    net = train_net(lambda: sequence_encoder(1, 3, 16, backbone, "stacked"), 16, units, NetTraining(25, 32, 3e-3), seed)
    shown = np.flatnonzero(present & (np.arange(500) >= 400))
    found = np.sqrt((gradients(net, images[shown], np.zeros((len(shown), 0)))[0] ** 2).sum(axis=(1, 2)))
    area, where = inside[shown].mean(), inside[shown]
    return float(found[where].sum() / found.sum() / area), float((found[where] ** 2).sum() / (found**2).sum() / area)


def main(part: str, studies: int) -> None:
    """Print a part."""
    small = {"features": 16}
    if part == "coverage":
        report("image and table", package, studies, **small)
    elif part == "bias":
        report("image only", lambda seed: package(seed, covariates=False), studies, 2, **small)
        report("table only", lambda seed: package(seed, shown=False), studies, 2, **small)
    elif part == "network":
        for backbone in ("convolutions", "transformer"):
            words = {"way": "network", "folds": 2, "width": 16, "epochs": 40, "backbone": backbone}
            report(f"network, {backbone}", package, studies, **words)
    elif part == "kernel":
        for size in (1, 3, 8, 16, 24):
            report(f"filters of {size}", lambda seed: pattern_study(500, seed), studies, 2, kernel=size)
    elif part == "resolution":
        for factor in (1, 2, 4, 8):
            report(
                f"{factor} x {factor} merged",
                lambda seed, factor=factor: merged(pattern_study(500, seed), factor),
                studies,
                2,
                kernel=max(8 // factor, 1),
            )
    else:
        for kind in get_args(Backbone):
            for seed in range(studies):
                norm, squared = salience(seed, kind)
                print(f"{kind:14} seed {seed}: gradient on objects {norm:.1f} x, squared {squared:.1f} x", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200)
