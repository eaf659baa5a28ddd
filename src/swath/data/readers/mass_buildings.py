"""Massachusetts Buildings: 151 aerial pictures of 1500 x 1500 pixels of 1 m around Boston (Mnih 2013).

Three layouts are published. The original: `{train,valid,test}/sat/*.tiff` and `{train,valid,test}/map/*.tif`. A mirror:
`tiff/{train,val,test}/*.tiff` and `tiff/{train,val,test}_labels/*.tif`; and the same as `png/`. Buildings are red in
the original and white in mirrors: what is red enough is a building, and other colours are refused.

Some training pictures hold white areas where nothing was taken: they are no data. A single white pixel is a bright
roof, so only white is meant that holds a square of 16 pixels; beyond the picture counts as white.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from swath.data.classes import Classes
from swath.data.plain_areas import PlainAreaIsNoData
from swath.data.readers.layout import Images, Layout
from swath.data.reduced import ReducedPicture
from swath.data.scenes import PARTS, Collection, Scene
from swath.data.sources import Source
from swath.errors import ConfigError, DataError, ReadError
from swath.sensors.catalogue import resolve

CLASSES = Classes.of({0: {"name": "background", "colour": "#d8d0c0"}, 1: {"name": "building", "colour": "#b3352f"}})

#: Folders of images and of labels of each part, in each published layout.
FOLDERS = {
    "original": {
        "train": ("train/sat", "train/map"),
        "val": ("valid/sat", "valid/map"),
        "test": ("test/sat", "test/map"),
    }
} | {
    kind: {part: (f"{folder}{part}", f"{folder}{part}_labels") for part in PARTS}
    for kind, folder in (("TIFF mirror", "tiff/"), ("PNG mirror", "png/"), ("mirror", ""))
}
_SUFFIXES = (".tiff", ".tif", ".png")

#: From black to red and from black to white; a channel of red above 127 is a building.
_COLOURS = {colour: int(v > 127) for v in range(256) for colour in ((v, 0, 0), (v, v, v))}


def read_mass_buildings(root: str | Path, size: int | None = None) -> Collection:
    """Open the data set: a scene a picture, in the published parts.

    Args:
        root: Folder in one of the three layouts, or `tiff` or `png` itself; of both, TIFF is taken.
        size: Edge in pixels to which pictures are averaged, as the paper does with 256; None keeps 1 m.

    Raises:
        ReadError: If no layout is there, or a file is missing or damaged.
        DataError: If images and labels do not fit together, files are not 8-bit RGB, or labels hold other colours.
        ConfigError: If `size` is not positive.
    """
    root = Path(root)
    if size is not None and size < 1:
        raise ConfigError("Pictures cannot be reduced to this size", got=size, expected="at least 1 pixel")
    kind = next((kind for kind, parts in FOLDERS.items() if (root / parts["train"][0]).is_dir()), None)
    if kind is None:
        raise ReadError(
            f"{root} holds no Massachusetts Buildings",
            expected=", or ".join(" and ".join(parts["train"]) for parts in FOLDERS.values()),
        )
    scenes: list[Scene] = []
    facts: dict[str, object] = {}
    for part, (images, labels) in FOLDERS[kind].items():
        found = _layout(root, images, labels).read(root)
        scenes += [_prepared(scene, part, size) for scene in found]
        facts |= found.facts
    if doubled := sorted({s.id for s in scenes if [o.id for o in scenes].count(s.id) > 1}):
        raise DataError(f"{root} holds the same picture in several parts", got=", ".join(doubled[:5]))
    facts |= {"layout": kind, "split": "published folders", "pixels": "1 m" if size is None else f"reduced to {size}"}
    return Collection(tuple(scenes), CLASSES, "Massachusetts Buildings", facts)


def _layout(root: Path, images: str, labels: str) -> Layout:
    return Layout(
        name="Massachusetts Buildings",
        layers={"image": Images(_patterns(root, images), resolve("rgb"))},
        classes=CLASSES,
        masks=_patterns(root, labels),
        colours=_COLOURS,
        pictures=True,
        facts={"origin": "Mnih 2013, Massachusetts Buildings", "licence": "free for research"},
    )


def _patterns(root: Path, folder: str) -> tuple[str, ...]:
    """Patterns of the kinds of file that a folder holds."""
    there = [suffix for suffix in _SUFFIXES if next((root / folder).glob(f"*{suffix}"), None)]
    return tuple(f"{folder}/{{id}}{suffix}" for suffix in there or _SUFFIXES[:1])


def _prepared(scene: Scene, part: str, size: int | None) -> Scene:
    image: Source = PlainAreaIsNoData(scene.layers["image"], 255)
    if size is not None:
        image = ReducedPicture(image, (size, size))
    return replace(scene, part=part, layers={"image": image})
