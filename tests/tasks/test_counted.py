"""Counting by connected pixels, and where it is wrong by its nature."""

import numpy as np
import pytest
from skimage.measure import label

from swath.tasks.counted import components


@pytest.mark.parametrize("least", [1, 4, 30])
def test_components_are_those_of_scikit_image(least):
    mask = np.random.default_rng(0).random((60, 70)) > 0.7
    expected = label(mask, connectivity=2)
    sizes = np.bincount(expected.ravel())[1:]
    found = components(mask, least)
    assert found.max() == (sizes >= least).sum()
    assert np.array_equal(found > 0, np.isin(expected, 1 + np.flatnonzero(sizes >= least)))
    assert np.array_equal(np.unique(found[found > 0]), 1 + np.arange(found.max()))


def test_things_that_cross_are_counted_as_one():
    mask = np.zeros((40, 40), bool)
    mask[18:22, :] = mask[:, 18:22] = True
    assert components(mask).max() == 1
    assert components(np.zeros((5, 5), bool)).max() == 0
