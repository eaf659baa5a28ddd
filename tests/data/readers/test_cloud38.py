"""38-Cloud as it is published: bands in four folders, masks of 0 and 255."""

import numpy as np
import pytest
import rasterio

from swath.data.readers.cloud38 import read_cloud38
from swath.errors import DataError, ReadError
from swath.geo.windows import whole

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
_BANDS = ("red", "green", "blue", "nir")


def _write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", "GTiff", *values.shape[::-1], 1, dtype=values.dtype) as file:
        file.write(values, 1)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for scene in range(3):
        for patch in range(2):
            name = f"patch_{patch}_1_by_{patch}_LC08_L1TP_06401{scene}_20160420_20170223_01_T1.TIF"
            for number, band in enumerate(_BANDS):
                values = rng.integers(5000, 9000, (16, 16)).astype(np.uint16) + 100 * number
                values[:2] = 0
                _write(tmp_path / f"38-Cloud_training/train_{band}/{band}_{name}", values)
            mask = np.where(rng.random((16, 16)) < 0.5, 255, 0).astype(np.uint8)
            _write(tmp_path / f"38-Cloud_training/train_gt/gt_{name}", mask)
    return tmp_path


def test_bands_are_stacked_and_labels_read(folder):
    found = read_cloud38(folder)
    assert len(found) == 6
    assert found.classes.names == ("clear", "cloud")
    image = found[0].layers["image"]
    assert image.bands.names == _BANDS
    stored, valid = image.read(whole((16, 16)))
    assert not valid[:2].any()
    assert valid[2:].all()
    path = next(folder.glob(f"*/train_nir/nir_patch_{found[0].id.split('/')[0]}_LC08_{found[0].group}.TIF"))
    with rasterio.open(path) as file:
        assert np.array_equal(stored[3], file.read(1))
    assert image.bands.decode(stored)[0].max() < 0.1
    with rasterio.open(str(path).replace("train_nir/nir", "train_gt/gt")) as file:
        assert np.array_equal(found[0].labels.read(found[0].grid) == 1, file.read(1) == 255)


def test_patches_of_one_scene_are_in_one_part(folder):
    found = read_cloud38(folder / "38-Cloud_training")
    assert {scene.part for scene in found} == {"train", "val", "test"}
    assert all(len({s.part for s in found if s.group == group}) == 1 for group in {s.group for s in found})


def test_what_is_wrong_is_named(folder):
    path = next(folder.glob("*/train_nir/*"))
    path.unlink()
    with pytest.raises(DataError, match="images without nir"):
        read_cloud38(folder)
    _write(path, np.zeros((16, 16), np.uint8))
    with pytest.raises(DataError, match="another type: got uint8; expected uint16"):
        read_cloud38(folder)
    with pytest.raises(ReadError):
        read_cloud38(folder / "absent")


@pytest.mark.data
def test_the_real_patches(data_folder):
    found = read_cloud38(data_folder / "cloud38_mini")
    assert len(found) == 12
    share = np.mean([(scene.labels.read(scene.grid) == 1).mean() for scene in found])
    assert 0.2 < share < 0.9
    read = [scene.layers["image"].read(whole((384, 384))) for scene in found]
    assert sum(not valid.any() for _, valid in read) == 3
    bands = found.bands["image"]
    values = np.concatenate([bands.decode(stored)[:, valid] for stored, valid in read], 1)
    assert 0 < values.min() < values.max() < 1.3
