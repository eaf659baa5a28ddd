"""FUSU in both layouts: what belongs together, where it lies, and what is refused."""

import shutil

import numpy as np
import pytest

import tiny
from swath.data.readers import read_layout
from swath.data.readers.fusu import CLASSES, SERIES, read_fusu
from swath.errors import BandError, DataError, GridError, ReadError


def months(path, rng, edge=8):
    values = rng.integers(1, 4000, (14, edge, edge)).astype(np.float32)
    tiny.write_raster(path, values, tiny.grid(edge, edge, size=10.0))
    return values


@pytest.fixture
def readme(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("6_255", "7_1", "8_12"):
        for folder in ("im1", "im2"):
            tiny.write_picture(tmp_path / f"{folder}/{name}.png", rng.integers(0, 255, (3, 40, 40), dtype=np.uint8))
            tiny.write_picture(tmp_path / f"{folder}_label/{name}.png", rng.integers(0, 18, (40, 40), dtype=np.uint8))
        for year, month in (("A", 8), ("A", 12), ("B", 2), ("C", 11)):
            months(tmp_path / f"{year}/{month}/{name}_{year}_{month}.tif", rng)
    return tmp_path


def test_patches_of_the_readme(readme):
    data = read_layout("fusu", readme)
    assert [scene.id for scene in data] == ["6_255", "7_1", "8_12"]
    assert {scene.part for scene in data} == {"train", "val", "test"}  # an area each
    scene = data[0]
    assert scene.group == "6"
    assert list(scene.layers) == ["before", "after"]
    assert [f.time.month for f in scene.series["monthly"].frames] == [8, 12, 2, 11]
    from PIL import Image

    first, second = (np.asarray(Image.open(readme / f"im{n}_label/6_255.png")).astype(int) for n in (1, 2))
    known = (first > 0) & (second > 0)
    expected = np.where(known, 17 * (first - 1) + second - 1, -1)
    np.testing.assert_array_equal(scene.labels.read(scene.grid), expected)


def test_an_image_and_its_months_have_one_middle(readme):
    """8 pixels of 10 m lie in the middle of the 128 that are read; those of the image are 0.5 m."""
    data = read_fusu(readme)
    scene = data[0]
    values, valid = scene.series["monthly"].read(scene.grid)
    assert values.shape == (4, 14, 128, 128)
    assert valid.sum() == 4 * 64
    assert valid[:, 60:68, 60:68].all()
    assert scene.grid.affine.a == 0.5
    assert scene.grid.affine @ (20, 20) == (0, 0)
    import rasterio

    with rasterio.open(readme / "A/8/6_255_A_8.tif") as file:
        np.testing.assert_array_equal(values[0, :, 60:68, 60:68], file.read())
    assert data.series["monthly"].bands == SERIES


def test_folders_of_the_loader(readme, tmp_path):
    root = tmp_path / "loader"
    for part, name in (("train", "6_255"), ("val", "7_1"), ("test", "8_12")):
        for theirs, ours in (("im1", "im1"), ("im2", "im2"), ("im1_label", "label1"), ("im2_label", "label2")):
            if part != "test" or "label" not in ours:
                (root / part / ours).mkdir(parents=True, exist_ok=True)
                shutil.copy(readme / f"{theirs}/{name}.png", root / part / ours)
        for path in readme.glob(f"[ABC]/*/{name}_*"):
            (root / part / "Times").mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / part / "Times")
    data = read_fusu(root)
    assert [(scene.id, scene.part, scene.labels is None) for scene in data] == [
        ("6_255", "train", False), ("7_1", "val", False), ("8_12", "test", True),
    ]  # fmt: skip
    assert len(data[1].series["monthly"]) == 4
    shutil.rmtree(root / "val/label1")
    with pytest.raises(ReadError, match="holds no labels"):
        read_fusu(root)


def test_classes_are_those_of_the_readme():
    assert len(CLASSES) == 17
    assert CLASSES.names[7:9] == ("orchard", "park")
    assert CLASSES.ignored == (0,)


def test_what_does_not_belong_together_is_refused(readme):
    with pytest.raises(ReadError, match="holds no FUSU"):
        read_fusu(readme / "im1")
    (readme / "im2/7_1.png").rename(readme / "im2/7_2.png")
    with pytest.raises(DataError, match="without second date: got 7_1"):
        read_fusu(readme)
    (readme / "im2/7_2.png").rename(readme / "im2/7_1.png")
    (readme / "A/8/7_1_A_8.tif").rename(readme / "A/8/7_1_A_13.tif")
    with pytest.raises(DataError, match="says no month"):
        read_fusu(readme)
    for path in readme.glob("[ABC]/*/7_1_*"):
        path.unlink()
    with pytest.raises(DataError, match="7_1 has no months"):
        read_fusu(readme)


def test_files_of_another_kind_are_refused(readme):
    strange = np.full((40, 40), 44, np.uint8)
    tiny.write_picture(readme / "im1_label/6_255.png", strange)
    with pytest.raises(DataError, match="44"):
        read_fusu(readme)
    tiny.write_picture(readme / "im1_label/6_255.png", strange[:30] * 0)
    with pytest.raises(GridError, match="another size"):
        read_fusu(readme)
    tiny.write_picture(readme / "im1_label/6_255.png", strange * 0 + 1)
    tiny.write_raster(readme / "A/8/6_255_A_8.tif", np.ones((3, 8, 8), np.float32), tiny.grid(8, 8))
    with pytest.raises(BandError):
        read_fusu(readme)
