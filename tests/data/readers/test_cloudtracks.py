"""Granules with labelme and COCO, as anyone may lay them out; and what is wrong with a folder."""

import json

import numpy as np
import pytest
from PIL import Image

from swath.data.readers.cloudtracks import day_of, read_cloudtracks
from swath.errors import DataError, ReadError

SIZE = {"imageHeight": 30, "imageWidth": 40}


def polygon(x0, y0, x1, y1, group=None, label="shiptrack"):
    points = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
    return {"label": label, "points": points, "group_id": group, "shape_type": "polygon", "flags": {}}


#: Three days; the third granule has no track.
SHAPES = {
    "mod2019008.1725": [polygon(2, 3, 12, 8), polygon(10, 0, 13, 30)],
    "mod2019008.1730": [polygon(0, 0, 5, 5, 1), polygon(20, 20, 25, 25, 1)],
    "mod2019015.1725": [],
    "myd2019022.1725": [polygon(30, 10, 45, 14)],
}


def picture(path, shape=(30, 40, 3), dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, shape).astype(dtype)).save(path)


@pytest.fixture
def labelme(tmp_path):
    for name, shapes in SHAPES.items():
        picture(tmp_path / f"images/{name}.png")
        told = {"version": "4.0.0", "shapes": shapes, "imagePath": f"../images/{name}.png", **SIZE}
        (tmp_path / "annotated").mkdir(exist_ok=True)
        (tmp_path / f"annotated/{name}.json").write_text(json.dumps(told))
    return tmp_path


def as_coco(folder):
    """The same in COCO."""
    found = {"images": [], "annotations": [], "categories": [{"id": 7, "name": "shiptrack"}]}
    for number, (name, shapes) in enumerate(SHAPES.items()):
        picture(folder / f"images/{name}.png")
        found["images"].append({"id": number, "file_name": f"{name}.png", "height": 30, "width": 40})
        rings = {}
        for place, shape in enumerate(shapes):
            rings.setdefault(shape["group_id"] or -place, []).append(np.ravel(shape["points"]).tolist())
        found["annotations"] += [
            {"id": 10 * number + i, "image_id": number, "category_id": 7, "segmentation": parts}
            for i, parts in enumerate(rings.values())
        ]
    (folder / "tracks.json").write_text(json.dumps(found))
    return folder


def masks(data):
    return {s.id: (s.labels.read(s.grid), s.labels.instances(s.grid).masks()) for s in data}


def test_labelme(labelme):
    found = read_cloudtracks(labelme)
    assert len(found) == 4
    assert found.facts["scenes without a track"] == 1
    days = {scene.id: (scene.group, scene.part) for scene in found}
    assert days["mod2019008.1725"] == days["mod2019008.1730"]
    assert {part for _, part in days.values()} == {"train", "val", "test"}
    seen = masks(found)
    classes, things = seen["mod2019008.1725"]
    assert classes.sum() == 10 * 5 + 3 * 30 - 2 * 5
    assert things.sum((1, 2)).tolist() == [50, 90]
    assert classes[3:8, 2:12].all()
    assert len(seen["mod2019008.1730"][1]) == 1  # two parts of one group
    assert seen["mod2019015.1725"][0].max() == 0
    assert seen["mod2019015.1725"][1].shape == (0, 30, 40)
    assert seen["myd2019022.1725"][1].sum() == 10 * 4  # cut at the edge


def test_coco_says_the_same(labelme, tmp_path_factory):
    one, other = masks(read_cloudtracks(labelme)), masks(read_cloudtracks(as_coco(tmp_path_factory.mktemp("coco"))))
    assert one.keys() == other.keys()
    for name in one:
        assert all(np.array_equal(a, b) for a, b in zip(one[name], other[name], strict=True))


def test_a_clicked_line_is_a_band_of_ten_pixels(labelme):
    path = labelme / "annotated/mod2019015.1725.json"
    told = json.loads(path.read_text())
    told["shapes"] = [{"label": "shiptrack", "points": [[-20, 15], [60, 15]], "shape_type": "linestrip"}]
    path.write_text(json.dumps(told))
    classes = masks(read_cloudtracks(labelme))["mod2019015.1725"][0]
    assert classes.sum() == 10 * 40
    assert classes[10:20].all()


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("mod2019008.1725", "2019008"),
        ("MYD2008123.0005", "2008123"),
        ("A2020032224500_inferred", "2020032"),
        ("mod20190081725", "2019008"),
        ("190081725", None),
        ("granule 7", None),
    ],
)
def test_the_day_of_a_granule(name, day):
    assert day_of(name) == day


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda root: picture(root / "images/mod2019029.1725.png"), DataError, "no annotation: got mod2019029.1725"),
        (lambda root: (root / "images/mod2019015.1725.png").unlink(), ReadError, "a picture that is not there"),
        (lambda root: picture(root / "images/mod2019015.1725.png", (30, 41, 3)), DataError, "of another size"),
        (lambda root: picture(root / "images/mod2019015.1725.png", (30, 40), np.uint16), Exception, "mod2019015.1725"),
        (lambda root: (root / "again.json").write_text(as_again(root)), DataError, "annotated twice"),
        (lambda root: (root / "notes.json").write_text('{"a": 1}'), DataError, "neither labelme nor COCO"),
        (lambda root: (root / "notes.json").write_text("{"), ReadError, "notes.json"),
        (lambda root: relabel(root, "contrail"), DataError, r"outside the classes: got 'contrail' \(1 rows\)"),
    ],
)
def test_what_is_wrong_is_named(labelme, damage, error, message):
    damage(labelme)
    with pytest.raises(error, match=message):
        read_cloudtracks(labelme)


def as_again(root):
    told = json.loads((root / "annotated/mod2019015.1725.json").read_text())
    return json.dumps({**told, "imagePath": "images/mod2019015.1725.png"})


def relabel(root, label):
    path = root / "annotated/mod2019015.1725.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "shapes": [polygon(1, 1, 5, 5, label=label)]}))


def test_a_file_outside_of_the_folder_is_not_read(labelme):
    picture(labelme.parent / "secret.png")
    path = labelme / "annotated/mod2019015.1725.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "imagePath": "../../secret.png"}))
    with pytest.raises(ReadError, match="not there"):
        read_cloudtracks(labelme)


def test_folders_without_anything(tmp_path):
    with pytest.raises(ReadError, match="does not exist"):
        read_cloudtracks(tmp_path / "absent")
    with pytest.raises(DataError, match="no annotated picture"):
        read_cloudtracks(tmp_path)
