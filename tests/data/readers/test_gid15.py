"""GID-15 in its published layout, against TorchGeo's reader, and what is wrong with folders that are not."""

import re

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from swath.data.readers import read_layout
from swath.data.readers.gid15 import CLASSES, read_gid15
from swath.errors import ConfigError, DataError, ReadError
from swath.geo.windows import whole

_SHAPE = (34, 40)


def _image(path, dtype=np.uint8, shape=_SHAPE, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 255, (3, *shape)).astype(dtype)
    place = {"crs": "EPSG:32650", "transform": from_origin(300_000, 4_000_000, 3, 3)}
    with rasterio.open(path, "w", "GTiff", shape[1], shape[0], 3, dtype=dtype, **place) as file:
        file.write(values)


def _labels(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def _codes(seed):
    return np.random.default_rng(seed).integers(0, 16, _SHAPE, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    for number, part in enumerate(["train"] * 4 + ["val"] * 2 + ["test"]):
        name = f"GF2_{number}"
        _image(tmp_path / f"GID/img_dir/{part}/{name}.tif", seed=number)
        if part != "test":
            _labels(tmp_path / f"GID/ann_dir/{part}/{name}_15label.png", _codes(number))
    return tmp_path


def test_labelled_pictures_are_split_by_picture(folder):
    found = read_layout("gid15", folder)
    parts = {scene.id: scene.part for scene in found}
    assert sorted(parts.values()) == ["test", "test", "train", "train", "train", "val"]
    assert {parts["GF2_4"], parts["GF2_5"]} == {"test"}  # the published validation part
    for scene in found:
        assert np.array_equal(scene.labels.read(scene.grid), _codes(int(scene.id[-1])))


def test_published_parts_are_kept_and_the_test_part_has_no_labels(folder):
    found = {scene.id: scene for scene in read_gid15(folder / "GID", "published")}
    assert [found[f"GF2_{n}"].part for n in range(7)] == ["train"] * 4 + ["val"] * 2 + ["test"]
    assert found["GF2_6"].labels is None


def test_pictures_are_those_of_torchgeo(folder):
    datasets = pytest.importorskip("torchgeo.datasets")
    assert CLASSES.names == tuple(name.replace("_", " ") for name in datasets.GID15.classes)
    theirs = datasets.GID15.__new__(datasets.GID15)
    scene = read_gid15(folder, "published")[0]
    values, valid = scene.layers["image"].read(whole(scene.grid.shape))
    assert valid.all()
    assert np.array_equal(values, theirs._load_image(str(folder / "GID/img_dir/train/GF2_0.tif")).numpy())
    target = theirs._load_target(str(folder / "GID/ann_dir/train/GF2_0_15label.png")).numpy()
    assert np.array_equal(scene.labels.read(scene.grid), target)


def test_pictures_may_be_png(folder):
    for path in list((folder / "GID/img_dir").rglob("*.tif")):
        with rasterio.open(path) as file:
            Image.fromarray(np.moveaxis(file.read(), 0, 2)).save(path.with_suffix(".png"))
        path.unlink()
    assert len(read_gid15(folder)) == 6


class TestBadFolders:
    def test_no_layout(self, tmp_path):
        with pytest.raises(ReadError, match="no GID-15"):
            read_gid15(tmp_path)

    def test_a_part_is_missing(self, folder):
        for path in (folder / "GID/img_dir/val").iterdir():
            path.unlink()
        with pytest.raises(ReadError, match="No file matches img_dir/val"):
            read_gid15(folder)

    def test_an_image_has_no_label(self, folder):
        (folder / "GID/ann_dir/train/GF2_1_15label.png").unlink()
        with pytest.raises(DataError, match=r"images without mask: got GF2_1"):
            read_gid15(folder)

    def test_a_label_is_of_another_size(self, folder):
        _labels(folder / "GID/ann_dir/train/GF2_1_15label.png", np.zeros((20, 20), np.uint8))
        with pytest.raises(DataError, match=r"GF2_1_15label.png is not on the pixels.*20 x 20"):
            read_gid15(folder)

    def test_an_unknown_code_is_counted_and_named(self, folder):
        codes = _codes(0)
        codes[0, :9] = 77
        _labels(folder / "GID/ann_dir/train/GF2_0_15label.png", codes)
        with pytest.raises(DataError, match=re.escape("77 (9 pixels)")):
            read_gid15(folder)

    def test_a_label_in_colours(self, folder):
        _labels(folder / "GID/ann_dir/train/GF2_0_15label.png", np.zeros((*_SHAPE, 3), np.uint8))
        with pytest.raises(DataError, match=r"another number of bands.*got 3"):
            read_gid15(folder)

    def test_sixteen_bits_where_eight_are_expected(self, folder):
        _image(folder / "GID/img_dir/train/GF2_0.tif", np.uint16)
        with pytest.raises(DataError, match="another type: got uint16; expected uint8"):
            read_gid15(folder)

    def test_the_same_id_twice(self, folder):
        _image(folder / "GID/img_dir/val/GF2_0.tif")
        _labels(folder / "GID/ann_dir/val/GF2_0_15label.png", _codes(0))
        with pytest.raises(DataError, match="same id: got GF2_0"):
            read_gid15(folder)

    def test_an_unknown_split(self, folder):
        with pytest.raises(ConfigError, match="no such split"):
            read_gid15(folder, "random")
