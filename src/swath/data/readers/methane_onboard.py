"""The layout of STARCOP: a folder a scene with one GeoTIFF a band, a binary label, and lists of training and test.

| file | what it holds |
| --- | --- |
| `train.csv`, `test.csv` | a column `id`, the folder of the scene; `folder`, where that is another |
| `<id>/TOA_AVIRIS_<nm>nm.tif` | radiance of a band |
| `<id>/cube.img` + `cube.hdr`, `<id>/cube.nc` | in place of these, a whole cube |
| `<id>/labelbinary.tif` | 1 where there is plume |

Our choice: scenes are grouped by the flight in their id, up to the second underscore; a tenth of training scenes, by
group, is the part `val`.
"""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

from swath.data.checks import check_collection
from swath.data.classes import Classes
from swath.data.cubes import open_cube
from swath.data.labels import RasterLabels
from swath.data.scenes import Collection, Scene
from swath.errors import DataError, ReadError
from swath.geo.grids import same_grid, shape_of

CLASSES = Classes.of({0: {"name": "background", "colour": "#000000"}, 1: {"name": "plume", "colour": "#e63c14"}})
_CUBES = ("cube.img", "cube.nc", "cube.hdr")
_LABEL = "labelbinary.tif"


def read_methane_onboard(root: str | Path) -> Collection:
    """Open a folder in the layout of STARCOP.

    Raises:
        ReadError: If the folder, a list, a cube or a label is missing or damaged.
        DataError: If a list lacks its column, names a scene twice or leads out of the folder.
        BandError: If a cube has no wavelengths or is no radiance.
    """
    root = Path(root)
    if not root.is_dir():
        raise ReadError(f"{root} does not exist", expected="a folder with train.csv and test.csv")
    scenes = []
    for part in ("train", "test"):
        for name, folder in _listed(root / f"{part}.csv"):
            scenes.append(_scene(root, name, folder, part))
    facts = {"split": "as published; val is a tenth of train"}
    return check_collection(Collection(tuple(scenes), CLASSES, "STARCOP layout", facts))


def _scene(root: Path, name: str, folder: str, part: str) -> Scene:
    place = (root / folder).resolve()
    if not place.is_relative_to(root.resolve()):
        raise DataError(f"Scene {name} lies outside of {root}", got=folder)
    if not place.is_dir():
        raise ReadError(f"Scene {name} is missing", expected=str(place))
    cube = open_cube(next((place / file for file in _CUBES if (place / file).is_file()), place))
    label = place / _LABEL
    if not label.is_file():
        raise ReadError(f"Scene {name} has no label", expected=str(label))
    group = "_".join(name.split("_")[:2])
    if part == "train" and int(hashlib.sha256(group.encode()).hexdigest(), 16) % 10 == 0:
        part = "val"
    crs = "none" if cube.grid.crs is None else None
    labels = RasterLabels.open(label, CLASSES, crs=crs)
    if not same_grid(labels.grid, cube.grid):
        raise DataError(
            f"{label} is not on the pixels of its cube", got=shape_of(labels.grid), expected=shape_of(cube.grid)
        )
    return Scene(name, {"cube": cube}, labels, group=group, part=part)


def _listed(path: Path) -> list[tuple[str, str]]:
    """Id and folder of each scene of a list."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReadError(f"Cannot read {path}", got=error, expected="a list of scenes with a column `id`") from error
    if rows and "id" not in rows[0]:
        raise DataError(f"{path} lacks its column", got=", ".join(map(str, rows[0])), expected="id")
    return [(row["id"], row.get("folder") or row["id"]) for row in rows]
