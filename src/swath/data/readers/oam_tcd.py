"""OAM-TCD: tiles of 0.1 m from OpenAerialMap with tree cover and outlines of crowns (arXiv 2407.11743, CC BY 4.0).

Two forms are read. COCO: `images/<oam_id>_<image_id>.tif` (or `.jpg`), `masks/<same>.png` with 0 and 1, and
`train.json`, `val.json`, `test.json`. Hugging Face: `train-*.parquet` and `test-*.parquet`, with columns `image`,
`annotation`, `coco_annotations`, `oam_id`, `validation_fold`, `bounds`, `crs` and others. Categories are told by name,
because files number them differently; where Parquet gives no names, 1 is canopy and 2 is tree.

Tiles of one mosaic (`oam_id`) are much alike, so that none trains when another of its mosaic tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from swath.data.annotations import Annotated, parse_json, picture_labels
from swath.data.checks import check_collection
from swath.data.classes import Classes
from swath.data.coco import annotation, read_coco
from swath.data.labels import RasterLabels
from swath.data.parquet_pictures import PictureInRow, Row, read_rows
from swath.data.raster import open_raster
from swath.data.relocated import RelocatedSource
from swath.data.scenes import PARTS, Collection, Labels, Scene
from swath.data.sources import Source, require_dtype
from swath.errors import ConfigError, DataError, ReadError
from swath.geo.grids import is_north_up, pixel_grid
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands
from swath.sensors.catalogue import resolve

#: Tree cover.
CLASSES = Classes.of({0: {"name": "background", "colour": "#d9d2c5"}, 1: {"name": "tree", "colour": "#1b7837"}})
#: Things: groups of crowns that cannot be told apart, and single crowns.
INSTANCE_CLASSES = Classes.of({0: {"name": "canopy", "colour": "#7fbf7b"}, 1: {"name": "tree", "colour": "#1b7837"}})
_CATEGORIES = {1: "canopy", 2: "tree"}
_COLUMNS = ("oam_id", "image_id", "width", "height", "bounds", "crs", "validation_fold", "coco_annotations")
_MASK = Bands("custom", (Band("mask", "1"),))
#: Share of the mosaics of the training part that selects, where nothing is published for it.
_SELECTING = 0.15

Split = Literal["mosaics", "published"]


@dataclass(frozen=True)
class _Tile:
    """A tile before its labels are made."""

    id: str
    image: Source
    mosaic: str
    part: str
    things: Annotated
    mask: Callable[[], Labels]
    name: str


def read_oam_tcd(root: str | Path, split: Split = "mosaics", fold: int = 0, seed: int = 0) -> Collection:
    """Open the data set with tree cover: a scene a tile.

    Args:
        root: The folder, of either form.
        split: `mosaics` leaves tiles out of training whose mosaic selects or tests too, and out of selection whose
            mosaic tests; `published` keeps them.
        fold: The published fold that selects, of Parquet files.
        seed: Of the mosaics that select, where no part or fold is published for it.

    Raises:
        ReadError: If neither form is there, or a file is missing or damaged.
        DataError: If images, masks and annotations do not fit together.
        ConfigError: If there is no such split.
    """
    return _read(root, CLASSES, lambda tile: tile.mask(), split, fold, seed)


def read_oam_tcd_instances(root: str | Path, split: Split = "mosaics", fold: int = 0, seed: int = 0) -> Collection:
    """Open the data set with outlines of crowns and groups; see `read_oam_tcd`."""

    def things(tile: _Tile) -> Labels:
        return picture_labels(tile.things, tile.image.grid, INSTANCE_CLASSES, tile.name)

    return _read(root, INSTANCE_CLASSES, things, split, fold, seed)


def _read(
    root: str | Path, classes: Classes, labels: Callable[[_Tile], Labels], split: Split, fold: int, seed: int
) -> Collection:
    if split not in ("mosaics", "published"):
        raise ConfigError("OAM-TCD has no such split", got=split, expected="mosaics or published")
    root = Path(root)
    rows = sorted({*root.glob("*.parquet"), *root.glob("data/*.parquet")})
    tiles = _parquet_tiles(rows, fold) if rows else _coco_tiles(root)
    told: dict[str, object] = {"origin": "OAM-TCD (Veitch-Michaelis et al. 2024)", "licence": "CC BY 4.0"}
    if not any(tile.part == "val" for tile in tiles):
        tiles = _with_selection(tiles, seed)
        told["split"] = f"val: {_SELECTING:.0%} of the training mosaics, seed {seed}"
    if split == "mosaics":
        tiles, told["left out, of mosaics in another part"] = _apart(tiles)
    scenes = tuple(
        Scene(tile.id, {"image": tile.image}, labels(tile), group=tile.mosaic, part=tile.part) for tile in tiles
    )
    return check_collection(Collection(scenes, classes, "OAM-TCD", told))


def _coco_tiles(root: Path) -> list[_Tile]:
    listed = {part: root / f"{part}.json" for part in PARTS if (root / f"{part}.json").is_file()}
    if not listed:
        raise ReadError(f"{root} holds no OAM-TCD", expected="train.json and test.json, or Parquet files")
    return [_coco_tile(root, part, path, p) for part, path in listed.items() for p in read_coco(path).values()]


def _coco_tile(root: Path, part: str, path: Path, picture: Annotated) -> _Tile:
    file = root / "images" / picture.file
    image = open_raster(file, bands=resolve("rgb"), crs="none" if file.suffix.casefold() != ".tif" else None)
    require_dtype(image, "uint8")

    def mask() -> RasterLabels:
        told = root / "masks" / f"{Path(picture.file).stem}.png"
        # The mask is a picture without place: it lies on the pixels of its image.
        return RasterLabels(RelocatedSource(open_raster(told, crs="none"), image.grid), CLASSES)

    stem = Path(picture.file).stem
    return _Tile(stem, image, stem.partition("_")[0], part, picture, mask, str(path))


def _parquet_tiles(paths: list[Path], fold: int) -> list[_Tile]:
    tiles = []
    for path in paths:
        part = path.name.partition("-")[0]
        part = {"validation": "val"}.get(part, part)
        if part not in PARTS:
            raise DataError(f"{path} is of no part", got=part, expected="train-*.parquet or test-*.parquet")
        for row in read_rows(path, _COLUMNS):
            held = part == "train" and row.values["validation_fold"] == fold
            tiles.append(_parquet_tile(row, "val" if held else part))
    return tiles


def _parquet_tile(row: Row, part: str) -> _Tile:
    values, where = row.values, f"{row.path} row {row.group}:{row.place}"
    size = (int(values["height"]), int(values["width"]))
    grid = _grid(values["bounds"], values["crs"], size, where)
    entries = parse_json(values["coco_annotations"], where)
    if not isinstance(entries, list):
        raise DataError(f"`coco_annotations` of {where} is no list", got=type(entries).__name__)
    things = tuple(annotation(entry, size, _CATEGORIES, where) for entry in entries)
    mosaic = str(values["oam_id"])
    name = f"{mosaic}_{values['image_id']}"
    image = PictureInRow(row, "image", resolve("rgb"), grid)
    return _Tile(name, image, mosaic, part, Annotated(name, size, things), lambda: _Covered(row, grid), where)


class _Covered:
    """Tree cover of a row: its picture `annotation` where it is not black."""

    def __init__(self, row: Row, grid: GeoBox) -> None:
        source = PictureInRow(row, "annotation", _MASK, grid)
        self.name = source.name
        self._labels = RasterLabels(_NotBlack(source), CLASSES)

    def read(self, grid: GeoBox) -> np.ndarray:
        """See `swath.data.scenes.Labels.read`."""
        return self._labels.read(grid)


class _NotBlack:
    """1 where a source is not 0; a `Source`."""

    def __init__(self, source: PictureInRow) -> None:
        self.name, self.bands, self.dtype, self.grid = source.name, source.bands, source.dtype, source.grid
        self._source = source

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`."""
        values, valid = self._source.read(window)
        return (values > 0).astype(np.uint8), valid


def _grid(bounds: Any, crs: Any, size: tuple[int, int], where: str) -> GeoBox:
    """The grid of a tile; a picture's where its place is not told."""
    if not bounds or not crs:
        return pixel_grid(*size)
    try:
        west, south, east, north = map(float, bounds)
        affine = Affine((east - west) / size[1], 0, west, 0, (south - north) / size[0], north)
        grid = GeoBox(size, affine, crs)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise DataError(f"The place of {where} cannot be read", got=f"{bounds}, {crs}") from error
    if not is_north_up(grid):
        raise DataError(f"The place of {where} is no rectangle", got=bounds, expected="west, south, east, north")
    return grid


def _with_selection(tiles: list[_Tile], seed: int) -> list[_Tile]:
    """The tiles with some mosaics of the training part for selection, where there are two or more."""
    mosaics = sorted({tile.mosaic for tile in tiles if tile.part == "train"})
    if len(mosaics) < 2:
        return tiles
    drawn = np.random.default_rng(seed).permutation(len(mosaics))[: max(1, round(_SELECTING * len(mosaics)))]
    chosen = {mosaics[place] for place in drawn}
    return [replace(t, part="val") if t.part == "train" and t.mosaic in chosen else t for t in tiles]


def _apart(tiles: list[_Tile]) -> tuple[list[_Tile], Mapping[str, int]]:
    """Tiles whose mosaic is in no later part, and how many of each part are not."""
    parts = {part: {tile.mosaic for tile in tiles if tile.part == part} for part in PARTS}
    later = {"train": parts["val"] | parts["test"], "val": parts["test"], "test": set()}
    kept = [tile for tile in tiles if tile.mosaic not in later[tile.part]]
    lost = {part: sum(t.part == part for t in tiles) - sum(t.part == part for t in kept) for part in ("train", "val")}
    return kept, lost
