"""Bias and coverage of adjusted effects on simulated studies whose confounder an image shows.

    OMP_NUM_THREADS=1 python -m benchmarks.confounding [STUDIES [SETTING ...]]

500 units with an image of 16 x 16 pixels each, effect 2, one confounder in the image, two in the table; the frozen way
with 16 random features. Intervals of 90 %; of Hajek's by a bootstrap of 30 draws that fits propensities again.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from swath import registry
from swath.simulate.confounded import confounded_study

_EFFECT = 2.0


def main(studies: int, *names: str) -> None:
    """Print bias, its error and coverage of each estimator, with all confounders, without the table, without images."""
    for name in names or ("image and table", "image only", "table only"):
        found: dict[str, list[tuple[float, bool]]] = {}
        for seed in range(studies):
            units = confounded_study(500, seed, _EFFECT, edge=16, covariates=name != "image only")
            if name == "table only":
                units = replace(units, images=np.random.default_rng(seed).random(units.images.shape, np.float32))
            with tempfile.TemporaryDirectory() as folder:
                registry.create("imgconfound", features=16).fit(units, Path(folder), seed=seed, draws=30)
                estimates = json.loads((Path(folder) / "study.json").read_text())["estimates"]
            for estimator, one in estimates.items():
                covered = one["low"] <= _EFFECT <= one["high"]
                found.setdefault(estimator, []).append((one["value"] - _EFFECT, covered))
        for estimator, rows in found.items():
            bias, covered = np.array(rows, float).T
            error = bias.std(ddof=1) / len(bias) ** 0.5
            print(
                f"{name:16} {estimator:18} bias {bias.mean():6.3f} +- {error:.3f}  coverage {covered.mean():.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, *sys.argv[2:])
