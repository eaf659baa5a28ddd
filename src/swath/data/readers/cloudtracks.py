"""CloudTracks: granules of MODIS in day microphysics, with the outline of each ship track (Zenodo 10042922).

How the release is laid out is not known to us, so a folder is searched. Two kinds of JSON are read, wherever they lie:
labelme 4, a file a picture, as the data before CloudTracks have it (Zenodo 7038715: `images/`, `annotated/`); and COCO.
A picture is where its file says, beside the file, or in a folder `images`. Pictures of which a file says that they hold
no track are kept. A line that was clicked, not outlined, is a track of 10 pixels, as the labels before CloudTracks
were made of such lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from swath.data.annotations import Annotated, load_json, picture_labels
from swath.data.checks import check_collection
from swath.data.classes import Classes
from swath.data.coco import parse_coco
from swath.data.labelme import parse_labelme
from swath.data.raster import open_raster
from swath.data.scenes import Collection, Scene
from swath.data.sources import require_dtype
from swath.data.splits import split_by_group
from swath.errors import DataError, ReadError, some
from swath.sensors.catalogue import resolve

CLASSES = Classes.of({0: {"name": "background", "colour": "#274060"}, 1: {"name": "track", "colour": "#f2b134"}})
#: What files call a track.
_TEXTS = dict.fromkeys(("shiptrack", "ship track", "ship_track", "ship-track", "track", "Shiptrack", "Ship track"), 1)
#: Width in pixels of a track that is given by a line.
LINE_WIDTH = 10.0
_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
#: Year and day of year in the name of a granule, and perhaps hour, minute and second.
_DAY = re.compile(r"(?<!\d)(\d{7})(?:\.?\d{4}|\d{6})?(?!\d)")


def read_cloudtracks(root: str | Path) -> Collection:
    """Open the data set: a scene a granule, split by day so that granules that follow each other stay together.

    Raises:
        ReadError: If the folder, a picture or a JSON is missing or damaged.
        DataError: If no annotation is there, a picture has none or two, is no 8-bit RGB or of another size, or a label
            is not known.
    """
    root = Path(root)
    if not root.is_dir():
        raise ReadError(f"{root} does not exist", expected="a folder with pictures and JSON of CloudTracks")
    found: dict[Path, tuple[Annotated, Path]] = {}
    for path in sorted(root.rglob("*.json")):
        for picture in _pictures(load_json(path), path):
            image = _image(picture.file, path, root)
            if image in found:
                raise DataError(f"{image} is annotated twice", got=f"{found[image][1]} and {path}")
            found[image] = picture, path
    if not found:
        raise DataError(f"{root} holds no annotated picture", expected="labelme or COCO JSON")
    _require_all_annotated(found)
    scenes = [_scene(image, picture, path) for image, (picture, path) in sorted(found.items())]
    facts: dict[str, object] = {
        "origin": "CloudTracks, Zenodo 10042922",
        "scenes without a track": sum(not picture.things for picture, _ in found.values()),
        "tracks": sum(len(picture.things) for picture, _ in found.values()),
    }
    checked = check_collection(Collection(tuple(scenes), CLASSES, "CloudTracks", facts))
    # a granule without a track is labelled: it is all background
    told = {name: fact for name, fact in checked.facts.items() if name != "scenes without labels"}
    return split_by_group(replace(checked, facts=told))


def day_of(name: str) -> str | None:
    """Year and day of year in the name of a granule, such as `mod2019123.1830` or `A2020032224500`."""
    found = _DAY.search(name)
    return None if found is None else found[1]


def _pictures(found: Any, path: Path) -> Iterator[Annotated]:
    """Pictures that a JSON annotates."""
    if isinstance(found, Mapping) and "shapes" in found:
        yield parse_labelme(found, str(path), LINE_WIDTH)
    elif isinstance(found, Mapping) and "annotations" in found:
        yield from parse_coco(found, str(path)).values()
    else:
        raise DataError(
            f"{path} is neither labelme nor COCO",
            got=", ".join(map(str, found))[:80] if isinstance(found, Mapping) else type(found).__name__,
            expected="`shapes`, or `images`, `annotations` and `categories`",
        )


def _image(file: str, annotations: Path, root: Path) -> Path:
    """Where the picture of an annotation lies."""
    name = Path(file).name
    tried = [annotations.parent / file, annotations.parent / name, root / file, root / "images" / name]
    for path in tried:
        inside = path.resolve()
        if inside.is_file() and inside.is_relative_to(root.resolve()):
            return inside
    raise ReadError(
        f"{annotations} annotates a picture that is not there", got=file, expected=", ".join(map(str, tried[:2]))
    )


def _require_all_annotated(found: Mapping[Path, object]) -> None:
    """Refuse pictures beside annotated ones of which nothing is said: they are not known to be empty."""
    folders = {image.parent for image in found}
    there = {p for folder in folders for p in folder.iterdir() if p.suffix.casefold() in _SUFFIXES}
    if alone := sorted(path.name for path in there - found.keys()):
        raise DataError(
            "Pictures have no annotation",
            got=some(alone),
            fix="Add a JSON without shapes for those that hold no track",
        )


def _scene(image: Path, picture: Annotated, path: Path) -> Scene:
    source = open_raster(image, bands=resolve("rgb"), crs="none")
    require_dtype(source, "uint8")
    labels = picture_labels(picture, source.grid, CLASSES, str(path), _TEXTS, background="background")
    return Scene(image.stem, {"image": source}, labels, group=day_of(image.stem) or image.stem)
