"""GID-15: 150 pictures of Gaofen-2 in RGB, 7200 x 6800 pixels, with 15 classes and background a pixel.

`GID/img_dir/{train,val,test}/<name>.tif` and `GID/ann_dir/{train,val}/<name>_15label.png`, codes from 0; the test part
is published without labels. Pictures may be PNG too. That codes are places in the list of classes is what TorchGeo's
reader takes for granted; it was not checked on the published masks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from swath.data.classes import Classes
from swath.data.dealing import drawn
from swath.data.readers.layout import Images, Layout
from swath.data.scenes import Collection
from swath.errors import ConfigError, DataError, ReadError
from swath.sensors.catalogue import resolve

CLASSES = Classes.of(
    {
        0: {"name": "background", "colour": "#000000"},
        1: {"name": "industrial land", "colour": "#c80000"},
        2: {"name": "urban residential", "colour": "#fa0096"},
        3: {"name": "rural residential", "colour": "#c89696"},
        4: {"name": "traffic land", "colour": "#fa9696"},
        5: {"name": "paddy field", "colour": "#00c800"},
        6: {"name": "irrigated land", "colour": "#96fa00"},
        7: {"name": "dry cropland", "colour": "#96c896"},
        8: {"name": "garden plot", "colour": "#c800c8"},
        9: {"name": "arbor woodland", "colour": "#9600fa"},
        10: {"name": "shrub land", "colour": "#9696fa"},
        11: {"name": "natural grassland", "colour": "#fac800"},
        12: {"name": "artificial grassland", "colour": "#c8c800"},
        13: {"name": "river", "colour": "#0000c8"},
        14: {"name": "lake", "colour": "#0096c8"},
        15: {"name": "pond", "colour": "#00c8fa"},
    }
)

#: Share of the pictures of the published training part that selects, where its validation part tests.
_SELECTING = 0.15


def read_gid15(root: str | Path, split: Literal["labelled", "published"] = "labelled", seed: int = 0) -> Collection:
    """Open the data set: a scene a picture.

    Args:
        root: Folder that holds `GID`, or `GID` itself.
        split: `labelled` tests on the published validation part and takes some training pictures, drawn by `seed`, for
            selection, because the published test part has no labels and could not be scored; `published` keeps all
            parts as they are.
        seed: See `split`.

    Raises:
        ReadError: If the layout is not there, or a file is missing or damaged.
        DataError: If pictures and labels do not fit together, files are not 8-bit RGB, or labels hold other codes.
        ConfigError: If there is no such split.
    """
    if split not in ("labelled", "published"):
        raise ConfigError("GID-15 has no such split", got=split, expected="labelled or published")
    root = Path(root)
    root = root / "GID" if (root / "GID").is_dir() else root
    if not (root / "img_dir").is_dir():
        raise ReadError(f"{root} holds no GID-15", expected="the folders img_dir and ann_dir")
    parts = {part: _layout(root, part).read(root) for part in ("train", "val")}
    scenes = {part: [replace(scene, part=part) for scene in found] for part, found in parts.items()}
    if split == "published":
        if (root / "img_dir/test").is_dir():
            scenes["test"] = [replace(scene, part="test") for scene in _layout(root, "test").read(root)]
    else:
        if len(scenes["train"]) < 2:
            raise DataError(f"{root} holds too few training pictures", got=len(scenes["train"]), expected="2 or more")
        scenes["test"] = [replace(scene, part="test") for scene in scenes["val"]]
        selecting = drawn(len(scenes["train"]), _SELECTING, seed)
        scenes["val"] = [replace(s, part="val") for n, s in enumerate(scenes["train"]) if n in selecting]
        scenes["train"] = [s for n, s in enumerate(scenes["train"]) if n not in selecting]
    told = "published folders" if split == "published" else "published val tests; val drawn from train by picture"
    every = tuple(scene for found in scenes.values() for scene in found)
    return Collection(every, CLASSES, "GID-15", {**parts["train"].facts, "split": told})


def _layout(root: Path, part: str) -> Layout:
    suffix = ".tif" if next((root / f"img_dir/{part}").glob("*.tif"), None) else ".png"
    return Layout(
        name="GID-15",
        layers={"image": Images((f"img_dir/{part}/{{id}}{suffix}",), resolve("rgb"))},
        classes=CLASSES,
        masks=(f"ann_dir/{part}/{{id}}_15label.png",) if part != "test" else (),
        pictures=True,
        facts={"origin": "GID-15, Gaofen-2 (Tong et al. 2020, arXiv 1807.05713)"},
    )
