"""OAM-TCD in both published forms: the same scenes, categories by name, mosaics apart, broken files."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import tiny
from swath.data.annotations import picture_labels
from swath.data.coco import read_coco
from swath.data.raster import open_raster
from swath.data.readers import read_layout
from swath.data.readers.oam_tcd import INSTANCE_CLASSES, read_oam_tcd, read_oam_tcd_instances
from swath.errors import DataError, GridError, ReadError, SwathError
from swath.geo.windows import Window
from swath.sensors.catalogue import resolve

SIZE = 40
#: Category numbers of a file, as they differ between published ones.
ORDERS = {"train": {"canopy": 1, "tree": 2}, "val": {"tree": 0, "canopy": 1}, "test": {"tree": 0, "canopy": 1}}
TILES = [
    ("aaa_10_00000", "train", 0), ("aaa_10_00001", "train", 0), ("bbb_10_00002", "train", 1),
    ("bbb_10_00003", "val", -1), ("ccc_10_00004", "val", -1), ("ccc_10_00005", "test", -1),
    ("ddd_10_00006", "test", -1),
]  # fmt: skip


def tile(number):
    """Image, mask and things of a tile: a crown, and a group."""
    image = np.random.default_rng(number).integers(30, 200, (3, SIZE, SIZE), dtype=np.uint8)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cells = [("tree", 4 + number, 6, 8, 8), ("canopy", 20, 15, 12, 20)]
    things = []
    for category, row, col, height, width in cells:
        mask[row : row + height, col : col + width] = 1
        things.append((category, [col, row, col + width, row, col + width, row + height, col, row + height]))
    return image, mask, things


def annotations(things, order, number):
    return [
        {"id": 10 * number + n, "image_id": number, "category_id": order[name], "iscrowd": 0, "segmentation": [ring]}
        for n, (name, ring) in enumerate(things)
    ]


def grid(number):
    return tiny.grid(SIZE, SIZE, "EPSG:3395", 0.1, 1_000_000 + 10 * number, 6_000_000)


@pytest.fixture
def coco(tmp_path):
    told = {part: {"images": [], "annotations": [], "categories": []} for part in ORDERS}
    for number, (name, part, _) in enumerate(TILES):
        image, mask, things = tile(number)
        tiny.write_raster(tmp_path / f"images/{name}.tif", image, grid(number))
        tiny.write_picture(tmp_path / f"masks/{name}.png", mask)
        told[part]["images"].append({"id": number, "file_name": f"{name}.tif", "height": SIZE, "width": SIZE})
        told[part]["annotations"] += annotations(things, ORDERS[part], number)
        told[part]["categories"] = [{"id": n, "name": name} for name, n in ORDERS[part].items()]
    for part, found in told.items():
        (tmp_path / f"{part}.json").write_text(json.dumps(found))
    return tmp_path


def encoded(values, suffix):
    content = io.BytesIO()
    Image.fromarray(np.moveaxis(values, 0, -1) if values.ndim == 3 else values).save(content, suffix)
    return {"bytes": content.getvalue(), "path": None}


@pytest.fixture
def parquet(tmp_path):
    for file, parts in (("train-00000-of-00001", ("train",)), ("test-00000-of-00001", ("test",))):
        rows = []
        for number, (name, part, fold) in enumerate(TILES):
            if part not in parts:
                continue
            image, mask, things = tile(number)
            place = grid(number)
            box = place.extent.boundingbox
            mosaic, _, rest = name.partition("_")
            rows.append(
                {"image": encoded(image, "tiff"), "annotation": encoded(255 * mask, "png"), "oam_id": mosaic,
                 "image_id": rest, "width": SIZE, "height": SIZE, "validation_fold": fold, "crs": "EPSG:3395",
                 "bounds": [box.left, box.bottom, box.right, box.top],
                 "coco_annotations": json.dumps(annotations(things, {"canopy": 1, "tree": 2}, number))}
            )  # fmt: skip
        (tmp_path / "hf" / "data").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"hf/data/{file}.parquet", row_group_size=2)
    return tmp_path / "hf"


def test_tree_cover_and_things_lie_on_the_pixels_of_their_image(coco):
    cover, crowns = read_layout("oam_tcd", coco), read_layout("oam_tcd:instances", coco)
    for data in (cover, crowns):
        # tiles of mosaics that test or select do not train
        assert [(scene.id, scene.part) for scene in data] == [
            ("aaa_10_00000", "train"), ("aaa_10_00001", "train"), ("bbb_10_00003", "val"), ("ccc_10_00005", "test"),
            ("ddd_10_00006", "test"),
        ]  # fmt: skip
        assert data.facts["left out, of mosaics in another part"] == {"train": 1, "val": 1}
        assert {scene.group for scene in data} == {"aaa", "bbb", "ccc", "ddd"}
    for scene, other in zip(cover, crowns, strict=True):
        number = int(scene.id[-5:])
        _, mask, _ = tile(number)
        assert scene.grid.affine == grid(number).affine
        assert np.array_equal(scene.labels.read(scene.grid), mask)
        found = other.labels.instances(other.grid)
        # `canopy` is class 0 and `tree` class 1, whatever the numbers in the file
        assert found.classes.tolist() == [1, 0]
        assert found.boxes[1].tolist() == [15, 20, 35, 32]
        assert np.array_equal(found.masks().any(0), mask)


def test_published_parts_are_kept_where_they_are_asked_for(coco):
    assert [scene.part for scene in read_oam_tcd(coco, "published")] == [part for _, part, _ in TILES]
    with pytest.raises(SwathError, match="no such split"):
        read_oam_tcd(coco, "random")
    (coco / "val.json").unlink()
    drawn = read_oam_tcd(coco)
    assert {s.group for s in drawn if s.part == "val"}.isdisjoint(s.group for s in drawn if s.part == "train")
    assert {s.part for s in drawn} == {"train", "val", "test"}


def test_parquet_holds_the_same_scenes(coco, parquet):
    cover = read_oam_tcd(parquet, fold=1)
    assert sorted((scene.id, scene.part) for scene in cover) == [
        ("aaa_10_00000", "train"), ("aaa_10_00001", "train"), ("bbb_10_00002", "val"), ("ccc_10_00005", "test"),
        ("ddd_10_00006", "test"),
    ]  # fmt: skip
    crowns = read_oam_tcd_instances(parquet, fold=1)
    for scene, other in zip(cover, crowns, strict=True):
        number = int(scene.id[-5:])
        image, mask, _ = tile(number)
        values, valid = scene.layers["image"].read(Window(0, 0, SIZE, SIZE))
        assert valid.all()
        assert np.array_equal(values, image)
        assert np.array_equal(scene.labels.read(scene.grid), mask)
        assert scene.grid.affine.almost_equals(grid(number).affine, 1e-6)
        assert other.labels.instances(other.grid).classes.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda root: (root / "images/aaa_10_00000.tif").unlink(), ReadError, "aaa_10_00000"),
        (lambda root: (root / "masks/aaa_10_00000.png").unlink(), ReadError, "aaa_10_00000"),
        (
            lambda root: tiny.write_picture(root / "masks/aaa_10_00000.png", np.zeros((9, 9), np.uint8)),
            GridError, "size",
        ),
        (
            lambda root: tiny.write_picture(root / "masks/aaa_10_00000.png", np.full((SIZE, SIZE), 7, np.uint8)),
            DataError, "7 \\(1600 pixels\\)",
        ),
        (
            lambda root: tiny.write_raster(
                root / "images/aaa_10_00000.tif", np.zeros((3, SIZE, SIZE), np.uint16), grid(0)
            ),
            DataError, "another type",
        ),
        (lambda root: (root / "train.json").write_text("{"), ReadError, "no JSON"),
        (lambda root: [p.unlink() for p in root.glob("*.json")], ReadError, "holds no OAM-TCD"),
    ],
)  # fmt: skip
def test_broken_folders_end_in_one_error(coco, damage, error, message):
    damage(coco)
    with pytest.raises(error, match=message):
        read_layout("oam_tcd", coco)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bounds": [0.0, 1.0, 0.0, 1.0]}, "no rectangle|cannot be read"),
        ({"coco_annotations": "{}"}, "no list"),
        ({"coco_annotations": "[[["}, "no JSON"),
        ({"image": {"bytes": b"no picture", "path": None}}, "cannot be decoded"),
        ({"width": 39}, "another size"),
    ],
)
def test_broken_rows_end_in_one_error(parquet, changes, message):
    path = parquet / "data/test-00000-of-00001.parquet"
    rows = pq.read_table(path).to_pylist()
    pq.write_table(pa.Table.from_pylist([{**row, **changes} for row in rows]), path)
    with pytest.raises(SwathError, match=message):
        read_layout("oam_tcd", parquet)
    path.write_bytes(b"PAR1")
    with pytest.raises(ReadError, match="no readable Parquet"):
        read_layout("oam_tcd", parquet)


@pytest.mark.data
def test_the_real_tile_has_its_polygons_on_its_mask(data_folder):
    folder = data_folder / "tree_crowns" / "oam_tcd"
    pictures = read_coco(folder / "test_20221010_single.json")
    (picture,) = pictures.values()
    image = open_raster(folder / picture.file, bands=resolve("rgb"))
    found = picture_labels(picture, image.grid, INSTANCE_CLASSES, "the tile").instances(image.grid)
    # the file numbers tree 0 and canopy 1: 34 trees and 14 groups
    assert np.bincount(found.classes).tolist() == [14, 34]
    mask = np.array(Image.open(folder / "5b3622402b6a08001185f8d8_10_00004_mask.png")) > 0
    laid = found.masks().any(0)
    assert (laid & mask).sum() / (laid | mask).sum() > 0.97
    # polygons and their pixels have the same area within one per cent
    drawn = sum(thing.shape.area for thing in picture.things)
    assert found.areas.sum() == pytest.approx(drawn, rel=0.01)
