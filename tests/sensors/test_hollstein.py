"""Rules for clouds: the tree of the paper, walked leaf by leaf with numbers by hand."""

import numpy as np
import pytest

from swath.errors import BandError
from swath.sensors.hollstein import BANDS, hollstein_masks

# B01, B02, B03, B05, B06, B07, B8A, B09, B10, B11 of a pixel of each leaf
LEAVES = {
    "clear land": (0.12, 0.10, 0.09, 0.11, 0.25, 0.30, 0.35, 0.10, 0.001, 0.20),
    "cirrus over land": (0.16, 0.14, 0.13, 0.13, 0.25, 0.30, 0.35, 0.10, 0.02, 0.20),
    "thin, but moist": (0.16, 0.14, 0.13, 0.13, 0.25, 0.30, 0.35, 0.30, 0.02, 0.20),
    "shadow on land": (0.10, 0.08, 0.06, 0.06, 0.08, 0.09, 0.10, 0.02, 0.001, 0.05),
    "water": (0.10, 0.08, 0.06, 0.04, 0.03, 0.02, 0.02, 0.01, 0.001, 0.01),
    "cloud, bright in the blue": (0.50, 0.50, 0.50, 0.52, 0.55, 0.55, 0.56, 0.30, 0.05, 0.40),
    "bright soil": (0.25, 0.30, 0.35, 0.40, 0.42, 0.43, 0.45, 0.30, 0.01, 0.50),
    "cloud, falling to the infrared": (0.50, 0.50, 0.50, 0.40, 0.40, 0.45, 0.44, 0.30, 0.05, 0.20),
    "high cirrus": (0.50, 0.50, 0.50, 0.40, 0.45, 0.45, 0.44, 0.30, 0.05, 0.20),
    "snow": (0.90, 0.90, 0.88, 0.86, 0.85, 0.84, 0.80, 0.50, 0.01, 0.10),
    "shadow on snow": (0.60, 0.50, 0.40, 0.40, 0.40, 0.38, 0.36, 0.20, 0.01, 0.05),
    "ice": (0.40, 0.42, 0.40, 0.40, 0.40, 0.38, 0.36, 0.20, 0.01, 0.05),
}
MASK = {
    "cirrus over land": "cirrus",
    "shadow on land": "shadow",
    "cloud, bright in the blue": "cloud",
    "cloud, falling to the infrared": "cloud",
    "high cirrus": "cirrus",
    "snow": "snow",
    "shadow on snow": "shadow",
}


@pytest.mark.parametrize("leaf", LEAVES)
def test_each_leaf_is_told(leaf):
    found = hollstein_masks({name: np.array([value]) for name, value in zip(BANDS, LEAVES[leaf], strict=True)})
    assert {name for name, mask in found.items() if mask[0]} == ({MASK[leaf]} if leaf in MASK else set())


def test_leaves_exclude_each_other_whatever_the_numbers():
    numbers = np.random.default_rng(0).uniform(0, 1, (len(BANDS), 50_000))
    numbers[:, :100] = 0  # divides by zero
    found = hollstein_masks(dict(zip(BANDS, numbers, strict=True)))
    assert np.stack(list(found.values())).sum(0).max() == 1
    assert all(mask.any() for mask in found.values())


def test_a_missing_band_is_named():
    with pytest.raises(BandError, match="B10"):
        hollstein_masks({name: np.zeros(1) for name in BANDS if name != "B10"})
