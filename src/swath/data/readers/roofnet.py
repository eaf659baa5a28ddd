"""RoofNet: crops of roofs in folders by part and material, with facts in their names and in a table.

`{train,val}/<Material>/<name>.jpg` (`swath.data.roof_names`) and, if it is there, `roof_materials_augmented_all.csv`,
which says more of each file by its `filename`. A folder `reassess` below a material has what the release's validator
put aside; it is not read.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from swath.data.classes import Classes
from swath.data.placed import Placed
from swath.data.readers.layout import Images, Layout
from swath.data.roof_names import FACTS, file_of, placed_roof, shape_of_roof
from swath.data.scenes import Collection, Scene
from swath.data.splits import split_by_group
from swath.errors import ConfigError, DataError, ReadError
from swath.sensors.catalogue import resolve

CLASSES = Classes.of(
    [
        "Thatch", "GreenVegetative", "StoneSlates", "ClayTiles", "AsphaltTiles", "ConcreteTiles", "WoodTiles",
        "MetalSheetMaterials", "PolycarbonateSheetMaterials", "GlassSheetMaterials", "AmorphousConcrete",
        "AmorphousAsphalt", "AmorphousMembrane", "AmorphousFabric", "Unknown",
    ]
)  # fmt: skip
#: The class that is no material.
UNKNOWN = "Unknown"
#: The table of facts, its column that names the file, and all that the published one has.
TABLE, KEY = "roof_materials_augmented_all.csv", "filename"
TABLE_COLUMNS = (
    "split", "city", "latitude", "longitude", "material_class", "country", "continent", KEY, "height", "numstories",
    "roofshape", "fpArea",
)  # fmt: skip

#: Folders of the published parts.
_PARTS = ("train", "val")


def read_roofnet(root: str | Path, split: Literal["city", "published"] = "city", seed: int = 0) -> Collection:
    """Open the data set: a scene a crop, grouped by city.

    Args:
        root: The folder.
        split: `city` deals whole cities to the parts, because crops of one city are alike; `published` tests on the
            published validation part, and takes crops of the training part, drawn by `seed`, for selection.
        seed: Of the dealing.

    Raises:
        ReadError: If the layout is not there, or a file is missing or damaged.
        DataError: If a folder is of no class, a file is not 8-bit RGB, or there are fewer than three cities.
        ConfigError: If there is no such split.
    """
    if split not in ("city", "published"):
        raise ConfigError("RoofNet has no such split", got=split, expected="city or published")
    root = Path(root)
    found = _read(root)
    table = _table(root / TABLE)
    scenes = [_shaped(placed_roof(scene, table.get(Path(file_of(scene)).name))) for scene in found]
    facts = {"duplicates": _duplicates(found)}
    if split == "published":
        told = "published val tests; a tenth of train selects"
        return found.with_scenes(_published(scenes, seed), **facts, split=told)
    cities = {scene.group for scene in scenes}
    if len(cities) < 3:
        raise DataError(f"{root} holds too few cities to hold some out", got=len(cities), expected="3 or more")
    return split_by_group(found.with_scenes(scenes, **facts), seed=seed)


def _read(root: Path) -> Collection:
    """The crops of both published parts; other folders are named, not read."""
    parts = {part: _layout(part).read(root) for part in _PARTS if (root / part).is_dir()}
    if not parts:
        raise ReadError(f"{root} does not exist, or holds no RoofNet", expected="folders `train` and `val`")
    scenes = [replace(s, id=f"{part}/{s.id}", part=part) for part, found in parts.items() for s in found]
    others = sorted(path.name for path in root.iterdir() if path.is_dir() and path.name not in _PARTS)
    facts = {**next(iter(parts.values())).facts, **({"folders that are not read": others} if others else {})}
    return Collection(tuple(scenes), CLASSES, "RoofNet", facts)


def _layout(part: str) -> Layout:
    return Layout(
        name="RoofNet",
        layers={"image": Images((f"{part}/{{class}}/{{id}}.*",), resolve("rgb"))},
        classes=CLASSES,
        named={name: name for name in CLASSES.names},
        pictures=True,
        facts={"origin": "RoofNet (arXiv 2505.19358)", "licence": "v1 CC BY-NC 4.0, v3 CC BY 4.0; see your copy"},
    )


def _table(path: Path) -> dict[str, dict[str, object]]:
    """Facts by file name; empty where there is no table."""
    if not path.is_file():
        return {}
    try:
        frame = pd.read_csv(path, dtype={KEY: str})
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise ReadError(f"{path} cannot be read as a table", got=error) from error
    if KEY not in frame.columns:
        raise DataError(f"{path} does not name files", got=", ".join(map(str, frame.columns)), expected=KEY)
    rows = frame[[KEY, *(name for name in FACTS if name in frame.columns)]].to_dict("records")
    return {str(row[KEY]): {str(name): value for name, value in row.items()} for row in rows}


def _shaped(scene: Placed) -> Placed:
    """The crop with the shape of a roof of its class."""
    name = CLASSES.names[scene.labels.index]  # type: ignore[union-attr]
    return replace(scene, facts={**scene.facts, "roofshape": shape_of_roof(name, scene.facts["roofshape"])})


def _published(scenes: Sequence[Placed], seed: int) -> list[Placed]:
    train = [number for number, scene in enumerate(scenes) if scene.part == "train"]
    drawn = np.random.default_rng(seed).permutation(train)[: max(1, len(train) // 10)]
    selecting = set(drawn.tolist())
    parts = {"train": "train", "val": "test"}
    return [
        replace(scene, part="val" if number in selecting else parts[str(scene.part)])
        for number, scene in enumerate(scenes)
    ]


def _duplicates(found: Collection) -> str:
    """Crops whose files have the same bytes, and how many of these are of several materials."""
    sizes: dict[int, list[Scene]] = defaultdict(list)
    for scene in found:
        sizes[Path(file_of(scene)).stat().st_size].append(scene)
    same: dict[str, list[Scene]] = defaultdict(list)
    for scenes in sizes.values():
        for scene in scenes if len(scenes) > 1 else ():
            same[hashlib.sha256(Path(file_of(scene)).read_bytes()).hexdigest()].append(scene)
    copies = [scenes for scenes in same.values() if len(scenes) > 1]
    torn = sum(len({scene.labels.index for scene in scenes}) > 1 for scenes in copies)  # type: ignore[union-attr]
    return f"{sum(len(scenes) - 1 for scenes in copies)} copies of other crops; {torn} crops under several materials"
