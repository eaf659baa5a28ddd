"""Simulated granules: the truth is where the picture was changed, and looks as tracks look."""

import numpy as np
import pytest
from affine import Affine
from rasterio import features

from swath.sensors.microphysics import day_microphysics
from swath.simulate.ship_tracks import WIDTHS, _brightening, granule

SHAPE = (240, 200)


@pytest.fixture(scope="module")
def granules():
    return [granule(5, number, SHAPE) for number in range(8)]


def test_the_same_seed_gives_the_same_and_another_another(granules):
    assert np.array_equal(granule(5, 2, SHAPE).bands, granules[2].bands)
    assert not np.array_equal(granule(6, 2, SHAPE).bands, granules[2].bands)


def test_every_fourth_has_no_track_and_others_have_some_that_cross(granules):
    assert [len(g.tracks) == 0 for g in granules] == [False, False, False, True] * 2
    pairs = [(a, b) for g in granules for i, a in enumerate(g.tracks) for b in g.tracks[:i]]
    assert any(a.outline.intersects(b.outline) for a, b in pairs)


def test_tracks_widen_and_fade_along_their_way(granules):
    for track in (t for g in granules for t in g.tracks):
        assert WIDTHS[0] <= track.width.min() <= track.width.max() <= WIDTHS[1]
        assert (np.diff(track.width) >= 0).all()
        assert (np.diff(track.strength) <= 0).all()
        steps = np.hypot(*np.diff(track.line, axis=0).T)
        np.testing.assert_allclose(steps, 1)


def test_outlines_are_where_the_picture_is_brighter(granules):
    for track in granules[0].tracks:
        inside = features.geometry_mask([track.outline], SHAPE, Affine.identity(), invert=True)
        brighter = _brightening(track, SHAPE) > 0
        assert (inside & brighter).sum() / (inside | brighter).sum() > 0.95


def test_tracks_are_brighter_than_the_cloud_around_at_3_75_um_and_as_warm():
    inside, outside = [], []
    for number in range(3):
        seen = granule(1, number, SHAPE)
        mask = features.geometry_mask(seen.outlines, SHAPE, Affine.identity(), invert=True)
        inside.append(seen.bands[:, mask])
        outside.append(seen.bands[:, ~mask])
    track, sea = (np.concatenate(part, 1) for part in (inside, outside))
    assert track[1].mean() > sea[1].mean() + 0.5 * sea[1].std()
    assert abs(track[2].mean() - sea[2].mean()) < sea[2].std()


def test_the_picture_is_the_stretch_of_the_bands(granules):
    picture, valid = day_microphysics(*granules[1].bands)
    assert valid.all()
    assert np.array_equal(granules[1].picture, np.moveaxis(picture, 0, -1))
    assert all((band > 5).mean() > 0.5 and (band < 250).mean() > 0.9 for band in picture)
