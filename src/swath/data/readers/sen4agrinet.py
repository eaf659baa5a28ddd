"""The patches of Sen4AgriNet (Sykas et al., JSTARS 2022): a year of Sentinel-2 L1C and the crop of every parcel.

Layout: `<year>_<tile>_patch_<i>_<j>.nc` in any folder, files of `swath.data.band_groups` with 366 x 366 pixels of 10 m
and the groups `labels` (codes of `swath.data.crop_taxonomy`, 0 where there is no parcel) and `parcels` (a number for
each). Splits are COCO files `<prefix>_coco_{train,val,test}.json`, whose images name patches.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from odc.geo.geobox import GeoBox

from swath.data.band_groups import BandGroups, open_band_groups
from swath.data.classes import IGNORE, Classes
from swath.data.crop_taxonomy import CROPS
from swath.data.scenes import PARTS, Collection, Scene
from swath.data.series import Frame, Series
from swath.data.splits import split_by_group
from swath.errors import DataError, ReadError
from swath.geo.grids import shape_of
from swath.geo.windows import Window, whole
from swath.sensors.bands import Bands
from swath.sensors.catalogue import sensor

#: How patches are split: as COCO files say, all at random by the crops that occur (1), trained in Catalonia and tested
#: in France (2), or trained in France and tested in Catalonia in another year (3).
Scenario = Literal["published", "1", "2", "3"]

#: Codes of the crops that are learned; all others are `OTHER`.
LEARNED = (110, 120, 140, 150, 160, 170, 330, 435, 438, 510, 770)
OTHER = "other crops"
_COLOURS = (
    "#e4c441", "#f08a24", "#a0522d", "#c8a97e", "#8f6fb8", "#d9d9a0", "#7b1e3a", "#f7e01e", "#ffb000", "#6e8b3d",
    "#4fbf67",
)  # fmt: skip
#: The crops that are learned, with the numbers that the release gives them.
PUBLISHED = Classes.of(
    {
        number: {"name": CROPS[code].lower(), "colour": colour}
        for number, (code, colour) in enumerate(zip(LEARNED, _COLOURS, strict=True), 1)
    }
)
#: The classes of maps: `OTHER`, which is neither learned nor scored, and the crops.
CLASSES = Classes.of({0: {"name": OTHER, "colour": "#9a9a9a"}, **PUBLISHED.to_dict()})
#: The bands that the networks take.
BANDS = ("B02", "B03", "B04", "B08")

_NAME = re.compile(r"(?P<year>\d{4})_(?P<tile>\d{1,2}[A-Z]{3})_patch_\d+_\d+")
#: Files whose images are held at once.
_HELD = 4


def read_sen4agrinet(
    root: str | Path, scenario: Scenario | None = None, bands: Sequence[str] = BANDS, seed: int = 0
) -> Collection:
    """Open patches as scenes with the series `series` of all dates.

    Args:
        root: Folder in which patches lie, and perhaps COCO files.
        scenario: How to split; None takes the COCO files where there are some, else scenario 1.
        bands: Bands of each image.
        seed: Of the split.

    Raises:
        ReadError: If there is no patch, or a file is damaged.
        DataError: If a label is no crop, COCO files do not fit, or a part of a scenario has no patch.
    """
    root = Path(root)
    paths = sorted(root.rglob("*.nc")) if root.is_dir() else []
    if not paths:
        raise ReadError(f"{root} holds no patches", expected="files like 2019_31TCJ_patch_3_7.nc")
    taken = sensor("sentinel2_l1c").select(bands)
    scenes = [open_patch(path, taken) for path in paths]
    facts = {"origin": "Sen4AgriNet, CC BY-SA 4.0", "patches": len(scenes)}
    data = Collection(tuple(scenes), CLASSES, "Sen4AgriNet", facts)
    published = sorted(root.rglob("*_coco_*.json"))
    if scenario == "published" or (scenario is None and published):
        return _as_published(data, published, root)
    if scenario in (None, "1"):
        return split_by_group(data, seed=seed, presence=True)
    if scenario == "2":
        return _across(data, "ES", None, "FR", 2019, seed)
    return _across(data, "FR", 2019, "ES", 2020, seed)


def open_patch(path: str | Path, bands: Bands | None = None) -> Scene:
    """Open one patch as a scene with the series of all dates; its place, the same in all years, is its group.

    The CRS follows from the tile; where the file is not named as published, the patch is a picture.

    Raises:
        ReadError: If it is missing or damaged.
        DataError: If it is of another type or size.
    """
    path = Path(path)
    named = _NAME.match(path.stem)
    file = open_band_groups(path, None if named is None else _utm(named["tile"]))
    taken = sensor("sentinel2_l1c").select(BANDS) if bands is None else bands
    frames = tuple(Frame(time, _Image(file, taken, number)) for number, time in enumerate(file.times))
    place = None if named is None else path.stem.partition("_")[2]
    return Scene(path.stem, {}, PatchLabels(file), group=place, series={"series": Series(frames)})


class PatchLabels:
    """Labels of a patch: other crops become `OTHER`, ground without parcel has no label.

    Args:
        file: The patch.
    """

    def __init__(self, file: BandGroups) -> None:
        self.file, self.name = file, str(file.path)

    def read(self, grid: GeoBox) -> np.ndarray:
        """See `swath.data.scenes.Labels.read`; `grid` lies on the patch's pixels."""
        labels = _labels(self.file)
        window = _window(self.file.grid, grid)
        found = np.full(window.shape, IGNORE, np.int16)
        inside = window.intersect(whole(labels.shape))
        if not inside.empty:
            found[inside.relative_to(window).slices] = labels[inside.slices]
        return found


class _Image:
    """One date of a patch, a `swath.data.sources.Source`."""

    def __init__(self, file: BandGroups, bands: Bands, number: int) -> None:
        self.name, self.grid, self.bands, self.dtype = f"{file.path} date {number}", file.grid, bands, file.dtype
        self._file, self._number = file, number

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`; a pixel that is zero in all bands was not seen."""
        values = np.zeros((len(self.bands), *window.shape), self.dtype)
        inside = window.intersect(whole(shape_of(self.grid)))
        if not inside.empty:
            values[:, *inside.relative_to(window).slices] = _images(self._file, self.bands)[self._number][
                :, *inside.slices
            ]
        return values, np.asarray(values.any(0))


@lru_cache(maxsize=_HELD)
def _images(file: BandGroups, bands: Bands) -> np.ndarray:
    """All images of a file `[T, C, H, W]`; those of a few files are held, for windows of one follow each other."""
    return file.read(bands)


@lru_cache(maxsize=_HELD)
def _labels(file: BandGroups) -> np.ndarray:
    """Class of each pixel `[H, W]`, int16."""
    codes = file.plane("labels")
    found, inverse = np.unique(codes, return_inverse=True)
    if strange := [int(code) for code in found if code != 0 and code not in CROPS]:
        counts = ", ".join(f"{code} ({int((codes == code).sum())} pixels)" for code in strange[:8])
        raise DataError(f"Labels of {file.path} are no crops", got=counts, expected="0, or codes of the FAO's crops")
    # 0 is no parcel; crops that are not learned are class 0
    table = np.array([IGNORE if code == 0 else _PLACE.get(int(code), 0) for code in found], np.int16)
    return table[inverse].reshape(codes.shape)


#: Class of each code that is learned.
_PLACE = {code: number for number, code in enumerate(LEARNED, 1)}


def _window(grid: GeoBox, part: GeoBox) -> Window:
    """The window of `grid` that `part`, on the same pixels, covers."""
    col, row = ~grid.affine @ (part.affine.c, part.affine.f)
    return Window(round(row), round(col), *shape_of(part))


def _utm(tile: str) -> str:
    """EPSG code of the UTM zone of a tile of the military grid, such as 31TCG."""
    zone, band = int(tile[:-3]), tile[-3]
    return f"EPSG:{(32600 if band >= 'N' else 32700) + zone}"


def _as_published(data: Collection, files: Sequence[Path], root: Path) -> Collection:
    """Split as COCO files say, which name patches by their files; patches that none names are left out."""
    known = {scene.id: scene for scene in data}
    prefixes = sorted({path.name.rpartition("_coco_")[0] for path in files})
    if len(prefixes) != 1 or {path.stem.rpartition("_")[2] for path in files} != set(PARTS):
        raise DataError(
            f"{root} holds no three COCO files of one split",
            got=", ".join(path.name for path in files) or "none",
            expected="<prefix>_coco_train.json, _val.json and _test.json",
        )
    scenes, listed = [], set()
    for path in files:
        part = path.stem.rpartition("_")[2]
        for name in _listed(path):
            if name not in known:
                raise DataError(f"{path} names a patch that is not there", got=name)
            if name in listed:
                raise DataError(f"{path} names a patch that is listed already", got=name)
            listed.add(name)
            scenes.append(replace(known[name], part=part))
    return data.with_scenes(
        scenes, split=f"published: {prefixes[0]}", **{"patches in no list": len(data) - len(scenes)}
    )


def _listed(path: Path) -> list[str]:
    try:
        images = json.loads(path.read_text("utf-8"))["images"]
        return [Path(str(image["file_name"])).stem for image in images]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReadError(
            f"{path} cannot be read as a COCO file", got=repr(error), expected="`images` with `file_name`"
        ) from error


def _across(data: Collection, country: str, year: int | None, tested: str, tested_year: int, seed: int) -> Collection:
    """Train and select in one country, test in another; a quarter of the first selects."""
    home = [s for s in data if _country(s) == country and year in (None, _year(s))]
    away = [s for s in data if _country(s) == tested and _year(s) == tested_year]
    if len(home) < 3 or not away:
        raise DataError(
            f"{data.name} has too few patches for the scenario",
            got=f"{len(home)} of {country}, {len(away)} of {tested} {tested_year}",
            expected="3 and 1",
        )
    dealt = split_by_group(data.with_scenes(home), (0.6, 0.25, 0.15), seed, presence=True)
    parts = {scene.id: "val" if scene.part == "val" else "train" for scene in dealt}
    scenes = [replace(scene, part=parts.get(scene.id, "test")) for scene in [*home, *away]]
    counts = {part: sum(scene.part == part for scene in scenes) for part in PARTS}
    return data.with_scenes(
        scenes,
        split=f"trained in {country}, tested in {tested} {tested_year}, seed {seed}",
        **{"scenes by part": counts, "patches in no part": len(data) - len(scenes)},
    )


def _year(scene: Scene) -> int:
    return scene.series["series"].frames[0].time.year


def _country(scene: Scene) -> str | None:
    """Country of a patch, ISO 3166."""
    return scene.labels.file.attributes.get("patch_country_code") if isinstance(scene.labels, PatchLabels) else None
