"""labelme files: outlines of all kinds, groups, and broken files."""

import json
import math

import pytest

from swath.data.labelme import read_labelme
from swath.errors import SwathError

FILE = {
    "imagePath": ".\\one.png", "imageHeight": 50, "imageWidth": 60,
    "shapes": [
        {"label": "shiptrack", "points": [[1, 1], [11, 1], [11, 6]], "shape_type": "polygon", "group_id": None},
        {"label": "shiptrack", "points": [[30, 9], [20, 3]], "shape_type": "rectangle"},
        {"label": "shiptrack", "points": [[30, 30], [30, 40]], "shape_type": "circle"},
        {"label": "shiptrack", "points": [[5, 20], [45, 20]], "shape_type": "linestrip", "group_id": 3},
        {"label": "shiptrack", "points": [[45, 20], [45, 40]], "shape_type": "line", "group_id": 3},
    ],
}  # fmt: skip


def write(tmp_path, found):
    path = tmp_path / "one.json"
    path.write_text(json.dumps(found))
    return path


def test_shapes_have_their_areas_and_groups_are_one_thing(tmp_path):
    picture = read_labelme(write(tmp_path, FILE), line_width=10)
    assert (picture.file, picture.shape) == ("one.png", (50, 60))
    areas = [thing.shape.area for thing in picture.things]
    assert areas[:2] == [25.0, 60.0]
    assert areas[2] == pytest.approx(math.pi * 100, rel=1e-2)
    # a line of length L, buffered by 5, has the area 10 L + 25 pi; two that meet in a right angle share some
    assert len(areas) == 4
    alone = [dict(shape, group_id=None) for shape in FILE["shapes"][3:4]]
    (line,) = read_labelme(write(tmp_path, {**FILE, "shapes": alone}), line_width=10).things
    assert line.shape.area == pytest.approx(10 * 40 + 25 * math.pi, rel=1e-2)
    assert line.shape.area < areas[3] < line.shape.area + 10 * 20 + 25 * math.pi


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"label": "a", "points": [[1, 1], [2, 2], [3, 1]], "shape_type": "blob"}, "kind"),
        ({"label": "a", "points": [[1, 1], [2, 2]]}, "no outline"),
        ({"label": 3, "points": [[1, 1], [2, 2], [3, 1]]}, "`label`"),
        ({"label": "a"}, "`points`"),
        ({"label": "a", "points": [[1, 1], [2, 2]], "shape_type": "line"}, "no width"),
        ("shape", "`label`"),
    ],
)
def test_broken_shapes_are_refused(tmp_path, shape, message):
    with pytest.raises(SwathError, match=message):
        read_labelme(write(tmp_path, {**FILE, "shapes": [shape]}))
    with pytest.raises(SwathError, match="`imageHeight`"):
        read_labelme(write(tmp_path, {"shapes": []}))
