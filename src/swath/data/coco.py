"""COCO annotations: polygons, run lengths and boxes of things in pictures.

Source: the format of cocodataset.org. Categories are told by name, because their numbers differ from file to file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from swath.data.annotations import Annotated, Annotation, load_json, member, points, polygon
from swath.errors import DataError
from swath.geo.masks import mask_outline

#: Pixels of a picture whose run lengths are decoded, at most.
_MOST_PIXELS = 1 << 28


def read_coco(path: str | Path) -> dict[str, Annotated]:
    """Pictures of a COCO file by their file name, in the order of the file; those without things too.

    Raises:
        ReadError: If the file cannot be read or is no JSON.
        DataError: If an entry lacks a member, has one of another type, or names a picture or category that is not
            there.
    """
    return parse_coco(load_json(Path(path)), str(path))


def parse_coco(found: Any, name: str) -> dict[str, Annotated]:
    """As `read_coco`, of parsed JSON called `name`."""
    categories = category_names(member(found, "categories", list, name), name)
    shapes: dict[int, tuple[str, tuple[int, int]]] = {}
    for entry in member(found, "images", list, name):
        where = f"an image of {name}"
        number, file = member(entry, "id", int, where), member(entry, "file_name", str, where)
        if number in shapes or any(file == known for known, _ in shapes.values()):
            raise DataError(f"{name} has an image twice", got=f"id {number}, {file}")
        shapes[number] = (file, (member(entry, "height", int, where), member(entry, "width", int, where)))
    things: dict[int, list[Annotation]] = {number: [] for number in shapes}
    for entry in member(found, "annotations", list, name):
        number = member(entry, "image_id", int, f"an annotation of {name}")
        if number not in shapes:
            raise DataError(f"An annotation of {name} is of no image", got=number, expected=list(shapes)[:8])
        things[number].append(annotation(entry, shapes[number][1], categories, name))
    return {file: Annotated(file, shape, tuple(things[number])) for number, (file, shape) in shapes.items()}


def category_names(found: list[Any], name: str) -> dict[int, str]:
    """Name of each category's number."""
    categories: dict[int, str] = {}
    for entry in found:
        number = member(entry, "id", int, f"a category of {name}")
        if number in categories:
            raise DataError(f"{name} has a category twice", got=number)
        categories[number] = member(entry, "name", str, f"a category of {name}")
    return categories


def annotation(entry: Any, shape: tuple[int, int], categories: Mapping[int, str], name: str) -> Annotation:
    """One thing of a COCO list.

    Args:
        entry: The parsed object.
        shape: `(height, width)` of its picture.
        categories: Name of each number.
        name: Of the file, for messages.

    Raises:
        DataError: If it cannot be used.
    """
    where = f"annotation {entry.get('id', '?') if isinstance(entry, dict) else '?'} of {name}"
    category = member(entry, "category_id", int, where)
    if category not in categories:
        raise DataError(f"The category of {where} is unknown", got=category, expected=dict(categories))
    crowd = entry.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise DataError(f"`iscrowd` of {where} cannot be used", got=f"{crowd!r:.60}", expected="0 or 1")
    segmentation = entry.get("segmentation")
    outline: shapely.Geometry
    if isinstance(segmentation, dict):
        outline = mask_outline(run_lengths(segmentation, shape, where))
    elif isinstance(segmentation, list) and segmentation:
        rings = segmentation if isinstance(segmentation[0], list) else [segmentation]
        outline = shapely.union_all([polygon(points(ring, where, 3)) for ring in rings])
    else:
        left, top, width, height = points(member(entry, "bbox", list, where), where, 2).ravel()[:4]
        outline = shapely.box(left, top, left + width, top + height)
    return Annotation(outline, categories[category], bool(crowd))


def run_lengths(found: Mapping[str, Any], shape: tuple[int, int], where: str) -> np.ndarray:
    """Mask `[height, width]`, bool, of run lengths, compressed or not: columns one after the other, zeros first.

    They are unpacked here, not by pycocotools, whose decoder takes runs that do not fill the picture.

    Raises:
        DataError: If they are not of a picture of `shape`.
    """
    size, counts = member(found, "size", list, where), member(found, "counts", (str, list), where)
    if size != list(shape) or not 0 < shape[0] * shape[1] <= _MOST_PIXELS:
        raise DataError(f"The run lengths of {where} are of another picture", got=size, expected=list(shape))
    runs = _unpacked(counts) if isinstance(counts, str) else counts
    whole = all(isinstance(run, int) and 0 <= run <= _MOST_PIXELS for run in runs)
    if not whole or sum(runs) != shape[0] * shape[1]:
        raise DataError(
            f"The run lengths of {where} cannot be decoded",
            got=f"{len(runs)} runs of {sum(runs)} pixels" if whole else f"{counts!r:.60}",
            expected=f"runs that add up to {shape[0] * shape[1]} pixels",
        )
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, np.array(runs, np.int64))
    return flat.reshape(shape[1], shape[0]).T


def _unpacked(text: str) -> list[int]:
    """Run lengths of COCO's text: five bits a character, lowest first, each from the third on less the last but one."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
        elif not 0 <= bits < 64 or shift > 60:
            return [-1]
    return runs
