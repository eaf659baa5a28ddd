"""Image effect clusters on simulated trials of textures: effects and types found, beside the named baselines.

    OMP_NUM_THREADS=1 python -m benchmarks.effect_clusters [SEEDS]

600 images of 32 x 32 pixels, effects 0 and 2 (or 1 and 1) by texture alone, noise of sd 1; told of 400 other images,
of which a fifth is of the second type. Errors are of the effect of each image, in the outcome's unit.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from swath import registry
from swath.causal.cluster_fits import Posterior
from swath.simulate.texture_trials import texture_trial


def fitted(
    images: int, effects: tuple[float, float], seed: int, **options: object
) -> tuple[Posterior, dict, np.ndarray]:
    """Posterior of other images, effects by the baselines, and the true types."""
    units, _ = texture_trial(images, effects, seed)
    other, kind = texture_trial(400, effects, seed + 1000, share=0.2)
    other = replace(other, keys=np.char.add("other ", other.keys))
    task = registry.create("imghet", **options)
    with tempfile.TemporaryDirectory() as folder:
        task.fit(units, Path(folder), seed=seed)
    seen = task.fitted.standard(other.images)
    return task.fitted.fits.posterior(other.keys, seen), task.fitted.baselines(other.keys, seen), kind


def report(name: str, images: int, effects: tuple[float, float], seeds: int, **options: object) -> None:
    """Print a row for each seed."""
    from sklearn.metrics import roc_auc_score

    for seed in range(seeds):
        found, rivals, kind = fitted(images, effects, seed, **options)
        true = np.asarray(effects)[kind]
        effect = found.effect.mean(axis=0)
        apart = found.effects[:, -1] - found.effects[:, 0]
        row = {
            "clusters": " ".join(f"{m:.2f}" for m in found.effects.mean(axis=0)),
            "sd": " ".join(f"{s:.2f}" for s in found.effects.std(axis=0)),
            "apart / sd": f"{apart.mean() / max(apart.std(), 1e-9):.1f}" if found.effects.shape[1] > 1 else "",
            "AUC": f"{roc_auc_score(kind, effect):.3f}",
            "mean effect - true": f"{effect.mean() - true.mean():.2f}",
            "RMSE": f"{_rmse(effect, true):.2f}",
            **{rival: f"{_rmse(values, true):.2f}" for rival, values in rivals.items()},
        }
        print(f"{name} n={images} seed={seed} | " + " | ".join(f"{k} {v}" for k, v in row.items()), flush=True)


def _rmse(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found - true) ** 2)))


if __name__ == "__main__":
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    report("paper", 600, (0.0, 2.0), seeds)
    report("paper, equal effects", 600, (1.0, 1.0), seeds)
    for variant in ("release", "tarnet"):
        report(variant, 600, (0.0, 2.0), seeds, variant=variant)
    for images in (150, 300, 1200):
        report("paper", images, (0.0, 2.0), 1)
