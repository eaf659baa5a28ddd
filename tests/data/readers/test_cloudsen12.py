"""CloudSEN12 in its flat files: bands of reflectance, codes, and files that are wrong."""

import numpy as np
import pytest

from swath.data.readers.cloudsen12 import read_cloudsen12
from swath.errors import ConfigError, DataError, ReadError
from swath.geo.windows import Window, whole

_COUNTS = {"train": 2, "val": 1, "test": 1}


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for part, count in _COUNTS.items():
        (tmp_path / part).mkdir()
        for band in ("B2", "B3", "B4", "B8A"):
            rng.integers(1, 9000, (count, 512, 512), np.int16).tofile(tmp_path / part / f"L1C_{band}.dat")
        rng.integers(0, 4, (count, 512, 512), np.int8).tofile(tmp_path / part / "LABEL_manual_hq.dat")
    return tmp_path


def test_patches_follow_each_other_in_the_file_of_a_band(folder):
    found = read_cloudsen12(folder)
    assert [scene.part for scene in found] == ["train", "train", "val", "test"]
    assert found.classes.names == ("clear", "thick cloud", "thin cloud", "shadow")
    assert found.bands["image"].names == ("B02", "B03", "B04", "B8A")
    scene = found[1]
    stored, valid = scene.layers["image"].read(whole((512, 512)))
    red = np.fromfile(folder / "train/L1C_B4.dat", np.int16).reshape(2, 512, 512)[1]
    assert np.array_equal(stored[2], red)
    assert valid.all()
    assert np.allclose(found.bands["image"].decode(stored)[2], red / 10_000)
    labels = np.fromfile(folder / "train/LABEL_manual_hq.dat", np.int8).reshape(2, 512, 512)[1]
    assert np.array_equal(scene.labels.read(scene.grid), labels)
    beyond, known = scene.layers["image"].read(Window(500, -3, 20, 10))
    assert np.array_equal(beyond[2, :12, 3:], red[500:, :7])
    assert not known[12:].any()
    assert not known[:, :3].any()


def test_zero_is_no_data(folder):
    values = np.fromfile(folder / "val/L1C_B3.dat", np.int16)
    values[:512] = 0
    values.tofile(folder / "val/L1C_B3.dat")
    _, valid = read_cloudsen12(folder)[2].layers["image"].read(whole((512, 512)))
    assert not valid[0].any()
    assert valid[1:].all()


def test_what_is_wrong_is_named(folder):
    with pytest.raises(ConfigError, match="level"):
        read_cloudsen12(folder, level="L3")
    with pytest.raises(ReadError, match="at level L2A: got no B04, B03, B02 of each part"):
        read_cloudsen12(folder, level="L2A")
    labels = folder / "test/LABEL_manual_hq.dat"
    kept = labels.read_bytes()
    labels.write_bytes(kept * 2)
    with pytest.raises(DataError, match="different numbers of patches"):
        read_cloudsen12(folder)
    labels.write_bytes(kept[:-7])
    with pytest.raises(DataError, match="no whole number of patches"):
        read_cloudsen12(folder)
    labels.write_bytes(np.full(512 * 512, 9, np.int8).tobytes())
    with pytest.raises(DataError, match="outside the classes"):
        read_cloudsen12(folder)
    labels.unlink()
    with pytest.raises(ReadError, match="missing or damaged"):
        read_cloudsen12(folder)
