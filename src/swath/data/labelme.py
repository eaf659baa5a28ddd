"""labelme annotations: a JSON file a picture, with polygons, rectangles, circles and lines.

Source: the format of labelme 4 and 5. Shapes of one label and one `group_id` are one thing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import shapely

from swath.data.annotations import Annotated, Annotation, load_json, member, points, polygon
from swath.errors import DataError

_KINDS = ("polygon", "rectangle", "circle", "line", "linestrip")


def read_labelme(path: str | Path, line_width: float | None = None) -> Annotated:
    """The picture of a labelme file.

    Args:
        path: The file.
        line_width: Width of lines in pixels; without it a line is refused.

    Raises:
        ReadError: If the file cannot be read or is no JSON.
        DataError: If a shape lacks a member, is of an unknown kind, or is no outline in pixels.
    """
    return parse_labelme(load_json(Path(path)), str(path), line_width)


def parse_labelme(found: Any, name: str, line_width: float | None = None) -> Annotated:
    """As `read_labelme`, of parsed JSON called `name`."""
    shape = (member(found, "imageHeight", int, name), member(found, "imageWidth", int, name))
    file = member(found, "imagePath", str, name).replace("\\", "/")
    outlines: dict[tuple[str, object], list[shapely.Geometry]] = {}
    for number, entry in enumerate(member(found, "shapes", list, name)):
        where = f"shape {number} of {name}"
        label, group = member(entry, "label", str, where), entry.get("group_id")
        key = (label, ("alone", number) if group is None else str(group))
        outlines.setdefault(key, []).append(_outline(entry, line_width, where))
    things = (Annotation(shapely.union_all(parts), label) for (label, _), parts in outlines.items())
    return Annotated(file.removeprefix("./"), shape, tuple(things))


def _outline(entry: Any, line_width: float | None, where: str) -> shapely.Geometry:
    kind = entry.get("shape_type", "polygon")
    if kind not in _KINDS:
        raise DataError(f"The kind of {where} is unknown", got=kind, expected=", ".join(_KINDS))
    pairs = points(member(entry, "points", list, where), where, 3 if kind == "polygon" else 2)
    if kind == "polygon":
        return polygon(pairs)
    if kind == "rectangle":
        return shapely.box(*pairs.min(0), *pairs.max(0))
    if kind == "circle":
        return shapely.Point(pairs[0]).buffer(float(np.linalg.norm(pairs[1] - pairs[0])), quad_segs=32)
    if line_width is None:
        raise DataError(f"There is no width for {where}", got=kind, fix="Give `width:` in pixels")
    return shapely.LineString(pairs).buffer(line_width / 2)
