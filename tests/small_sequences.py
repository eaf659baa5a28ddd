"""Small sequences whose class is told by when their first number peaks, in groups of five."""

import numpy as np

from swath.data.classes import Classes
from swath.data.sequences import Sequences
from swath.sensors.bands import Band, Bands

FEATURES = Bands("small", (Band("ndvi", "1"), Band("noise", "1")))
CLASSES = Classes.of(["early", "middle", "late"])


def small_sequences(count=90, steps=9, seed=0, **more):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    peak = np.array([1.5, 4, 6.5])[labels] + rng.normal(0, 0.4, count)
    ndvi = np.exp(-((np.arange(steps) - peak[:, None]) ** 2) / 3) + rng.normal(0, 0.05, (count, steps))
    values = np.stack([ndvi, rng.normal(5, 2, (count, steps))], 2).astype(np.float32)
    groups = np.array([f"g{number // 5}" for number in range(count)])
    options = {"labels": labels.astype(np.int64), "groups": groups, **more}
    return Sequences(np.array([f"u{n}" for n in range(count)]), values, FEATURES, CLASSES, **options)
