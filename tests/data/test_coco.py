"""COCO annotations: shapes as pycocotools has them, and every kind of broken file refused in one error."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from swath.data.annotations import find_picture, picture_labels
from swath.data.classes import Classes
from swath.data.coco import read_coco, run_lengths
from swath.errors import DataError, SwathError
from swath.geo.grids import pixel_grid

# pycocotools 2.0.11 is warned of numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CLASSES = Classes.of(["canopy", "tree"])


def coco(**changes):
    """A small file: a polygon of two rings, run lengths of both kinds, a box."""
    mask = np.zeros((30, 40), np.uint8)
    mask[5:9, 7:20] = 1
    mask[20:22, 30:33] = 1
    packed = coco_mask.encode(np.asfortranarray(mask))
    plain = [5 * 1 + 30 * 7, 4, *[26, 4] * 12]
    plain.append(30 * 40 - sum(plain))
    found = {
        "images": [
            {"id": 7, "file_name": "a/one.png", "height": 30, "width": 40},
            {"id": 8, "file_name": "two.png", "height": 30, "width": 40},
        ],
        "categories": [{"id": 0, "name": "tree"}, {"id": 1, "name": "canopy"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 0, "iscrowd": 0,
             "segmentation": [[2.2, 1.4, 9.8, 1.4, 9.8, 12.1, 2.2, 12.1], [20, 20, 26, 20, 23, 28]]},
            {"id": 2, "image_id": 7, "category_id": 1, "iscrowd": 1,
             "segmentation": {"size": [30, 40], "counts": packed["counts"].decode()}},
            {"id": 3, "image_id": 7, "category_id": 1, "iscrowd": 0,
             "segmentation": {"size": [30, 40], "counts": plain}},
            {"id": 4, "image_id": 7, "category_id": 0, "bbox": [3, 4, 10, 5], "segmentation": []},
        ],
    }  # fmt: skip
    return {**found, **changes}


def write(tmp_path, found):
    path = tmp_path / "all.json"
    path.write_text(found if isinstance(found, str) else json.dumps(found))
    return path


def test_shapes_and_categories_by_name(tmp_path):
    pictures = read_coco(write(tmp_path, coco()))
    assert list(pictures) == ["a/one.png", "two.png"]
    labels = picture_labels(pictures["a/one.png"], pixel_grid(30, 40), CLASSES, "all.json")
    found = labels.instances(pixel_grid(30, 40))
    # `tree` is 0 in the file and 1 in the legend
    assert found.classes.tolist() == [1, 0, 0, 1]
    assert found.crowd.tolist() == [False, True, False, False]
    masks = found.masks()
    packed = coco()["annotations"][1]["segmentation"]
    assert np.array_equal(masks[1], coco_mask.decode({**packed, "counts": packed["counts"].encode()}).astype(bool))
    assert np.argwhere(masks[2]).tolist() == [[r, c] for r in range(5, 9) for c in range(7, 20)]
    assert found.boxes[3].tolist() == [3, 4, 13, 9]
    assert found.boxes[0].tolist() == [2, 1, 26, 27]
    assert abs(int(masks[0].sum()) - (7.6 * 10.7 + 24)) < 8
    # a picture without things is one with none, not one without labels
    nothing = picture_labels(pictures["two.png"], pixel_grid(30, 40), CLASSES, "all.json")
    assert len(nothing.instances(pixel_grid(30, 40))) == 0


@given(mask=arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
@settings(deadline=None, max_examples=60)
def test_run_lengths_are_those_of_pycocotools(mask):
    packed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    found = {"size": list(mask.shape), "counts": packed["counts"].decode()}
    assert np.array_equal(run_lengths(found, mask.shape, "x"), mask)


def changed(where, **values):
    found = coco()
    found[where][0] = {**found[where][0], **values}
    return found


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ("{not json", "no JSON"),
        ("[" * 200_000, "no JSON"),
        ('{"images": [], "x": NaN}', "NaN"),
        ([], "no object"),
        (coco(images=None), "`images`"),
        (coco(categories=[{"id": 1}]), "`name` of a category"),
        (coco(categories=[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]), "category twice"),
        (coco(images=coco()["images"] * 2), "image twice"),
        (changed("images", height="30"), "`height`"),
        (changed("annotations", image_id=99), "of no image"),
        (changed("annotations", category_id=5), "unknown"),
        (changed("annotations", iscrowd="yes"), "`iscrowd`"),
        (changed("annotations", segmentation=[[1, 2, 3]]), "not in pairs"),
        (changed("annotations", segmentation=[[1, 2, 3, 4]]), "no outline"),
        (changed("annotations", segmentation=[[1, 2, 3, "x", 5, 6]]), "no numbers"),
        (changed("annotations", segmentation=[[1, 2, 1e300, 4, 5, 6]]), "no outline"),
        (changed("annotations", segmentation=[[10**400, 2, 3, 4, 5, 6]]), "no numbers"),
        (changed("annotations", segmentation=[]), "`bbox`"),
        (changed("annotations", segmentation=[], bbox=[1, 2]), "no outline"),
        (changed("annotations", segmentation={"size": [30, 40]}), "`counts`"),
        (changed("annotations", segmentation={"size": [99, 40], "counts": [3960]}), "another picture"),
        (changed("annotations", segmentation={"size": [30, 40], "counts": [10, -5, 1195]}), "decoded"),
        (changed("annotations", segmentation={"size": [30, 40], "counts": [10**9]}), "decoded"),
        (changed("annotations", segmentation={"size": [30, 40], "counts": "~~~~~~~~~~"}), "decoded"),
        (changed("annotations", segmentation={"size": [30, 40], "counts": "o" * 99}), "decoded"),
        (changed("annotations", segmentation={"size": [30, 40], "counts": "ooooooo0"}), "decoded"),
        (changed("annotations", segmentation={"size": [30, 40], "counts": ["a"]}), "decoded"),
        (changed("annotations", segmentation={"size": [30, 40], "counts": "\u00fc"}), "decoded"),
    ],
)
def test_broken_files_end_in_one_clear_error(tmp_path, found, message):
    with pytest.raises(SwathError, match=message) as caught:
        read_coco(write(tmp_path, found))
    assert "all.json" in str(caught.value)


def test_pictures_of_another_size_or_name_are_refused(tmp_path):
    pictures = read_coco(write(tmp_path, coco()))
    with pytest.raises(DataError, match="another size"):
        picture_labels(pictures["two.png"], pixel_grid(31, 40), CLASSES, "all.json")
    with pytest.raises(DataError, match="no picture"):
        find_picture(pictures, tmp_path / "three.png", "all.json")
    assert find_picture(pictures, tmp_path / "a" / "one.png", "all.json").file == "a/one.png"
    with pytest.raises(DataError, match="outside the classes"):
        picture_labels(pictures["a/one.png"], pixel_grid(30, 40), Classes.of(["bush"]), "all.json")
    missing = tmp_path / "none.json"
    with pytest.raises(SwathError, match="cannot be read"):
        read_coco(missing)
