"""Massachusetts Buildings in its three published layouts, and what is wrong with folders that are not."""

import re

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from swath.data.classes import IGNORE
from swath.data.readers import read_layout
from swath.data.readers.mass_buildings import FOLDERS, read_mass_buildings
from swath.errors import ConfigError, DataError, ReadError
from swath.geo.windows import Window, whole

_EDGE = 48
_SUFFIXES = {"original": (".tiff", ".tif"), "TIFF mirror": (".tiff", ".tif"), "PNG mirror": (".png", ".png")}
_SHADES = {"original": (255, 0, 0), "TIFF mirror": (255, 255, 255), "PNG mirror": (255, 255, 255)}


def _write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(values).save(path)
        return
    place = {"crs": "EPSG:26986", "transform": from_origin(230_000, 900_000, 1, 1)}
    with rasterio.open(path, "w", "GTiff", *values.shape[1::-1], 3, dtype=values.dtype, **place) as file:
        file.write(np.moveaxis(values, 2, 0))


def _folder(root, kind="original"):
    """Two pictures a part; of each the left half is built."""
    rng = np.random.default_rng(0)
    for part, (images, labels) in FOLDERS[kind].items():
        for number in range(2):
            image = rng.integers(0, 250, (_EDGE, _EDGE, 3), dtype=np.uint8)
            mask = np.zeros_like(image)
            mask[:, : _EDGE // 2] = _SHADES[kind]
            for folder, suffix, values in zip((images, labels), _SUFFIXES[kind], (image, mask), strict=True):
                _write(root / folder / f"{part}_{number}{suffix}", values)
    return root


@pytest.mark.parametrize("kind", _SUFFIXES)
def test_each_published_layout_is_read(tmp_path, kind):
    found = read_layout("mass_buildings", _folder(tmp_path, kind))
    assert found.facts["layout"] == kind
    assert [scene.part for scene in found] == ["train"] * 2 + ["val"] * 2 + ["test"] * 2
    assert found.classes.names == ("background", "building")
    for scene in found:
        labels = scene.labels.read(scene.grid)
        assert (labels[:, : _EDGE // 2] == 1).all()
        assert (labels[:, _EDGE // 2 :] == 0).all()


def test_the_folder_of_the_pictures_may_be_named_itself(tmp_path):
    _folder(tmp_path, "PNG mirror")
    assert len(read_mass_buildings(tmp_path / "png")) == 6


def test_the_system_is_read_in_this_layout(tmp_path):
    assert read_layout("effunetpp", _folder(tmp_path)).name == "Massachusetts Buildings"


def test_shades_of_red_count_by_their_red_channel(tmp_path):
    path = _folder(tmp_path) / "train/map/train_0.tif"
    shades = np.zeros((_EDGE, _EDGE, 3), np.uint8)
    shades[..., 0] = np.repeat(np.arange(_EDGE) * 5, _EDGE).reshape(_EDGE, _EDGE)
    _write(path, shades)
    scene = read_mass_buildings(tmp_path)[0]
    assert np.array_equal(scene.labels.read(scene.grid) == 1, shades[..., 0] > 127)


def test_large_white_areas_are_no_data_and_bright_roofs_are_not(tmp_path):
    image = np.full((_EDGE, _EDGE, 3), 90, np.uint8)
    image[:, 30:] = 255  # 18 columns at the border
    image[5:15, 5:15] = 255  # a white roof
    _write(_folder(tmp_path) / "train/sat/train_0.tiff", image)
    scene = read_mass_buildings(tmp_path)[0]
    _, valid = scene.layers["image"].read(whole(scene.grid.shape))
    expected = np.ones((_EDGE, _EDGE), bool)
    expected[:, 30:] = False
    assert np.array_equal(valid, expected)


def test_reduced_pictures_are_averages_of_squares(tmp_path):
    """The protocol of the paper, with 48 pixels to 12 in place of 1500 to 256: means over squares of 4."""
    _folder(tmp_path)
    full, small = read_mass_buildings(tmp_path), read_mass_buildings(tmp_path, size=12)
    for scene, reduced in zip(full, small, strict=True):
        assert reduced.grid.shape == (12, 12)
        values, _ = scene.layers["image"].read(whole(scene.grid.shape))
        found, valid = reduced.layers["image"].read(Window(0, 0, 12, 12))
        assert valid.all()
        means = values.reshape(3, 12, 4, 12, 4).mean((2, 4))
        assert np.abs(found - means).max() <= 0.5 + 1e-6
        assert (reduced.labels.read(reduced.grid)[:, :6] == 1).all()
        assert not reduced.layers["image"].read(Window(-3, -3, 12, 12))[1][:3].any()


def test_the_paper_s_protocol_has_a_name_of_its_own(tmp_path):
    found = read_layout("mass_buildings_256", _folder(tmp_path))
    assert all(scene.grid.shape == (256, 256) for scene in found)


def test_no_pixel_of_no_data_has_a_label_where_it_is_learned(tmp_path):
    from swath.data.loader import Batches
    from swath.tasks.feed import cover

    image = np.full((_EDGE, _EDGE, 3), 255, np.uint8)
    image[:, :20] = 60
    _write(_folder(tmp_path) / "train/sat/train_0.tiff", image)
    data = read_mass_buildings(tmp_path)
    places, _ = cover(data, "train", 64)
    batch = next(iter(Batches(data, places, part="train", patch=64, batch=2, threads=1, seed=0)))
    assert (batch["mask"][0, :_EDGE, 20:_EDGE] == IGNORE).all()
    assert (batch["mask"][0, :_EDGE, :20] == 1).all()


class TestBadFolders:
    def test_no_layout(self, tmp_path):
        with pytest.raises(ReadError, match="no Massachusetts Buildings"):
            read_mass_buildings(tmp_path)
        with pytest.raises(ReadError, match="no Massachusetts Buildings"):
            read_mass_buildings(tmp_path / "absent")

    def test_a_part_is_missing(self, tmp_path):
        for path in (_folder(tmp_path) / "valid/sat").iterdir():
            path.unlink()
        with pytest.raises(ReadError, match=r"No file matches valid/sat"):
            read_mass_buildings(tmp_path)

    def test_an_image_has_no_label(self, tmp_path):
        (_folder(tmp_path) / "train/map/train_1.tif").unlink()
        with pytest.raises(DataError, match=r"images without mask: got train_1"):
            read_mass_buildings(tmp_path)

    def test_a_label_has_no_image(self, tmp_path):
        (_folder(tmp_path) / "test/sat/test_0.tiff").unlink()
        with pytest.raises(DataError, match=r"mask without image.*test_0"):
            read_mass_buildings(tmp_path)

    def test_a_label_is_of_another_size(self, tmp_path):
        _write(_folder(tmp_path) / "train/map/train_0.tif", np.zeros((_EDGE, 40, 3), np.uint8))
        with pytest.raises(DataError, match=r"train_0.tif is not on the pixels.*48 x 40"):
            read_mass_buildings(tmp_path)

    def test_an_unknown_colour_is_counted_and_named(self, tmp_path):
        mask = np.zeros((_EDGE, _EDGE, 3), np.uint8)
        mask[3, :7] = (0, 255, 0)
        _write(_folder(tmp_path) / "train/map/train_0.tif", mask)
        with pytest.raises(DataError, match=re.escape("#00ff00 (7 pixels)")) as caught:
            read_mass_buildings(tmp_path)
        assert len(str(caught.value)) < 600

    def test_sixteen_bits_where_eight_are_expected(self, tmp_path):
        folder = _folder(tmp_path)
        _write(folder / "train/sat/train_0.tiff", np.ones((_EDGE, _EDGE, 3), np.uint16))
        with pytest.raises(DataError, match=r"another type: got uint16; expected uint8"):
            read_mass_buildings(folder)
        _write(folder / "train/sat/train_0.tiff", np.ones((_EDGE, _EDGE, 3), np.uint8))
        _write(folder / "train/map/train_0.tif", np.zeros((_EDGE, _EDGE, 3), np.uint16))
        with pytest.raises(DataError, match=r"no 8-bit colour"):
            read_mass_buildings(folder)

    def test_the_same_id_twice(self, tmp_path):
        folder = _folder(tmp_path)
        for kind, suffix in (("sat", ".tiff"), ("map", ".tif")):
            (folder / f"test/{kind}/test_0{suffix}").rename(folder / f"test/{kind}/train_0{suffix}")
        with pytest.raises(DataError, match=r"in several parts: got train_0"):
            read_mass_buildings(folder)
        _write(folder / "train/sat/train_0.tif", np.ones((_EDGE, _EDGE, 3), np.uint8))
        with pytest.raises(DataError, match=r"same id 'train_0'"):
            read_mass_buildings(folder)

    def test_a_truncated_file(self, tmp_path):
        path = _folder(tmp_path) / "train/sat/train_0.tiff"
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises((ReadError, DataError), match="train_0"):
            read_mass_buildings(tmp_path)

    def test_a_size_that_is_none(self, tmp_path):
        with pytest.raises(ConfigError, match="reduced"):
            read_mass_buildings(_folder(tmp_path), size=0)
