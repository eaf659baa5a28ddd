"""The layout of Cloud-Adapter: which data set, honest parts, black fill, and folders that are wrong."""

import numpy as np
import pytest
from PIL import Image

from swath.data.classes import IGNORE
from swath.data.readers.cloud_adapter import CLASSES, read_cloud_adapter
from swath.errors import ConfigError, DataError, ReadError
from swath.geo.windows import whole


def _write(root, name, parts, edge=32, seed=0):
    """Pictures of noise named by numbers, and masks of all classes, of each part as many as said."""
    rng = np.random.default_rng(seed)
    for part, count in parts.items():
        for number in range(count):
            for kind, values in (
                ("img_dir", rng.integers(0, 256, (edge, edge, 3), np.uint8)),
                ("ann_dir", rng.integers(0, len(CLASSES[name]), (edge, edge), np.uint8)),
            ):
                path = root / name / kind / part / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(values).save(path)
    return root / name


def _counts(found):
    return {part: sum(scene.part == part for scene in found) for part in ("train", "val", "test")}


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_each_data_set_has_its_legend(tmp_path, name):
    folder = _write(tmp_path, name, {"train": 3, "val": 1, "test": 2})
    found = read_cloud_adapter(folder)
    assert found.name == name
    assert found.classes == CLASSES[name]
    assert _counts(found) == {"train": 3, "val": 1, "test": 2}
    assert found.facts["split"] == "published folders"
    labels = found[0].labels.read(found[0].grid)
    assert np.array_equal(labels, np.array(Image.open(folder / "ann_dir/train/0.png")))
    image, _ = found[0].layers["image"].read(whole(found[0].grid.shape))
    assert np.array_equal(np.moveaxis(image, 0, -1), np.array(Image.open(folder / "img_dir/train/0.png")))


def test_landsat_has_its_shadow_first_and_sentinel_its_last():
    assert CLASSES["l8_biome"].names == ("clear", "shadow", "thin cloud", "cloud")
    assert CLASSES["cloudsen12_high_l1c"].names == ("clear", "thick cloud", "thin cloud", "shadow")


def test_a_folder_that_holds_one_data_set(tmp_path):
    _write(tmp_path, "hrc_whu", {"train": 2, "val": 1, "test": 1})
    (tmp_path / "notes").mkdir()
    assert read_cloud_adapter(tmp_path).name == "hrc_whu"


def test_test_pictures_never_select(tmp_path):
    """The release selects on them: its validation part is its test part."""
    folder = _write(tmp_path, "hrc_whu", {"train": 20, "val": 4})
    (folder / "img_dir/test").mkdir()
    (folder / "ann_dir/test").mkdir()
    for kind in ("img_dir", "ann_dir"):
        for number in range(4):
            (folder / f"{kind}/test/other{number}.png").write_bytes((folder / f"{kind}/val/{number}.png").read_bytes())
    found = read_cloud_adapter(folder)
    assert _counts(found) == {"train": 18, "val": 2, "test": 4}
    assert all(scene.id.startswith("train/") for scene in found if scene.part == "val")
    assert found.facts["split"] == (
        "published val left out: 4 of its 4 pictures test too; val dealt from train by picture"
    )
    assert {s.id: s.part for s in found} == {s.id: s.part for s in read_cloud_adapter(folder)}
    assert {s.id: s.part for s in found} != {s.id: s.part for s in read_cloud_adapter(folder, seed=1)}
    published = read_cloud_adapter(folder, split="published")
    assert _counts(published) == {"train": 20, "val": 4, "test": 4}


def test_without_a_test_part_the_validation_part_tests(tmp_path):
    found = read_cloud_adapter(_write(tmp_path, "gf12ms_whu_gf1", {"train": 5, "val": 3}))
    assert _counts(found) == {"train": 4, "val": 1, "test": 3}
    assert found.facts["split"] == "published val tests; val dealt from train by picture"


def test_pictures_of_the_same_name_in_two_parts_are_two(tmp_path):
    found = read_cloud_adapter(_write(tmp_path, "cloudsen12_high_l2a", {"train": 2, "val": 2, "test": 2}))
    assert len({scene.id for scene in found}) == 6


def test_black_fill_of_landsat_is_no_data(tmp_path):
    """The release labels it clear and scores it."""
    folder = _write(tmp_path, "l8_biome", {"train": 1, "val": 1, "test": 1}, edge=48)
    path = folder / "img_dir/train/0.png"
    values = np.array(Image.open(path))
    values[:, :20] = 0
    values[30, 40] = 0  # a dark pixel
    Image.fromarray(values).save(path)
    found = read_cloud_adapter(folder)
    _, valid = found[0].layers["image"].read(whole(found[0].grid.shape))
    assert not valid[:, :20].any()
    assert valid[:, 20:].all()
    from swath.data.loader import Batches
    from swath.tasks.feed import cover

    (batch,) = Batches(found, cover(found, "train", 48)[0], part="train", patch=48, batch=4)
    assert (batch["mask"][0, :, :20] == IGNORE).all()
    assert (batch["mask"][0, :, 20:] != IGNORE).all()
    as_released = read_cloud_adapter(folder, fill="clear")
    assert as_released[0].layers["image"].read(whole(found[0].grid.shape))[1].all()
    assert (found.facts["fill"], as_released.facts["fill"]) == ("ignored", "clear")


def test_only_landsat_has_fill(tmp_path):
    folder = _write(tmp_path, "hrc_whu", {"train": 2, "test": 1})
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(folder / "img_dir/train/0.png")
    found = read_cloud_adapter(folder)
    assert all(scene.layers["image"].read(whole(scene.grid.shape))[1].all() for scene in found)


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(ReadError, match="no folder with img_dir"):
        read_cloud_adapter(tmp_path)
    folder = _write(tmp_path, "hrc_whu", {"train": 2, "test": 1})
    _write(tmp_path, "gf12ms_whu_gf2", {"train": 2, "test": 1})
    with pytest.raises(ReadError, match="got gf12ms_whu_gf2, hrc_whu"):
        read_cloud_adapter(tmp_path)
    with pytest.raises(ConfigError, match="split best"):
        read_cloud_adapter(folder, split="best")
    Image.fromarray(np.full((32, 32), 7, np.uint8)).save(folder / "ann_dir/train/1.png")
    with pytest.raises(DataError, match=r"values outside the classes: got 7 \("):
        read_cloud_adapter(folder)
    (folder / "ann_dir/train/1.png").unlink()
    with pytest.raises(DataError, match="images without mask: got train/1"):
        read_cloud_adapter(folder)
    renamed = folder.rename(tmp_path / "my_clouds")
    with pytest.raises(ReadError, match="got my_clouds; expected img_dir"):
        read_cloud_adapter(renamed)


def test_one_training_picture_cannot_be_dealt(tmp_path):
    with pytest.raises(DataError, match="too few training pictures"):
        read_cloud_adapter(_write(tmp_path, "hrc_whu", {"train": 1, "test": 1}))
