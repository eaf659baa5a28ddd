"""Detection against what was put in, and the merging of two lists."""

import numpy as np
import pytest

from skies import mosaic, sky
from swath.errors import RunError
from swath.sky.detection import background, detect, merge, stack, without_background


def test_sources_are_where_they_were_put() -> None:
    places = [(30.2, 40.7), (90.5, 20.1), (64.0, 100.4)]
    [picture] = sky([(x, y, {"VIS": 60.0}) for x, y in places], {"VIS": 3.0}, {"VIS": 0.5})
    found = detect(picture)
    assert sorted(zip(found.sources["x"], found.sources["y"], strict=True)) == [
        pytest.approx(p, abs=0.2) for p in sorted(places)
    ]
    for number, (x, y) in enumerate(found.sources[["x", "y"]].to_numpy(), start=1):
        assert found.segments[round(y), round(x)] == number


def test_few_detections_in_noise_alone() -> None:
    [noise] = sky([], {"VIS": 2.0}, {"VIS": 1.0}, size=512)
    assert len(detect(noise).sources) <= 3


def test_flagged_pixels_are_no_sources() -> None:
    [picture] = sky([(64, 64, {"VIS": 100.0})], {"VIS": 2.0}, {"VIS": 0.5})
    picture.bad[60:69, 60:69] = True
    assert not len(detect(picture).sources)


def test_blends_are_taken_apart() -> None:
    [picture] = sky([(60, 64, {"VIS": 100.0}), (67, 64, {"VIS": 30.0})], {"VIS": 3.0}, {"VIS": 0.2})
    assert len(detect(picture).sources) == 2
    assert len(detect(picture, deblend_contrast=1.0).sources) == 1


def test_the_infrared_adds_what_vis_does_not_show() -> None:
    both, faint, red = (30.0, 30.0), (34.5, 30.0), (90.0, 90.0)
    bands = sky(
        [(*both, {"VIS": 100, "H": 100}), (*faint, {"VIS": 100, "H": 0}), (*red, {"VIS": 0, "H": 100})],
        {"VIS": 2.0, "H": 5.0},
        {"VIS": 0.5, "H": 0.5},
    )
    vis, nir = detect(bands[0]), detect(bands[1])
    found = merge(vis, nir, 2.5)
    assert found.sources["vis"].tolist() == [True, True, False]
    assert found.sources[["x", "y"]].to_numpy()[2] == pytest.approx(red, abs=0.2)
    assert found.segments[90, 90] == 3
    assert set(np.unique(found.segments)) == {0, 1, 2, 3}


def test_stack_weighs_by_inverse_variance() -> None:
    found = stack([mosaic(np.full((8, 8), 1.0), 1.0, band="Y"), mosaic(np.full((8, 8), 4.0), 2.0, 5.0, band="H")])
    assert found.values == pytest.approx((1 + 4 / 4) / (1 + 1 / 4))
    assert found.rms == pytest.approx(1 / np.sqrt(1.25))
    assert found.band == "Y+H"


def test_background_is_found_beneath_sources() -> None:
    rng = np.random.default_rng(3)
    points = [(*rng.uniform(5, 251, 2), {"VIS": 600.0}) for _ in range(60)]
    [picture] = sky(points, {"VIS": 14.0}, {"VIS": 0.5}, size=256)
    slope = 3 + np.arange(256)[:, None] * 0.01 + np.zeros(256)
    raised = mosaic(picture.values + slope, 0.5, 6.0)
    naive, _ = background(raised.values, passes=0)
    level, noise = background(raised.values)
    assert np.abs(level - slope).mean() < 0.5 * np.abs(naive - slope).mean()
    assert np.median(noise) == pytest.approx(0.5, rel=0.15)
    assert without_background(raised).values == pytest.approx(raised.values - level, abs=1e-5)


def test_a_picture_that_is_all_source_is_one_error() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(RunError, match="ran out of room"):
        detect(mosaic(rng.normal(1e6, 1e5, (2048, 2048)), 1e-3))
