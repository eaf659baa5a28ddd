"""Folds of images."""

import numpy as np
import pytest

from swath.causal.folds import FoldFits, image_folds, reshuffled_folds
from swath.errors import DataError


def test_folds_are_equal_and_of_images():
    fold = image_folds(11, 3, seed=0)
    assert np.bincount(fold).tolist() == [4, 4, 3]
    with pytest.raises(DataError, match="fewer images than folds"):
        image_folds(2, 3, seed=0)


def test_reshuffles_differ_and_begin_alike():
    folds = reshuffled_folds(30, 3, 2, seed=4)
    assert (folds[0] == image_folds(30, 3, seed=4)).all()
    assert (folds[0] != folds[1]).any()
    assert (np.bincount(folds[1]) == 10).all()


def test_an_image_is_told_by_the_fit_that_never_saw_it():
    fits = FoldFits(["a", "b", "c", "d"], np.array(["k1", "k2", "k3"]), np.array([[0, 1, 0], [1, 1, 0]]))
    assert fits.folds == 2
    assert fits.unseen(np.array(["k3", "k1"])).tolist() == [[0, 0], [2, 3]]
    assert fits.unseen(np.array(["new"])).tolist() == [[0], [1], [2], [3]]
    with pytest.raises(DataError, match="Some images belong"):
        fits.unseen(np.array(["k1", "new"]))
