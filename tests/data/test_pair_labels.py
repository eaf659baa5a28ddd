"""Labels of two dates in one, from arrays and from a user's YAML; and pixels put elsewhere."""

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from swath.data.classes import IGNORE
from swath.data.config import load_data
from swath.data.pair_labels import PairLabels, pair_of
from swath.data.relocated import RelocatedSource
from swath.data.sources import ArraySource
from swath.errors import ConfigError, DataError, GridError
from swath.geo.grids import pixel_grid
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands


class Given:
    name = "given"

    def __init__(self, values):
        self.values = values

    def read(self, grid):
        return self.values


@settings(deadline=None, max_examples=40)
@given(classes=st.integers(1, 181), seed=st.integers(0, 99))
def test_pairs_come_apart_again(classes, seed):
    rng = np.random.default_rng(seed)
    before, after = (rng.integers(-1, classes, (6, 7)).astype(np.int16) for _ in range(2))
    labels = PairLabels(Given(before), Given(after), classes).read(pixel_grid(6, 7))
    assert labels.dtype == np.int16
    known = (before != IGNORE) & (after != IGNORE)
    for found in (pair_of(labels, classes), pair_of(torch.from_numpy(labels).long(), classes)):
        for one, truth in zip(found, (before, after), strict=True):
            np.testing.assert_array_equal(np.asarray(one), np.where(known, truth, IGNORE))


def test_too_many_classes_are_refused():
    with pytest.raises(ConfigError, match="too many pairs"):
        PairLabels(Given(None), Given(None), 182)


def test_a_yaml_with_labels_of_two_dates(tmp_path):
    grid = tiny.grid(16, 16)
    codes = np.random.default_rng(0).integers(1, 4, (2, 16, 16)).astype(np.uint8)
    for number, date in enumerate(("t1", "t2")):
        tiny.write_raster(tmp_path / f"{date}/a.tif", np.full((3, 16, 16), 9 + number, np.uint8), grid)
        tiny.write_raster(tmp_path / f"{date}_use/a.tif", codes[number], grid)
    described = {
        "layers": {n: {"files": f"{d}/{{id}}.tif", "sensor": "rgb"} for n, d in (("before", "t1"), ("after", "t2"))},
        "labels": {"files": {"before": "t1_use/{id}.tif", "after": "t2_use/{id}.tif"}},
        "classes": {1: "field", 2: "house", 3: "road"},
    }  # fmt: skip
    path = tmp_path / "data.yaml"
    path.write_text(yaml.safe_dump(described, sort_keys=False))
    (scene,) = load_data(path)
    path.write_text(yaml.safe_dump(described, sort_keys=True))  # `after` stands first
    (sorted_scene,) = load_data(path)
    for found in (scene, sorted_scene):
        np.testing.assert_array_equal(found.labels.read(grid), 3 * (codes[0].astype(int) - 1) + codes[1] - 1)
    (tmp_path / "t2_use/a.tif").rename(tmp_path / "t2_use/b.tif")
    path.write_text(yaml.safe_dump(described, sort_keys=False))
    with pytest.raises(DataError, match="no label file"):
        load_data(path)
    described["labels"]["files"] = {"first": "t1_use/{id}.tif"}
    path.write_text(yaml.safe_dump(described, sort_keys=False))
    with pytest.raises(ConfigError, match="other dates"):
        load_data(path)


def test_pixels_put_elsewhere_are_the_same_pixels():
    source = ArraySource(np.arange(6.0).reshape(1, 2, 3), Bands("s", (Band("a", "1"),)), pixel_grid(2, 3))
    placed = RelocatedSource(source, tiny.grid(2, 3))
    assert placed.grid.crs is not None
    np.testing.assert_array_equal(placed.read(Window(0, 1, 2, 2))[0], source.read(Window(0, 1, 2, 2))[0])
    with pytest.raises(GridError, match="another size"):
        RelocatedSource(source, tiny.grid(3, 3))
