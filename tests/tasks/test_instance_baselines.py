"""Thresholds that learn from the training part, and what they find."""

import numpy as np
import pytest
import shapely

from swath.data.instances import lay
from swath.geo.masks import picture_grid
from swath.tasks.instance_baselines import components, learn_threshold, watershed


def lesson(centres, size=60, sign=1, channels=2, radius=6.3):
    """Discs on the second band, with noise."""
    generator = np.random.default_rng(0)
    shapes = np.array([shapely.Point(x, y).buffer(radius, quad_segs=32) for x, y in centres], object)
    things = lay(shapes, None, picture_grid((size, size)), np.ones(len(shapes), np.int64))
    values = generator.normal(0, 0.1, (channels, size, size))
    values[1, things.masks().any(0)] += sign
    return values, np.ones((size, size), bool), things


@pytest.mark.parametrize("sign", [1, -1])
def test_band_direction_size_and_class_are_those_of_the_training_part(sign):
    values, valid, things = lesson([(15, 15), (40, 35)], sign=sign)
    found = learn_threshold([(values, valid, things)])
    assert (found.feature, found.sign, found.index) == (1, sign, 1)
    assert found.radius == pytest.approx(6.3, abs=0.2)
    guessed, scores = components(found, values, valid)
    assert len(guessed) == 2
    assert (guessed.masks().any(0) == things.masks().any(0)).all()
    assert (scores > 0).all()


def test_watershed_parts_what_touches_and_components_do_not():
    values, valid, things = lesson([(20, 20), (31, 20), (40, 45)])
    found = learn_threshold([(values, valid, things)])
    assert len(components(found, values, valid)[0]) == 2
    parted, _ = watershed(found, values, valid)
    assert len(parted) == 3
    assert sorted(parted.areas.tolist()) == pytest.approx(sorted(things.areas.tolist()), abs=8)


def test_excess_green_is_tried_where_there_are_such_bands():
    values, valid, things = lesson([(20, 20)], channels=3)
    common = np.random.default_rng(1).normal(0, 3, (1, 60, 60))  # brightness hides every single band
    found = learn_threshold([(values + common, valid, things)], green=(0, 1, 2))
    assert found.feature == 3
    assert learn_threshold([(values + common, valid, things)]).feature < 3


def test_small_pieces_are_left_out():
    values, valid, things = lesson([(20, 20), (40, 40)])
    values[1, 3, 3] = 5
    guessed, _ = components(learn_threshold([(values, valid, things)]), values, valid)
    assert len(guessed) == 2
