"""Altered copies: colour against Pillow, geometry against itself on image and label, and what must be refused."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from swath.data.classes import Classes
from swath.data.offline import Alteration, with_copies
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource
from swath.errors import DataError
from swath.geo.grids import pixel_grid, window_grid
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands

_RGB = Bands("rgb", tuple(Band(name, "dn") for name in ("red", "green", "blue")))
_SAME = np.eye(2)


class _Planes:
    """Labels that are an array on the scene's grid."""

    name = "planes"

    def __init__(self, values):
        self.values = values

    def read(self, grid):
        assert grid.shape == self.values.shape
        return self.values


def _scene(pixels, classes, name="a", part="train"):
    grid = pixel_grid(*classes.shape)
    return Scene(name, {"rgb": ArraySource(pixels, _RGB, grid)}, _Planes(classes), group=name, part=part)


def _noise(size=48, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (3, size, size), np.uint8)


def _pillow(pixels, enhancer, factor):
    image = Image.fromarray(np.moveaxis(pixels, 0, 2))
    return np.moveaxis(np.asarray(enhancer(image).enhance(factor)), 2, 0)


@pytest.mark.parametrize(
    ("name", "enhancer", "factor"),
    [
        ("saturation", ImageEnhance.Color, 0.7),
        ("saturation", ImageEnhance.Color, 1.3),
        ("contrast", ImageEnhance.Contrast, 0.8),
        ("brightness", ImageEnhance.Brightness, 1.2),
        ("sharpness", ImageEnhance.Sharpness, 2.0),
    ],
)
def test_changes_of_colour_are_those_of_pillow(name, enhancer, factor):
    pixels = _noise()
    found = Alteration(((name, factor),), False, _SAME).image(pixels)
    assert np.abs(found.astype(int) - _pillow(pixels, enhancer, factor)).max() <= 2


def test_a_turn_of_the_colour_circle_by_a_third_permutes_the_channels():
    pixels = _noise()
    found = Alteration((("hue", 1 / 3),), False, _SAME).image(pixels)
    assert np.abs(found.astype(int) - pixels[[2, 0, 1]]).max() <= 2


def test_grey_is_the_same_in_all_channels():
    found = Alteration((), True, _SAME).image(_noise())
    assert (found == found[:1]).all()
    assert found.std() > 1


def test_a_quarter_turn_is_exact_for_pixels_and_classes():
    pixels, quarter = _noise(), np.array([[0.0, -1.0], [1.0, 0.0]])
    alteration = Alteration((), False, quarter)
    np.testing.assert_array_equal(alteration.image(pixels), np.rot90(pixels, -1, (1, 2)))
    np.testing.assert_array_equal(alteration.plane(pixels[0]), np.rot90(pixels[0], -1))


def test_labels_stay_on_what_they_label():
    rows, cols = np.mgrid[:200, :200]
    classes = ((np.hypot(rows - 60, cols - 120) < 35) | (abs(rows - cols) < 12)).astype(np.int16)
    pixels = np.repeat(np.where(classes, 200, 40).astype(np.uint8)[None], 3, 0)
    data = with_copies(Collection((_scene(pixels, classes),), Classes.of(2)), 9)
    assert [scene.id for scene in data] == ["a", *(f"a~{n}" for n in range(1, 10))]
    seen = set()
    for copy in data.scenes[1:]:
        found, valid = copy.layers["rgb"].read(Window(0, 0, 200, 200))
        labels = copy.labels.read(copy.grid)
        bright = found[1] > (int(found[1].min()) + int(found[1].max())) / 2
        assert (bright == (labels == 1)).mean() > 0.99
        assert valid.all()
        seen.add(found.tobytes())
    assert len(seen) == 9


def test_copies_are_the_same_in_every_run_and_in_every_window():
    pixels, classes = _noise(64), np.zeros((64, 64), np.int16)
    classes[20:40, 10:50] = 1
    first, second = (with_copies(Collection((_scene(pixels, classes),)), 2, seed=3)[2] for _ in range(2))
    window = Window(-5, 20, 30, 60)
    values, valid = first.layers["rgb"].read(window)
    again, _ = second.layers["rgb"].read(Window(0, 0, 64, 64))
    np.testing.assert_array_equal(values[:, 5:, :44], again[:, :25, 20:])
    np.testing.assert_array_equal(valid, np.pad(np.ones((25, 44), bool), ((5, 0), (0, 16))))
    labels = first.labels.read(window_grid(first.grid, window))
    np.testing.assert_array_equal(labels[5:, :44], second.labels.read(second.grid)[:25, 20:])
    assert (labels[:5] == -1).all()
    other = with_copies(Collection((_scene(pixels, classes),)), 2, seed=4)[2]
    assert not np.array_equal(other.layers["rgb"].read(Window(0, 0, 64, 64))[0], again)


def test_only_training_scenes_are_copied_and_copies_keep_their_group():
    scenes = tuple(_scene(_noise(), np.zeros((48, 48), np.int16), part, part) for part in ("train", "val", "test"))
    copied = with_copies(Collection(scenes), 2)
    assert [(s.id, s.part, s.group) for s in copied.scenes[3:]] == [
        ("train~1", "train", "train"),
        ("train~2", "train", "train"),
    ]


def test_what_cannot_be_altered_is_refused():
    empty = np.zeros((48, 48), np.int16)
    deep = Scene("deep", {"rgb": ArraySource(_noise().astype(np.uint16), _RGB, pixel_grid(48, 48))}, part="train")
    with pytest.raises(DataError, match="8-bit RGB"):
        with_copies(Collection((deep,)), 1)
    with pytest.raises(DataError, match="no single part"):
        with_copies(Collection((_scene(_noise(), empty, part=None),)), 1)
    with pytest.raises(DataError, match="negative"):
        with_copies(Collection((_scene(_noise(), empty),)), -1)
    large = Scene(
        "large", {"rgb": ArraySource(np.zeros((3, 4, 4096), np.uint8), _RGB, pixel_grid(4, 4096))}, part="train"
    )
    with pytest.raises(DataError, match="too large"):
        with_copies(Collection((large,)), 1)
    copy = with_copies(Collection((_scene(_noise(), empty),)), 1)[1]
    with pytest.raises(DataError, match="own pixels"):
        copy.labels.read(copy.grid.zoom_out(2))
