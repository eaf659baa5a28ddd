"""LandCover.ai v1: 41 aerial sheets of Poland in RGB with a class a pixel (arXiv 2005.02264; CC BY-NC-SA 4.0).

Two layouts are published. The archive of the authors: `images/<sheet>.tif` and `masks/<sheet>.tif` (EPSG:2180, 33
sheets of 0.25 m and 8 of 0.5 m), and `train.txt`, `val.txt`, `test.txt` with a tile `<sheet>_<k>` a line. And what the
script in that archive cuts from it: `output/<tile>.jpg`, `output/<tile>_m.png` beside the same lists. The script is
never run: sheets are read in place, window by window.

Convention: tiles are the cells of a 512-pixel lattice from the top-left pixel, `k` counts all cells row by row, and a
cell that reaches beyond the sheet is counted but is no tile.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from swath.data.checks import check_collection
from swath.data.classes import Classes
from swath.data.labels import RasterLabels
from swath.data.offline import with_copies
from swath.data.raster import open_raster
from swath.data.scenes import PARTS, Collection, Scene
from swath.data.selection import BandSelection
from swath.data.sources import Source, require_dtype
from swath.data.warped import WarpedSource
from swath.errors import ConfigError, DataError, ReadError, some
from swath.geo.grids import require_crs, same_grid, window_grid
from swath.geo.warp import Resampling
from swath.geo.windows import Window, whole
from swath.sensors.catalogue import resolve

#: Edge of a published tile in pixels.
TILE = 512

CLASSES = Classes.of(
    {
        0: {"name": "background", "colour": "#d8d0c0"},
        1: {"name": "building", "colour": "#b3352f"},
        2: {"name": "woodland", "colour": "#267300"},
        3: {"name": "water", "colour": "#2f7fd0"},
        4: {"name": "road", "colour": "#4a4a4a"},
    }
)

#: Shares of the tiles that a split by sheet aims at; about those of the published lists.
SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}

_TILE_ID = re.compile(r"(?P<sheet>[\w.-]+)_(?P<k>\d+)")


def tile_windows(shape: Sequence[int], edge: int = TILE) -> dict[int, Window]:
    """Windows of the tiles of a sheet of `shape` `(height, width)`, by their published number `k`."""
    height, width = shape
    across = -(-width // edge)
    return {
        row * across + col: Window(row * edge, col * edge, edge, edge)
        for row in range(height // edge)
        for col in range(width // edge)
    }


def read_landcover_ai(
    root: str | Path,
    split: Literal["sheet", "published"] = "sheet",
    copies: int = 0,
    gsd: float | None = None,
    seed: int = 0,
) -> Collection:
    """Open the data set.

    Args:
        root: Folder with `images/` and `masks/`, or with `output/`; where both are there, the sheets are taken, which
            were not compressed to JPEG.
        split: `sheet` gives each sheet as a whole to one part, about 70 : 15 : 15 in each resolution; `published`
            takes the lists, which give neighbouring tiles of one sheet to different parts.
        copies: Altered copies of each training tile (`swath.data.offline`); the authors made 9. Needs tiles.
        gsd: Metres a pixel to which all sheets are averaged or enlarged; None keeps 0.25 and 0.5 m side by side.
        seed: Of the split by sheet and of the copies.

    Returns:
        One scene a sheet for a split by sheet of the sheets, else one scene a tile, in groups by sheet.

    Raises:
        ReadError: If neither layout is there, or a file is missing or damaged.
        DataError: If images, masks and lists do not fit together.
        ConfigError: If an option is unknown.
    """
    root = Path(root)
    if split not in ("sheet", "published"):
        raise ConfigError("LandCover.ai has no such split", got=split, expected="sheet or published")
    sheets, tiles = root / "images", root / "output"
    if sheets.is_dir():
        collection = _from_sheets(root, split, gsd, seed)
    elif tiles.is_dir():
        if gsd is not None:
            raise ConfigError("Cut tiles do not say their resolution, so they cannot be resampled", got=f"gsd {gsd}")
        collection = _from_tiles(root, split, seed)
    else:
        raise ReadError(f"{root} holds no LandCover.ai", expected="the folders images and masks, or output")
    collection = check_collection(collection)
    return with_copies(collection, copies, seed) if copies else collection


@dataclass(frozen=True)
class _Sheet:
    """A sheet's image and mask on one grid."""

    id: str
    image: Source
    mask: Source

    @property
    def gsd(self) -> float:
        """Metres a pixel."""
        return float(round(self.image.grid.affine.a, 6))


class CutSource:
    """A source without what lies beyond its grid; a `Source`."""

    def __init__(self, source: Source) -> None:
        self.name, self.bands, self.dtype, self.grid = source.name, source.bands, source.dtype, source.grid
        self._source = source

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`."""
        values, valid = np.zeros((len(self.bands), *window.shape), self.dtype), np.zeros(window.shape, bool)
        inside = window.intersect(whole(self.grid.shape))
        if not inside.empty:
            here = inside.relative_to(window).slices
            values[:, *here], valid[here] = self._source.read(inside)
        return values, valid


def _from_sheets(root: Path, split: str, gsd: float | None, seed: int) -> Collection:
    if gsd is not None and not gsd > 0:
        raise ConfigError("A resolution must be positive", got=f"gsd {gsd}", expected="metres a pixel")
    images = {path.stem: path for path in sorted((root / "images").glob("*.tif"))}
    masks = {path.stem: path for path in sorted((root / "masks").glob("*.tif"))}
    _require_pairs(images, masks, root)
    sheets = [_open_sheet(name, path, masks[name]) for name, path in images.items()]
    numbered = {sheet.id: tile_windows(sheet.image.grid.shape) for sheet in sheets}
    facts: dict[str, object] = {
        "origin": "LandCover.ai v1, sheets read in place",
        "sheets by metres a pixel": dict(sorted(Counter(sheet.gsd for sheet in sheets).items())),
        "resampled to metres a pixel": gsd,
    }
    if split == "sheet":
        parts = split_sheets({s.id: (len(numbered[s.id]), s.gsd) for s in sheets}, seed)
        scenes = [_scene(sheet, sheet.id, whole(sheet.image.grid.shape), gsd, parts[sheet.id]) for sheet in sheets]
    else:
        listed = read_lists(root)
        windows = _windows_of(listed, numbered)
        by_id = {sheet.id: sheet for sheet in sheets}
        scenes = [_scene(by_id[_sheet_of(t)], t, windows[t], gsd, part) for t, part in listed.items()]
        facts["tiles in no list"] = sum(map(len, numbered.values())) - len(listed)
    return Collection(tuple(scenes), CLASSES, "LandCover.ai", {**facts, "split": _SPLIT_FACTS[split]})


_SPLIT_FACTS = {
    "sheet": "by sheet, stratified by resolution",
    "published": "published lists; they give neighbouring tiles of one sheet to different parts",
}


def _scene(sheet: _Sheet, name: str, window: Window, gsd: float | None, part: str) -> Scene:
    grid = window_grid(sheet.image.grid, window)
    if window == whole(sheet.image.grid.shape) and gsd in (None, sheet.gsd):
        return Scene(name, {"image": sheet.image}, RasterLabels(sheet.mask, CLASSES), group=sheet.id, part=part)
    resampling: Resampling = "nearest"
    if gsd is not None and gsd != sheet.gsd:
        grid = grid.zoom_to(resolution=gsd)
        resampling = "average" if gsd > sheet.gsd else "bilinear"
    # The mask is cut as well, so that no reader sees labels of a neighbouring tile.
    image = CutSource(WarpedSource(sheet.image, grid, resampling))
    mask = CutSource(WarpedSource(sheet.mask, grid, "nearest"))
    return Scene(name, {"image": image}, RasterLabels(mask, CLASSES), group=sheet.id, part=part)


def _from_tiles(root: Path, split: str, seed: int) -> Collection:
    folder = root / "output"
    images = {path.stem: path for path in sorted(folder.glob("*.jpg"))}
    masks = {path.stem.removesuffix("_m"): path for path in sorted(folder.glob("*_m.png"))}
    _require_pairs(images, masks, folder)
    if split == "published":
        parts = read_lists(root)
        if missing := [tile for tile in parts if tile not in images]:
            raise DataError(f"The lists of {root} name tiles that are not there", got=some(missing))
    else:
        counts = Counter(_sheet_of(tile) for tile in images)
        by_sheet = split_sheets({sheet: (count, None) for sheet, count in counts.items()}, seed)
        parts = {tile: by_sheet[_sheet_of(tile)] for tile in images}
    scenes = []
    for tile, part in parts.items():
        pair = _open_sheet(tile, images[tile], masks[tile], placed=False)
        labels = RasterLabels(pair.mask, CLASSES)
        scenes.append(Scene(tile, {"image": pair.image}, labels, group=_sheet_of(tile), part=part))
    facts = {
        "origin": "LandCover.ai v1, cut tiles (JPEG)",
        "tiles in no list": len(images) - len(scenes),
        "split": _SPLIT_FACTS[split],
    }
    return Collection(tuple(scenes), CLASSES, "LandCover.ai", facts)


def split_sheets(sheets: Mapping[str, tuple[int, float | None]], seed: int) -> dict[str, str]:
    """A part for every sheet, so that `SHARES` of the tiles are met as well as whole sheets allow, in each resolution.

    Args:
        sheets: Number of tiles and metres a pixel of each sheet.
        seed: Of the order in which sheets are dealt out.

    Raises:
        DataError: If there are fewer than three sheets.
    """
    if len(sheets) < len(PARTS):
        raise DataError(
            "There are too few sheets to split by sheet",
            got=len(sheets),
            expected=f"at least {len(PARTS)}",
            fix="Take `split='published'`, or more sheets",
        )
    rng = np.random.default_rng(seed)
    parts: dict[str, str] = {}
    for stratum in sorted({gsd for _, gsd in sheets.values()}, key=lambda gsd: gsd or 0.0):
        dealt = dict.fromkeys(PARTS, 0)
        for name in rng.permutation(sorted(name for name, (_, gsd) in sheets.items() if gsd == stratum)):
            tiles = sheets[name][0]
            empty = [part for part in PARTS if part not in parts.values()]
            choices = empty if len(empty) == len(sheets) - len(parts) else PARTS
            total = sum(dealt.values()) + tiles
            short = {part: SHARES[part] * total - dealt[part] for part in choices}
            chosen = max(short, key=lambda part: short[part])
            dealt[chosen] += tiles
            parts[str(name)] = chosen
    return {name: parts[name] for name in sheets}


def read_lists(root: Path) -> dict[str, str]:
    """Part of each tile, in the order of the lists.

    Raises:
        ReadError: If a list is missing or no text.
        DataError: If a line is no tile id, or a tile is listed twice.
    """
    found: list[tuple[str, str]] = []
    for part in PARTS:
        path = root / f"{part}.txt"
        try:
            lines = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise ReadError(
                f"{path} cannot be read", got=error, fix="Take `split='sheet'`, which needs no lists"
            ) from error
        if strange := [line for line in lines if not _TILE_ID.fullmatch(line)]:
            raise DataError(f"{path} holds lines that are no tile", got=some(strange), expected="<sheet>_<number>")
        found += [(line, part) for line in lines]
    counts = Counter(tile for tile, _ in found)
    if doubled := [tile for tile, count in counts.items() if count > 1]:
        raise DataError(f"The lists of {root} name tiles twice", got=some(doubled), expected="each tile in one list")
    return dict(found)


def _windows_of(listed: Iterable[str], numbered: Mapping[str, Mapping[int, Window]]) -> dict[str, Window]:
    """The window of every listed tile in its sheet."""
    windows: dict[str, Window] = {}
    lost: list[str] = []
    for tile in listed:
        window = numbered.get(_sheet_of(tile), {}).get(int(tile.rpartition("_")[2]))
        if window is None:
            lost.append(tile)
        else:
            windows[tile] = window
    if without := sorted({_sheet_of(tile) for tile in lost} - numbered.keys()):
        raise DataError("The lists name tiles of sheets that are not there", got=some(without))
    if lost:
        raise DataError(
            "The lists name tiles that their sheets do not have",
            got=some(lost),
            expected=f"whole {TILE}-pixel cells, counted row by row with the partial ones at the edges",
        )
    return windows


def _sheet_of(tile: str) -> str:
    return tile.rpartition("_")[0]


def _require_pairs(images: Mapping[str, Path], masks: Mapping[str, Path], where: Path) -> None:
    if not images:
        raise ReadError(f"{where} holds no images")
    if alone := sorted(images.keys() ^ masks.keys()):
        raise DataError(f"{where} holds images without mask, or masks without image", got=some(alone))


def _open_sheet(name: str, image: Path, mask: Path, placed: bool = True) -> _Sheet:
    """Open an image and its mask; `placed` ones need a CRS, others are pictures."""
    pixels = open_raster(image, bands=resolve("rgb"))
    codes = open_raster(mask, nodata=float("nan"))  # 0, the background, is a class even where the file says nodata
    if len(codes.bands) not in (1, 3):
        raise DataError(f"{mask} has another number of bands", got=len(codes.bands), expected="1, or 3 equal ones")
    for source in (pixels, codes):
        require_dtype(source, "uint8")
        if placed:
            require_crs(source.grid, source.name)
    if not same_grid(pixels.grid, codes.grid):
        raise DataError(
            f"{image} and its mask are not on the same pixels",
            got=f"mask {codes.grid.shape} at {tuple(codes.grid.affine[:6])}",
            expected=f"{pixels.grid.shape} at {tuple(pixels.grid.affine[:6])}",
        )
    return _Sheet(name, pixels, BandSelection(codes, codes.bands.select(codes.bands.names[:1])))
