"""Scenes at another pixel size: numbers by hand, torch as oracle, validity, blank ground."""

import numpy as np
import pytest
import torch
from torch.nn import functional

import tiny
from swath.data.resampled import NotBlank, ResampledSource, at_pixel_size, box_size, pixel_metres
from swath.data.scenes import Scene
from swath.data.sources import ArraySource
from swath.errors import ConfigError
from swath.geo.windows import Window, whole
from swath.sensors.bands import Band, Bands

BANDS = Bands("custom", (Band("a", "1"),))


def source(values, grid=None, **options):
    values = np.asarray(values)[None]
    return ArraySource(values, BANDS, grid or tiny.grid(*values.shape[1:]), **options)


def test_the_box_is_odd_so_that_nothing_is_shifted():
    assert [box_size(r) for r in (0.4, 1, 2, 2.5, 3, 4, 6)] == [1, 1, 3, 3, 5, 7, 9]


@pytest.mark.parametrize("ratio", [2.0, 2.5, 3.0])
def test_it_is_box_blur_and_bilinear_interpolation_of_torch(ratio):
    values = np.random.default_rng(0).uniform(0, 1, (60, 60)).astype(np.float32)
    found, valid = ResampledSource(source(values), (ratio, ratio)).read(whole((int(60 / ratio),) * 2))
    k = box_size(ratio)
    blurred = functional.avg_pool2d(torch.from_numpy(values)[None, None], k, 1, k // 2, count_include_pad=False)
    wanted = functional.interpolate(blurred, scale_factor=1 / ratio, mode="bilinear", recompute_scale_factor=False)
    assert valid.all()
    inner = slice(2, -2)
    np.testing.assert_allclose(found[0, inner, inner], wanted[0, 0, inner, inner].numpy(), atol=1e-5)


@pytest.mark.parametrize("ratios", [(2, 3), (0.5, 0.4), (1.7, 1.0)])
def test_a_ramp_stays_where_it_was(ratios):
    rows, cols = np.mgrid[0:60, 0:80] + 0.5
    made = ResampledSource(source((rows + 3 * cols).astype(np.float32)), ratios)
    values, _ = made.read(whole(made.grid.shape))
    rows, cols = np.mgrid[0 : made.grid.shape[0], 0 : made.grid.shape[1]] + 0.5
    wanted = rows * ratios[0] + 3 * cols * ratios[1]
    inner = slice(5, -5)
    np.testing.assert_allclose(values[0, inner, inner], wanted[inner, inner], rtol=1e-5)


def test_windows_are_pieces_of_the_whole_and_bytes_are_rounded():
    values = np.random.default_rng(1).integers(0, 256, (50, 70), dtype=np.uint8)
    made = ResampledSource(source(values), (2.0, 2.0))
    together, valid = made.read(whole(made.grid.shape))
    assert together.dtype == np.uint8
    part, known = made.read(Window(-3, 20, 12, 30))
    assert np.array_equal(part[:, 3:, :15], together[:, :9, 20:35])
    assert not known[:3].any()
    assert not known[:, 15:].any()
    assert valid.all()


def test_invalid_pixels_neither_bleed_nor_count():
    values = np.full((40, 40), 100.0, np.float32)
    values[:, 20:] = np.nan
    made, valid = ResampledSource(source(values), (2.0, 2.0)).read(Window(0, 0, 20, 20))
    assert valid[:, :10].all()
    assert not valid[:, 11:].any()
    assert made[0][valid] == pytest.approx(100)


def test_pixels_are_measured_in_metres():
    assert pixel_metres(tiny.grid(10, 10, size=0.5)) == (0.5, 0.5)
    down, across = pixel_metres(tiny.grid(10, 10, tiny.WGS84, 1e-6, 8.0, 60.0))
    assert down == pytest.approx(0.1113, rel=1e-3)
    assert across == pytest.approx(down / 2, rel=1e-3)
    feet = pixel_metres(tiny.grid(10, 10, "EPSG:2263", 1.0, 980_000, 200_000))
    assert feet == pytest.approx((0.3048, 0.3048), rel=1e-3)


def test_scenes_get_the_size_that_is_asked_for_unless_they_are_pictures():
    scene = Scene("s", {"image": source(np.zeros((40, 60), np.uint8), tiny.grid(40, 60, size=0.05))})
    made = at_pixel_size(scene, 0.1)
    assert made.grid.shape == (20, 30)
    assert pixel_metres(made.grid) == pytest.approx((0.1, 0.1))
    assert made.grid.extent.boundingbox == scene.grid.extent.boundingbox
    assert at_pixel_size(scene, 0.0502) is scene
    from swath.geo.grids import pixel_grid

    picture = Scene("p", {"image": source(np.zeros((4, 6)), pixel_grid(4, 6))})
    assert at_pixel_size(picture, 0.1) is picture
    with pytest.raises(ConfigError, match="size"):
        at_pixel_size(scene, 0)


class _Left:
    """A partition whose left 20 columns train."""

    def mask(self, window, part):
        left = np.broadcast_to(window.col + np.arange(window.width) < 20, window.shape)
        return left if part == "train" else ~left


def test_parts_of_a_divided_scene_stay_where_they_were():
    scene = Scene("s", {"image": source(np.zeros((40, 60), np.uint8), tiny.grid(40, 60, size=0.05))}, part=_Left())
    made = at_pixel_size(scene, 0.1)
    mask = made.part_mask(Window(-2, 3, 12, 20), "train")
    assert mask.shape == (12, 20)
    assert mask[:, :7].all()
    assert not mask[:, 7:].any()


@pytest.mark.parametrize(("level", "blank"), [(0, True), (1, True), (2, False), (253, False), (254, True), (255, True)])
def test_windows_all_black_or_white_are_invalid(level, blank):
    values = np.full((8, 16), 128, np.uint8)
    values[:, 8:] = level
    made = NotBlank(source(values))
    assert made.read(Window(0, 0, 8, 8))[1].all()
    assert made.read(Window(0, 8, 8, 8))[1].any() != blank
