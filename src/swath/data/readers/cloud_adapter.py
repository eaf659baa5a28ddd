"""Cloud masks as Cloud-Adapter is published: five data sets as 8-bit RGB with a class a pixel (arXiv 2411.13127).

`data/<name>/{img_dir,ann_dir}/{train,val,test}/*.png`, where the name of the folder says which data set it is. The
release made the RGB from reflectance by a minimum and maximum of its own for each patch, so brightness cannot be
compared between patches any more.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from swath.data.classes import Classes
from swath.data.dealing import drawn
from swath.data.plain_areas import PlainAreaIsNoData
from swath.data.readers.layout import Images, Layout
from swath.data.scenes import PARTS, Collection, Scene
from swath.errors import ConfigError, DataError, ReadError
from swath.sensors.catalogue import resolve

_CLEAR, _SHADOW, _THIN, _CLOUD = (
    {"name": name, "colour": colour}
    for name, colour in (("clear", "#7a8b69"), ("shadow", "#3d2c5e"), ("thin cloud", "#9ecae1"), ("cloud", "#ffffff"))
)
_FOUR = Classes.of({0: _CLEAR, 1: {**_CLOUD, "name": "thick cloud"}, 2: _THIN, 3: _SHADOW})
_TWO = Classes.of({0: _CLEAR, 1: _CLOUD})

#: Legend of each data set.
CLASSES = {
    "cloudsen12_high_l1c": _FOUR,
    "cloudsen12_high_l2a": _FOUR,
    "gf12ms_whu_gf1": _TWO,
    "gf12ms_whu_gf2": _TWO,
    "hrc_whu": _TWO,
    "l8_biome": Classes.of({0: _CLEAR, 1: _SHADOW, 2: _THIN, 3: _CLOUD}),
}
#: The data set whose pictures hold black where nothing was taken, which the release labels clear.
_FILLED = "l8_biome"
#: Share of the training pictures that selects, where the published validation part holds test pictures.
_SELECTING = 0.1


def read_cloud_adapter(
    root: str | Path,
    split: Literal["dealt", "published"] = "dealt",
    fill: Literal["ignored", "clear"] = "ignored",
    seed: int = 0,
) -> Collection:
    """Open one of the data sets: a scene a picture.

    Args:
        root: Folder of a data set, with `img_dir` and `ann_dir`, or a folder that holds exactly one.
        split: `dealt` never selects on test pictures: where the validation part is missing, or holds pictures that are
            test pictures too, a tenth of the training pictures takes its place, drawn by `seed`; where there is no test
            part, the validation part is the test part, as in the release. `published` takes the folders as they are.
        fill: Whether black areas of Landsat-8 scenes are no data, or clear ground as in the release.
        seed: See `split`.

    Raises:
        ReadError: If no data set is there, or a file is missing or damaged.
        DataError: If pictures and masks do not fit together, pictures are not 8-bit RGB, masks hold other codes, or
            there are too few pictures to deal.
        ConfigError: If an option is unknown.
    """
    if split not in ("dealt", "published") or fill not in ("ignored", "clear"):
        raise ConfigError(
            "The layout of Cloud-Adapter has no such option",
            got=f"split {split}, fill {fill}",
            expected="split dealt or published, fill ignored or clear",
        )
    folder = _data_set(Path(root))
    found = Layout(
        name=folder.name,
        layers={"image": Images(("img_dir/{split}/{id}.png",), resolve("rgb"))},
        classes=CLASSES[folder.name],
        masks=("ann_dir/{split}/{id}.png",),
        pictures=True,
        parts={part: part for part in PARTS},
        facts={"origin": "Cloud-Adapter (Zou et al. 2025, arXiv 2411.13127)"},
    ).read(folder)
    if folder.name == _FILLED:
        if fill == "ignored":
            found = found.with_scenes([_without_fill(scene) for scene in found])
        found = found.with_scenes(found.scenes, fill=fill)
    return found if split == "published" else _dealt(found, seed)


def _data_set(root: Path) -> Path:
    """The folder of the data set in `root`, or `root` itself."""
    here = [root] if (root / "img_dir").is_dir() else sorted(p for p in root.glob("*") if (p / "img_dir").is_dir())
    known = [folder for folder in here if folder.resolve().name in CLASSES]
    if len(known) != 1:
        raise ReadError(
            f"{root} does not hold one data set of Cloud-Adapter",
            got=", ".join(folder.name for folder in here) or "no folder with img_dir",
            expected=f"img_dir and ann_dir in a folder with one of the names {', '.join(CLASSES)}",
            fix="Name one of them" if len(known) > 1 else None,
        )
    return known[0].resolve()


def _without_fill(scene: Scene) -> Scene:
    return replace(scene, layers={"image": PlainAreaIsNoData(scene.layers["image"], 0)})


def _dealt(found: Collection, seed: int) -> Collection:
    """The same pictures in parts of which none is in two."""
    parts = {part: [scene for scene in found if scene.part == part] for part in PARTS}
    told = "published folders"
    if not parts["test"]:
        parts["test"], parts["val"] = parts["val"], []
        told = "published val tests"
    elif parts["val"] and (shared := _shared(parts["val"], parts["test"])):
        told = f"published val left out: {shared} of its {len(parts['val'])} pictures test too"
        parts["val"] = []
    if not parts["val"]:
        train = parts["train"]
        if len(train) < 2:
            raise DataError(f"{found.name} holds too few training pictures", got=len(train), expected="2 or more")
        selecting = drawn(len(train), _SELECTING, seed)
        parts["val"] = [scene for number, scene in enumerate(train) if number in selecting]
        parts["train"] = [scene for number, scene in enumerate(train) if number not in selecting]
        told += "; val dealt from train by picture"
    scenes = [replace(scene, part=part) for part, members in parts.items() for scene in members]
    return found.with_scenes(scenes, split=told)


def _shared(some: Sequence[Scene], others: Sequence[Scene]) -> int:
    """How many pictures of `some` are, byte by byte, among `others`."""
    by_size = defaultdict(list)
    for scene in others:
        path = Path(scene.layers["image"].name)
        by_size[path.stat().st_size].append(path)
    shared = 0
    for scene in some:
        path = Path(scene.layers["image"].name)
        alike = by_size.get(path.stat().st_size, [])
        shared += bool(alike) and _digest(path) in map(_digest, alike)
    return shared


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
