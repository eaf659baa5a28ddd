"""Leaks: what one part of a split has in common with another, looked for before training.

Five ways in which a test part is not unseen: the same pixels, nearly the same picture, the same ground, the same group,
the same row of a table. Large data are sampled, and the report says how.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from odc.geo.crs import CRS
from scipy.fft import dctn

from swath.data.scenes import PARTS, Collection, Scene
from swath.data.sources import Source
from swath.geo.grids import positions, require_crs, shape_of, transformer
from swath.geo.vectors import footprint
from swath.geo.windows import Window

#: Edge of the tiles whose pixels are compared, and how many of them in a scene and in all.
_EDGE, _TILES, _MOST_TILES = 32, 16, 4000
#: Edge of the thumbnails whose structure is compared, and pixels read along each axis for one.
_THUMB, _READ = 32, 512
#: Bits of 64 in which hashes of near duplicates differ at most, and the correlation that confirms them.
_BITS, _CORRELATION = 10, 0.95
#: Points at which the parts of two scenes on one ground are compared.
_POINTS = 256
#: Places that a finding names.
_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """One way in which two parts are not apart.

    Attributes:
        kind: `same pixels`, `near duplicate`, `same ground`, `same group` or `same row`.
        parts: The two parts.
        count: How many pairs, points, groups or rows.
        of: Out of how many in the second part.
        examples: A few of them.
    """

    kind: str
    parts: tuple[str, str]
    count: int
    of: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        first, second = self.parts
        return f"{self.kind}: {self.count} of {self.of} in {second} also in {first}: {'; '.join(self.examples)}"


@dataclass(frozen=True)
class LeakReport:
    """What the check found, and what it looked at."""

    findings: tuple[Finding, ...]
    looked_at: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def load(cls, path: Path) -> LeakReport:
        """Read a report from JSON of `to_dict`."""
        found = json.loads(path.read_text("utf-8"))
        return cls(
            tuple(
                Finding(**{**f, "parts": tuple(f["parts"]), "examples": tuple(f["examples"])})
                for f in found["findings"]
            ),
            found["looked_at"],
        )

    def __str__(self) -> str:
        told = "\n".join(f"  - {finding}" for finding in self.findings) or "  nothing in common was found"
        return f"Leak check ({self.looked_at}):\n{told}"


def check_leaks(data: Collection, parts: Sequence[str] = PARTS, seed: int = 0) -> LeakReport:
    """Look for what the parts of a split have in common.

    Args:
        data: Scenes, split.
        parts: The parts to compare, the one that is learned from first.
        seed: Of the sample.
    """
    tables = [scene for scene in data if _is_table(scene)]
    pictures = [scene for scene in data if not _is_table(scene)]
    tiles = list(_tiles(pictures, parts, seed))
    findings = [
        *_shared("same pixels", ((part, mark, where) for part, mark, where in tiles), parts),
        *_near_duplicates([s for s in pictures if isinstance(s.part, str)], parts),
        *_same_ground([s for s in pictures if s.grid.crs is not None], parts, seed),
        *_shared(
            "same group", ((s.part, s.group, s.group) for s in data if s.group and isinstance(s.part, str)), parts
        ),
        *_shared("same row", (row for scene in tables for row in _rows(scene, parts)), parts),
    ]
    looked_at = f"scenes: {len(data)}, tiles of {_EDGE} pixels: {len(tiles)}"
    return LeakReport(tuple(findings), looked_at)


def _shared(kind: str, items: Iterable[tuple[Any, Hashable, Any]], parts: Sequence[str]) -> list[Finding]:
    """Marks that occur in two parts; items are (part, mark, where)."""
    places: dict[str, dict[Hashable, list[str]]] = {part: defaultdict(list) for part in parts}
    for part, mark, where in items:
        if isinstance(part, str) and part in places:
            places[part][mark].append(str(where))
    findings = []
    for first, second in combinations(parts, 2):
        if common := [mark for mark in places[second] if mark in places[first]]:
            count = sum(len(places[second][mark]) for mark in common)
            total = sum(len(found) for found in places[second].values())
            examples = tuple(_pair(places[first][m][0], places[second][m][0]) for m in common[:_NAMED])
            findings.append(Finding(kind, (first, second), count, total, examples))
    return findings


def _pair(first: str, second: str) -> str:
    return first if first == second else f"{first} = {second}"


def _is_table(scene: Scene) -> bool:
    return scene.grid.crs is None and shape_of(scene.grid)[1] == 1


def _rows(scene: Scene, parts: Sequence[str]) -> Iterator[tuple[str, bytes, str]]:
    """Part, bytes and place of each row of a table."""
    window = Window(0, 0, *shape_of(scene.grid))
    stored = np.concatenate([source.read(window)[0] for source in _looked_at(scene)])[:, :, 0].T
    for part in parts:
        for row in np.flatnonzero(scene.part_mask(window, part)[:, 0]):
            yield part, np.ascontiguousarray(stored[row]).tobytes(), f"{scene.id} row {row}"


def _tiles(scenes: Sequence[Scene], parts: Sequence[str], seed: int) -> Iterator[tuple[str, bytes, str]]:
    """Part, hash and place of tiles from all over the scenes; those without any contrast say nothing."""
    each = max(1, min(_TILES, _MOST_TILES // max(1, len(scenes))))
    for scene in scenes:
        generator = np.random.default_rng(seed)  # the same tiles in scenes of one size, so that copies meet
        height, width = shape_of(scene.grid)
        rows, cols = (range(0, max(1, size - _EDGE + 1), _EDGE) for size in (height, width))
        corners = list(product(rows, cols))
        for index in sorted(generator.permutation(len(corners))[:each]):
            row, col = corners[index]
            window = Window(row, col, min(_EDGE, height), min(_EDGE, width))
            part = next((p for p in parts if scene.part_mask(window, p).all()), None)
            if part is None:
                continue
            digest, varied = hashlib.sha1(usedforsecurity=False), False
            for source in _looked_at(scene):
                stored, valid = source.read(window)
                inside = stored[:, valid]
                varied |= bool(inside.size) and bool((inside != inside[:, :1]).any())
                digest.update(stored.tobytes())
            if varied:
                yield part, digest.digest(), f"{scene.id} at row {row}, column {col}"


def _looked_at(scene: Scene) -> tuple[Source, ...]:
    """The layers of a scene; of one of series only the first frame."""
    return tuple(scene.layers.values()) or (scene.main,)


def _near_duplicates(scenes: Sequence[Scene], parts: Sequence[str]) -> list[Finding]:
    """Pictures whose thumbnails have nearly the same structure: 64-bit DCT hashes, confirmed by correlation."""
    kept = [(scene, thumb) for scene in scenes if scene.part in parts and (thumb := _thumbnail(scene)) is not None]
    if not kept:
        return []
    thumbs = np.stack([thumb for _, thumb in kept])
    hashes = np.stack([_hash(thumb) for thumb in thumbs])
    of_part = {part: [i for i, (scene, _) in enumerate(kept) if scene.part == part] for part in parts}
    findings = []
    for first, second in combinations(parts, 2):
        pairs: dict[int, int] = {}
        for i in of_part[second]:
            apart = (hashes[of_part[first]] != hashes[i]).sum(1)
            for j in np.array(of_part[first])[apart <= _BITS].tolist() if len(apart) else []:
                if np.corrcoef(thumbs[i].ravel(), thumbs[j].ravel())[0, 1] >= _CORRELATION:
                    pairs.setdefault(i, j)
        if pairs:
            examples = tuple(f"{kept[j][0].id} ~ {kept[i][0].id}" for i, j in list(pairs.items())[:_NAMED])
            findings.append(Finding("near duplicate", (first, second), len(pairs), len(of_part[second]), examples))
    return findings


def _thumbnail(scene: Scene) -> np.ndarray | None:
    """`[_THUMB, _THUMB]`: mean brightness of the middle of a scene; None where it has no contrast."""
    height, width = shape_of(scene.grid)
    size = (min(height, _READ), min(width, _READ))
    window = Window((height - size[0]) // 2, (width - size[1]) // 2, *size)
    source = scene.main
    stored, valid = source.read(window)
    if min(size) < _THUMB or valid.mean() < 0.5:
        return None
    bright = np.where(valid, source.bands.decode(stored).mean(0), 0.0)
    rows, cols = (np.linspace(0, n, _THUMB + 1).astype(int) for n in size)
    sums = np.add.reduceat(np.add.reduceat(bright, rows[:-1], 0), cols[:-1], 1)
    counts = np.maximum(np.add.reduceat(np.add.reduceat(valid.astype(float), rows[:-1], 0), cols[:-1], 1), 1)
    thumb = sums / counts
    return thumb if thumb.std() > 1e-9 * max(1.0, float(np.abs(thumb).max())) else None


def _hash(thumb: np.ndarray) -> np.ndarray:
    """64 bits: which of the lowest 8 x 8 cosine coefficients, without the mean, lie above their median."""
    low = dctn(thumb, norm="ortho")[:8, :8].ravel()
    return low > np.median(low[1:])


def _same_ground(scenes: Sequence[Scene], parts: Sequence[str], seed: int) -> list[Finding]:
    """Points that two scenes show and that belong to different parts in them."""
    if len(scenes) < 2:
        return []
    generator = np.random.default_rng(seed)
    outlines = [footprint(scene.grid) for scene in scenes]
    tree = shapely.STRtree(outlines)
    met: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    seen: dict[tuple[str, str], int] = defaultdict(int)
    for i, j in zip(*tree.query(outlines, predicate="intersects"), strict=True):
        if i >= j or (isinstance(scenes[i].part, str) and scenes[i].part == scenes[j].part):
            continue
        shared = outlines[i].intersection(outlines[j])
        if shared.area == 0:
            continue
        x, y = _points_in(shared, generator)
        here, there = (_parts_at(scenes[k], x, y, parts) for k in (i, j))
        for first, second in combinations(parts, 2):
            differ = int((((here == first) & (there == second)) | ((here == second) & (there == first))).sum())
            seen[first, second] += len(x)
            if differ:
                met[first, second].append((differ, f"{scenes[i].id} and {scenes[j].id} overlap"))
    return [
        Finding("same ground", key, sum(n for n, _ in found), seen[key], tuple(text for _, text in found[:_NAMED]))
        for key, found in met.items()
    ]


def _points_in(shape: shapely.Geometry, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    left, bottom, right, top = shape.bounds
    x, y = generator.uniform(left, right, _POINTS), generator.uniform(bottom, top, _POINTS)
    inside = shapely.contains_xy(shape, x, y)
    return x[inside], y[inside]


def _parts_at(scene: Scene, lon: np.ndarray, lat: np.ndarray, parts: Sequence[str]) -> np.ndarray:
    """The part of the pixel at each point; empty where there is none."""
    x, y = transformer(CRS("EPSG:4326"), require_crs(scene.grid, scene.id)).transform(lon, lat)
    rows, cols = positions(scene.grid, x, y)
    found = np.full(len(lon), "", dtype=object)
    height, width = shape_of(scene.grid)
    for n, (row, col) in enumerate(zip(np.floor(rows).astype(int), np.floor(cols).astype(int), strict=True)):
        if 0 <= row < height and 0 <= col < width:
            pixel = Window(int(row), int(col), 1, 1)
            found[n] = next((part for part in parts if scene.part_mask(pixel, part)[0, 0]), "")
    return found
