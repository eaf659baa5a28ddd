"""Shapes: points and galaxies told apart, noise told from sources, statmorph's numbers as they are."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statmorph

from skies import gaussian, mosaic, sky
from swath.sky.sersic import Sersic, draw
from swath.sky.shapes import MORPHOLOGY, morphology, point_like, spurious


def test_points_look_like_points_and_galaxies_do_not() -> None:
    [picture] = sky([(30.3, 30.8, {"VIS": 50.0}), (30.0, 90.0, {"VIS": 2.0})], {"VIS": 2.5}, {"VIS": 0.02})
    picture.values[:] += 50 * draw(Sersic(90, 60, 3.0, 1.0, 0.8, 0.0), gaussian(2.5), 0, 0, (128, 128))
    found = point_like(picture, pd.DataFrame({"x": [30.3, 30.0, 90.0], "y": [30.8, 90.0, 60.0]}), gaussian(2.5))
    assert (found[:2] > 0.05).all()
    assert found[2] < 1e-3


def test_share_of_noise_at_a_significance() -> None:
    found = spurious(np.array([3.0, 4.0, 5.0, 50.0]), np.array([3.5, 4.5]))
    assert found == pytest.approx([2 / 4, 1 / 3, 0, 0])


@pytest.mark.filterwarnings("ignore")
def test_morphology_is_that_of_statmorph_on_the_whole_picture() -> None:
    clean = 800 * draw(Sersic(64, 60, 5.0, 1.0, 0.7, 0.5), gaussian(2.0), 0, 0, (128, 128))
    noisy = clean + np.random.default_rng(1).normal(0, 0.3, clean.shape)
    picture, segments = mosaic(noisy, 0.3), (clean > 0.6).astype(np.int32)
    sources = pd.DataFrame({"x": [64.0], "y": [60.0]})
    found = morphology(picture, sources, segments, np.array([0]), gaussian(2.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [expected] = statmorph.source_morphology(
            picture.values.astype(float), segments, weightmap=picture.rms.astype(float), psf=gaussian(2.0)
        )
    for column, name in MORPHOLOGY.items():
        assert found[column][0] == pytest.approx(getattr(expected, name), abs=0.02), column
    assert found["GINI"].between(0.4, 0.6).all()


def test_nothing_to_measure() -> None:
    found = morphology(
        mosaic(np.zeros((8, 8))), pd.DataFrame({"x": [1.0]}), np.zeros((8, 8), int), np.array([], int), gaussian(2.0)
    )
    assert found.isna().all().all()
