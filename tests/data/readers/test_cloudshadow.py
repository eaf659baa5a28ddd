"""Scenes of several sensors with clouds and shadows by hand, as npz files."""

import numpy as np
import pytest

from swath.data.readers.cloudshadow import read_cloudshadow
from swath.errors import ConfigError, DataError, ReadError
from swath.geo.windows import whole


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("landsat7", "sentinel2"):
        image = rng.random((192, 256, 6), np.float32)
        mask = rng.choice(np.array([0, 1, 3, 4], np.uint8), (192, 256, 1))
        np.savez(tmp_path / f"{name}.npz", img=image, msk=mask)
    return tmp_path


def test_a_scene_a_file(folder):
    found = read_cloudshadow(folder)
    assert [scene.group for scene in found] == ["landsat7", "sentinel2"]
    assert found.bands["image"].names == ("blue", "green", "red", "nir", "swir1", "swir2")
    with np.load(folder / "sentinel2.npz") as file:
        values, valid = found[1].layers["image"].read(whole((192, 256)))
        assert np.array_equal(np.moveaxis(values, 0, -1), file["img"])
        assert valid.all()
        assert np.array_equal(found[1].labels.read(found[1].grid), file["msk"][..., 0])
        two = read_cloudshadow(folder, legend="cloud")
        assert two.classes.names == ("clear", "cloud")
        assert np.array_equal(two[1].labels.read(two[1].grid) == 1, file["msk"][..., 0] == 4)
        three = read_cloudshadow(folder, legend="shadow")
        assert three.classes.names == ("clear", "shadow", "cloud")
        assert np.array_equal(three[1].labels.read(three[1].grid), np.array([1, 0, 0, 0, 2])[file["msk"][..., 0]])


def test_blocks_are_dealt(folder):
    found = read_cloudshadow(folder)
    masks = [found[0].part_mask(whole((192, 256)), part) for part in ("train", "val", "test")]
    assert np.array_equal(np.sum(masks, 0), np.ones((192, 256)))
    assert all(mask.any() for mask in masks)


def test_what_is_wrong_is_named(folder, tmp_path):
    with pytest.raises(ConfigError, match="legend"):
        read_cloudshadow(folder, legend="all")
    with pytest.raises(ReadError, match="holds no scene"):
        read_cloudshadow(folder / "absent")
    mask = np.full((192, 256, 1), 9, np.uint8)
    np.savez(folder / "other.npz", img=np.zeros((192, 256, 6), np.float32), msk=mask)
    for legend in ("surface", "cloud", "shadow"):
        with pytest.raises(DataError, match=r"outside the classes: got 9 \(49152 pixels\)"):
            read_cloudshadow(folder, legend=legend)
    np.savez(folder / "other.npz", img=np.zeros((192, 256, 4), np.float32), msk=mask)
    with pytest.raises(DataError, match=r"other arrays: got img float32 \(192, 256, 4\)"):
        read_cloudshadow(folder)
    np.savez(folder / "other.npz", img=np.array([{}], object))
    with pytest.raises(ReadError, match="damaged"):
        read_cloudshadow(folder)
    (folder / "other.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(ReadError, match="damaged"):
        read_cloudshadow(folder)


@pytest.mark.data
def test_the_real_scenes(data_folder):
    found = read_cloudshadow(data_folder / "cloudshadow_labels")
    assert {"landsat7", "sentinel2"} <= {scene.group for scene in found}
    for scene in found:
        values, valid = scene.layers["image"].read(whole(scene.grid.shape))
        labels = scene.labels.read(scene.grid)
        blue = {k: values[0][valid & (labels == k)].mean() for k in np.unique(labels)}
        assert max(blue, key=blue.get) == found.classes.names.index("cloud")
