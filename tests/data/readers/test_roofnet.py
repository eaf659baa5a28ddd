"""The layout of RoofNet: parts, cities, facts, duplicates, and what is wrong with a folder."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from swath.data.readers.roofnet import CLASSES, read_roofnet
from swath.errors import ConfigError, DataError, ReadError, SwathError


def write(root, name, seed=0, size=(24, 30), mode="RGB"):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (*size, 3) if mode == "RGB" else size
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, shape, np.uint8)).save(path)


@pytest.fixture
def root(tmp_path):
    names = ["train/Thatch/corrin_height7.5_numstories2_roofshapeHip_fpArea80.jpg", "val/ClayTiles/corrin-1.png"]
    for number, city in enumerate(("lima", "quito", "callao")):
        names += [f"{part}/Unknown/{city}_imsat_-12.0500000-77.{number}.jpeg" for part in ("train", "val")]
    for seed, name in enumerate(names):
        write(tmp_path, name, seed)
    return tmp_path


def test_cities_are_held_out_whole(root):
    found = read_roofnet(root)
    assert len(found) == 8
    parts = {}
    for scene in found:
        parts.setdefault(scene.group, set()).add(scene.part)
    assert parts.keys() == {"corrin", "lima", "quito", "callao"}
    assert all(len(seen) == 1 for seen in parts.values())
    hip = next(scene for scene in found if "roofshapeHip" in scene.id)
    assert (hip.facts["height"], hip.facts["numstories"], hip.facts["roofshape"]) == (7.5, 2, "Hip")
    assert (hip.place, hip.outline) == ("Corrin", None)
    lima = next(scene for scene in found if scene.group == "lima")
    assert lima.outline.coords[0] == (-77.0, -12.05)
    assert found.classes.names[lima.labels.index] == "Unknown"


def test_the_published_parts_can_be_kept(root):
    found = read_roofnet(root, split="published")
    assert {scene.part for scene in found if scene.id.startswith("val/")} == {"test"}
    assert sorted(scene.part for scene in found if scene.id.startswith("train/")) == ["train"] * 3 + ["val"]


def test_the_table_says_more_than_names(root):
    row = {"filename": "corrin-1.png", "city": "other_city", "height": 3.0, "numstories": None, "split": "val"}
    pd.DataFrame([row]).to_csv(root / "roof_materials_augmented_all.csv", index=False)
    scene = next(scene for scene in read_roofnet(root) if scene.id.endswith("corrin-1"))
    assert (scene.group, scene.place, scene.facts["height"], scene.facts["numstories"]) == (
        "other_city", "Other City", 3.0, None,
    )  # fmt: skip
    pd.DataFrame([{"file": "a"}]).to_csv(root / "roof_materials_augmented_all.csv", index=False)
    with pytest.raises(DataError, match="does not name files"):
        read_roofnet(root)


def test_amorphous_roofs_are_flat(root):
    """As in the published table, whatever the name says."""
    for material in ("AmorphousFabric", "MetalSheetMaterials"):
        write(root, f"train/{material}/lima_height3_roofshapeGabled.jpg", len(material))
    shapes = {scene.id.split("/")[1]: scene.facts["roofshape"] for scene in read_roofnet(root)}
    assert (shapes["AmorphousFabric"], shapes["MetalSheetMaterials"], shapes["Unknown"]) == ("Flat", "Gabled", None)


def test_what_the_release_put_aside_is_not_read(root):
    count = len(read_roofnet(root))
    write(root, "train/Thatch/reassess/lima-9.jpg")
    assert len(read_roofnet(root)) == count


def test_duplicates_are_counted(root):
    assert read_roofnet(root).facts["duplicates"] == "0 copies of other crops; 0 crops under several materials"
    for seed, name in (
        (0, "val/Thatch/quito-1.jpg"),
        (0, "train/WoodTiles/quito-2.jpg"),
        (2, "train/Unknown/quito-3.jpeg"),
    ):
        write(root, name, seed)
    # two copies of the first picture, one of them as wood; one of the third
    assert read_roofnet(root).facts["duplicates"] == "3 copies of other crops; 1 crops under several materials"


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("train/Straw/corrin-9.jpg", {}, DataError, "no class"),
        ("train/Thatch/corrin-9.jpg", {"mode": "L"}, SwathError, "corrin-9"),
        ("train/Thatch/corrin-9.txt", None, ReadError, "corrin-9"),
    ],
)
def test_what_is_wrong_with_a_folder(root, name, options, error, message):
    if options is None:
        (root / name).write_text("no picture")
    else:
        write(root, name, **options)
    with pytest.raises(error, match=message):
        read_roofnet(root)


def test_other_folders_are_named_and_not_read(root):
    assert "folders that are not read" not in read_roofnet(root).facts
    write(root, "test/Thatch/corrin-9.jpg")
    (root / "runs/first").mkdir(parents=True)
    (root / "runs/first/task.json").write_text("{}")
    found = read_roofnet(root)
    assert len(found) == 8
    assert found.facts["folders that are not read"] == ["runs", "test"]


def test_what_is_missing(tmp_path, root):
    with pytest.raises(ReadError, match="does not exist"):
        read_roofnet(tmp_path / "absent")
    with pytest.raises(ConfigError, match="no such split"):
        read_roofnet(root, split="random")
    few = tmp_path / "few"
    write(few, "train/Thatch/lima-1.jpg")
    write(few, "val/Thatch/quito-1.jpg", 1)
    with pytest.raises(DataError, match="too few cities"):
        read_roofnet(few)
    assert len(CLASSES) == 15
