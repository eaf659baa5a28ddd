"""FUSU: 62,752 patches of five urban areas at two dates, with land use of both and monthly Sentinel images around them.

Two layouts are known. That of the README (github.com/yuanshuai0914/FUSU, MIT): `im1/<id>.png`, `im2/`, `im1_label/`,
`im2_label/`, and `A/{8-12}/<id>_A_8.*`, `B/{1-12}/`, `C/{1-12}/`, a folder a month of the years A, B and C. That of the
authors' loader: `{train,val,test}/` with `im1`, `im2`, `label1`, `label2`, `label_bin` and, a file a month,
`Times/<id>_<year>_<month>.tif`.

Files say no place: an image and its months are taken to have the same middle. Which years A, B and C are is not known
to us, nor in which order the bands are; twelve of Sentinel-2 and then VV and VH, as the README lists them, are taken.
Published change is that of the labels, so `label_bin` is not read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from affine import Affine
from odc.geo.geobox import GeoBox

from swath.data.checks import check_collection
from swath.data.classes import Classes
from swath.data.labels import RasterLabels
from swath.data.matching import Companions, DatedFiles, Match, match_files, paired
from swath.data.pair_labels import PairLabels
from swath.data.raster import open_raster
from swath.data.relocated import RelocatedSource
from swath.data.remote import Url
from swath.data.scenes import PARTS, Collection, Scene
from swath.data.series import Frame, Series, View
from swath.data.sources import Source, require_dtype
from swath.data.splits import split_by_group, split_by_source
from swath.errors import DataError, ReadError
from swath.geo.grids import shape_of
from swath.sensors.bands import Band, Bands
from swath.sensors.catalogue import resolve

#: Land uses of the README, GB/T 21010-2017; background is no label.
CLASSES = Classes.of(
    {
        1: {"name": "traffic land", "colour": "#e98585"},
        2: {"name": "inland water", "colour": "#089ae6"},
        3: {"name": "residential land", "colour": "#ff001e"},
        4: {"name": "cropland", "colour": "#7ed321"},
        5: {"name": "agriculture construction", "colour": "#877e14"},
        6: {"name": "blank", "colour": "#5e2f04"},
        7: {"name": "industrial land", "colour": "#0a524d"},
        8: {"name": "orchard", "colour": "#b8e986"},
        9: {"name": "park", "colour": "#dbaae6"},
        10: {"name": "public management and service", "colour": "#ffc702"},
        11: {"name": "commercial land", "colour": "#fce805"},
        12: {"name": "public construction", "colour": "#f56b00"},
        13: {"name": "special", "colour": "#f3e5b0"},
        14: {"name": "forest", "colour": "#036400"},
        15: {"name": "storage", "colour": "#7f7b7f"},
        16: {"name": "wetland", "colour": "#34cdf9"},
        17: {"name": "grass", "colour": "#12e3b4"},
    },
    ignored=(0,),
)
#: Bands of the images.
IMAGE = resolve("rgb")
#: Bands of a month, in stored numbers.
SERIES = Bands(
    "fusu_months", tuple(Band(name, "dn") for name in (*resolve("sentinel2_l2a").names, "VV", "VH"))
)  # fmt: skip
#: How the months are read: 128 pixels of 10 m.
VIEW = View(10.0, 128)
#: The year that A is taken for.
FIRST_YEAR = 2018

_MONTH = re.compile(r"_(?P<year>[ABC])_(?P<month>\d{1,2})$")
#: Shares of areas, or of patches where there are few areas, that train, select and test.
_SHARES = (0.6, 0.2, 0.2)


def read_fusu(root: str | Path, pixel: float = 0.5) -> Collection:
    """Open the data set: a scene a patch.

    The layout of the loader is split as its folders are; that of the README by area (the part of a patch's name before
    its number) or, where there are fewer than three, by patch.

    Args:
        root: The folder, in either layout.
        pixel: Edge of an image's pixel in metres.

    Raises:
        ReadError: If neither layout is there, or a file is missing or damaged.
        DataError: If images, labels and months do not fit together, or labels hold other codes.
        BandError: If a file has other bands.
    """
    root = Path(root)
    if (root / "im1").is_dir():
        facts: dict[str, object] = {"split": "by area"}
        months = DatedFiles(root, "?/*/{id}_?_*.*")
        scenes = _scenes(root, "im1_label", "im2_label", months, pixel, None)
    elif any((root / part / "im1").is_dir() for part in PARTS):
        facts = {"split": "published folders"}
        scenes = [
            scene
            for part in PARTS
            if (root / part / "im1").is_dir()
            for scene in _scenes(
                root / part, "label1", "label2", DatedFiles(root / part, "Times/{id}_?_*.tif"), pixel, part
            )
        ]
    else:
        raise ReadError(f"{root} holds no FUSU", expected="the folder im1, or train/im1")
    facts |= {"origin": "FUSU (Yuan et al. 2024)", "licence": "not stated", "pixel": f"taken to be {pixel:g} m"}
    collection = check_collection(Collection(tuple(scenes), CLASSES, "FUSU", facts))
    if scenes[0].part is not None:
        return collection
    areas = {scene.group for scene in scenes}
    return (split_by_group if len(areas) >= len(PARTS) else split_by_source)(collection, _SHARES)


def _scenes(root: Path, first: str, second: str, months: DatedFiles, pixel: float, part: str | None) -> list[Scene]:
    matches = match_files(root, "im1/{id}.*")
    after = paired(matches, Companions(root, "im2/{id}.*"), "second date", root)
    there = [folder for folder in (first, second) if (root / folder).is_dir()]
    if len(there) < 2 and part != "test":
        raise ReadError(f"{root} holds no labels", expected=f"{first} and {second}")
    labels = [paired(matches, Companions(root, f"{folder}/{{id}}.*"), "label", root) for folder in there]
    return [
        _scene(match, after[match.id], [paths[match.id] for paths in labels], months, pixel, part) for match in matches
    ]


def _scene(
    match: Match,
    after: Path | Url,
    labels: Sequence[Path | Url],
    months: DatedFiles,
    pixel: float,
    part: str | None,
) -> Scene:
    first, second = _image(match.path), _image(after)
    grid = _around(shape_of(first.grid), pixel)
    layers: dict[str, Source] = {"before": RelocatedSource(first, grid), "after": RelocatedSource(second, grid)}
    uses = [_labels(path, grid) for path in labels]
    pair = PairLabels(uses[0], uses[1], len(CLASSES)) if len(uses) == 2 else None
    frames = tuple(_frame(path) for path in months.of(match))
    if not frames:
        raise DataError(f"Patch {match.id} has no months", expected=months.pattern)
    series = {"monthly": Series(frames, VIEW)}
    return Scene(match.id, layers, pair, group=match.id.rpartition("_")[0] or match.id, part=part, series=series)


def _image(path: Path | Url) -> Source:
    source = open_raster(path, bands=IMAGE, crs="none")
    require_dtype(source, "uint8")
    return source


def _labels(path: Path | Url, grid: GeoBox) -> RasterLabels:
    return RasterLabels(RelocatedSource(open_raster(path, crs="none", nodata=float("nan")), grid), CLASSES)


def _frame(path: Path | Url) -> Frame:
    found = _MONTH.search(path.stem)
    if found is None or not 1 <= int(found["month"]) <= 12:
        raise DataError(f"The name of {path} says no month", expected="<id>_<A, B or C>_<1 to 12>")
    source = open_raster(path, bands=SERIES, crs="none")
    year = FIRST_YEAR + "ABC".index(found["year"])
    placed = RelocatedSource(source, _around(shape_of(source.grid), VIEW.resolution))
    return Frame(datetime(year, int(found["month"]), 15, tzinfo=UTC), placed)


def _around(shape: tuple[int, int], pixel: float) -> GeoBox:
    """A grid in metres without CRS, with its middle at the origin."""
    height, width = shape
    return GeoBox(shape, Affine(pixel, 0, -pixel * width / 2, 0, -pixel, pixel * height / 2), None)
