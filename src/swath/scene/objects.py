"""Applying what finds things, or describes tiles by vectors, to scenes of any size; pixels in memory do not grow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import geopandas as gpd
import numpy as np
import shapely
import torch
from affine import Affine
from odc.geo.geobox import GeoBox

from swath import __version__
from swath.data.classes import Classes
from swath.data.loader import Batches, Skipped
from swath.data.scenes import Collection
from swath.geo.cog import BLOCK, describe_bands, write_cog
from swath.geo.grids import coordinates, shape_of
from swath.geo.masks import masks_of, picture_grid
from swath.geo.stac import write_item
from swath.geo.tiling import Tiling
from swath.geo.vectors import burn, write_vectors
from swath.scene.merge import Objects, Rule, merge_objects, merge_vectors
from swath.scene.plan import Plan

if TYPE_CHECKING:
    from torch import Tensor

    from swath.data.scenes import Scene
    from swath.data.sources import Source

#: A batch (see `docs/design.md`, contract 3) to shapes in pixels of the tile, scores and class indices, for each tile.
Finder = Callable[[Mapping[str, Any]], Sequence[tuple[Sequence[shapely.Geometry], Sequence[float], Sequence[int]]]]


#: What all tiles found to things of the scene: a way of its own to merge (see `swath.scene.merge.merge_objects`).
Merger = Callable[[Objects, Tiling], Objects]


@dataclass(frozen=True)
class Sighting:
    """What was found on a scene.

    Attributes:
        objects: Merged, in pixels `(x, y)` = `(col, row)` of the scene.
        plan: The tiles.
        rule: How they were merged.
        skipped: Tiles that could not be read as a whole.
    """

    objects: Objects
    plan: Plan
    rule: str
    skipped: Sequence[Skipped] = ()


def find_objects(
    model: Finder,
    scene: Scene,
    output: Path,
    classes: Classes,
    *,
    rule: Rule | Merger,
    tile: int = 512,
    overlap: float = 0.25,
    batch: int = 2,
    agreement: float = 0.5,
    radius: float = 3.0,
    threads: int = 2,
    on_error: Literal["raise", "skip"] = "raise",
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Find boxes, polygons or points on a scene and write them with class, score and a STAC item.

    Args:
        model: See `seek_objects`.
        scene: The scene; its labels are not read.
        output: Vector file, by suffix (see `write_vectors`).
        classes: Names of the classes.
        rule: See `seek_objects`.
        tile: See `seek_objects`.
        overlap: See `seek_objects`.
        batch: See `seek_objects`.
        agreement: See `seek_objects`.
        radius: See `seek_objects`.
        threads: See `seek_objects`.
        on_error: See `seek_objects`.
        provenance: How the model came to be; goes into the STAC item.

    Returns:
        The path.

    Raises:
        ConfigError: If an option is out of range.
        SwathError: As sources raise it, and `write_vectors`.
    """
    sighting = seek_objects(
        model, scene, rule=rule, tile=tile, overlap=overlap, batch=batch, agreement=agreement, radius=radius,
        threads=threads, on_error=on_error,
    )  # fmt: skip
    return write_objects(sighting, scene, output, classes, provenance)


def seek_objects(
    model: Finder,
    scene: Scene,
    *,
    rule: Rule | Merger,
    tile: int = 512,
    overlap: float = 0.25,
    batch: int = 2,
    agreement: float = 0.5,
    radius: float = 3.0,
    even: bool = False,
    threads: int = 2,
    on_error: Literal["raise", "skip"] = "raise",
) -> Sighting:
    """Find boxes, polygons or points on a scene.

    Args:
        model: Finds things in a batch of tiles. Those whose middle is invalid ground do not count.
        scene: The scene; its labels are not read.
        rule: What the shapes are, and so how they are merged (see `swath.scene.merge.merge_objects`); or a way of its
            own to merge them.
        tile: Edge of a tile in pixels; things larger than the overlap are joined from pieces.
        overlap: Share of a tile that neighbours have in common.
        batch: Tiles that run together.
        agreement: See `merge_objects`.
        radius: See `merge_objects`.
        even: See `swath.geo.tiling.Tiling`.
        threads: Threads that read.
        on_error: Whether a block that cannot be read ends the run, or its tile is left out and listed.

    Raises:
        ConfigError: If an option is out of range.
        SwathError: As sources raise it.
    """
    plan = Plan(shape_of(scene.grid), tile, min(round(overlap * tile), tile - 1), batch, even=even)
    batches = _batches(scene, plan, threads, on_error)
    parts: list[Objects] = []
    number = 0
    for read in batches:
        valid = read["valid"].numpy()
        with torch.inference_mode():
            answers = model(read) if valid.any() else [((), (), ())] * len(valid)
        for (shapes, scores, kinds), seen in zip(answers, valid, strict=True):
            parts.append(_on_scene(np.array(shapes, object), scores, kinds, seen, plan, number))
            number += 1
    together = Objects(*(np.concatenate([getattr(p, name) for p in parts]) for name in Objects.__dataclass_fields__))
    if callable(rule):
        merged, name = rule(together, plan.tiling), getattr(rule, "__name__", "its own")
    else:
        merged, name = merge_objects(together, plan.tiling, rule, agreement=agreement, radius=radius), rule
    return Sighting(merged, plan, name, tuple(batches.skipped))


def lying_on(sighting: Sighting, scene: Scene, ground: Source, share: float = 0.5) -> Sighting:
    """Only those things of which at least a share of the pixels lies where a raster is valid and not 0.

    Args:
        sighting: What was found.
        scene: Where.
        ground: One band, for example a map of classes whose background is 0, in any CRS and resolution.
        share: Least share of pixels of the raster; a thing without any is left out.

    Raises:
        GridError: If one of both has no CRS and the other has.
        SwathError: As the source raises it.
    """
    placed = _placed(sighting.objects, scene)
    kept = []
    crs = None if scene.grid.crs is None else scene.grid.crs.proj
    for place, window, mask in masks_of(placed, crs, ground.grid):
        values, valid = ground.read(window)
        if ((values[0] != 0) & valid)[mask].mean() >= share:
            kept.append(place)
    return replace(sighting, objects=sighting.objects.take(np.array(kept, np.int64)))


def write_objects(
    sighting: Sighting, scene: Scene, output: Path, classes: Classes, provenance: Mapping[str, Any] | None = None
) -> Path:
    """Write what was found, with class, score and a STAC item; see `find_objects`."""
    merged = sighting.objects
    frame = gpd.GeoDataFrame(
        {
            "code": np.array(classes.codes, np.int64)[merged.classes],
            "class": np.array(classes.names, object)[merged.classes],
            "score": merged.scores,
        },
        geometry=_placed(merged, scene),
        crs=None if scene.grid.crs is None else scene.grid.crs.proj,
    )
    write_vectors(frame, output)
    told = {"rule": sighting.rule, **(provenance or {})}
    _describe(output, scene.grid, scene, sighting.plan, sighting.skipped, told)
    return output


def write_numbers(sighting: Sighting, scene: Scene, output: Path, provenance: Mapping[str, Any] | None = None) -> Path:
    """Write a raster of what was found: the row of each in the vector file, from 1; of several the surest counts."""
    shapes = sighting.objects.shapes
    order = np.argsort(sighting.objects.scores, kind="stable")
    tree, (height, width) = shapely.STRtree(shapes), shape_of(scene.grid)

    def strips() -> Iterator[np.ndarray]:
        for row in range(0, height, BLOCK):
            part = picture_grid((min(BLOCK, height - row), width))
            near = order[np.isin(order, tree.query(shapely.box(0, row, width, row + BLOCK)))]
            here = shapely.transform(shapes[near], lambda xy, row=row: xy - [0, row])
            yield (burn(here, near + 1, part, dtype=np.uint32) if len(near) else np.zeros(part.shape, np.uint32))[None]

    write_cog(output, strips(), scene.grid, count=1, dtype="uint32", nodata=0, band_names=("number",))
    bands = describe_bands(("number",), "uint32", 0, None)
    told = {"rule": sighting.rule, **(provenance or {})}
    _describe(output, scene.grid, scene, sighting.plan, sighting.skipped, told, bands)
    return output


def map_vectors(
    model: Callable[[Mapping[str, Any]], Tensor],
    scene: Scene,
    output: Path,
    *,
    tile: int = 256,
    overlap: float = 0.0,
    cell: int | None = None,
    batch: int = 2,
    threads: int = 2,
    on_error: Literal["raise", "skip"] = "raise",
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Describe tiles by vectors and write a raster of cells with a band for each dimension.

    Args:
        model: A batch to vectors `[B, D]`.
        scene: The scene.
        output: The raster.
        tile: Edge of a tile in pixels.
        overlap: Share of a tile that neighbours have in common.
        cell: Edge of a cell in pixels, by default a tile less its overlap. A cell holds the mean of the vectors of the
            tiles that it lies in, weighted by shared area; cells in which no tile has a valid pixel are NaN.
        batch: Tiles that run together.
        threads: Threads that read.
        on_error: Whether a block that cannot be read ends the run, or its tile is left out and listed.
        provenance: How the model came to be; goes into the STAC item.

    Returns:
        The path.

    Raises:
        ConfigError: If an option is out of range.
        SwathError: As sources raise it, and `write_cog`.
    """
    plan = Plan(shape_of(scene.grid), tile, min(round(overlap * tile), tile - 1), batch)
    cell = cell or tile - plan.overlap
    batches = _batches(scene, plan, threads, on_error)
    found: list[np.ndarray] = []
    dimensions = 0
    for read in batches:
        valid = read["valid"].flatten(1).any(1).numpy()
        with torch.inference_mode():
            vectors = model(read).float().cpu().numpy() if valid.any() else np.empty((len(valid), 0), np.float32)
        dimensions = max(dimensions, vectors.shape[1])
        found += [v if ok else np.empty(0, np.float32) for v, ok in zip(vectors, valid, strict=True)]
    table = np.full((len(found), max(dimensions, 1)), np.nan, np.float32)
    for row, vector in enumerate(found):
        table[row, : len(vector)] = vector
    rows, cols = (len(starts) for starts in plan.tiling.starts)
    cells = merge_vectors(table.reshape(rows, cols, -1), plan.tiling, cell).astype(np.float32).transpose(2, 0, 1)
    grid = GeoBox(cells.shape[1:], scene.grid.affine @ Affine.scale(cell), scene.grid.crs)
    names = [f"d{i}" for i in range(len(cells))]
    write_cog(output, iter([cells]), grid, count=len(cells), dtype="float32", nodata=float("nan"), band_names=names)
    told = {"cell": cell, **(provenance or {})}
    _describe(output, grid, scene, plan, batches.skipped, told, describe_bands(names, "float32", None, "1"))
    return output


def _batches(scene: Scene, plan: Plan, threads: int, on_error: Literal["raise", "skip"]) -> Batches:
    alone = Collection((replace(scene, labels=None, part=None),))
    return Batches(
        alone, plan.places(), part=None, patch=plan.tile, batch=plan.batch, threads=threads, on_error=on_error
    )


def _on_scene(
    shapes: np.ndarray, scores: Sequence[float], kinds: Sequence[int], valid: np.ndarray, plan: Plan, number: int
) -> Objects:
    """What one tile found, moved to its place on the scene, without what stands on invalid ground."""
    if not len(shapes):
        return Objects(shapes, np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    middles = shapely.centroid(shapes)
    rows, cols = (
        np.clip(np.floor(v).astype(np.int64), 0, plan.tile - 1)
        for v in (shapely.get_y(middles), shapely.get_x(middles))
    )
    window = plan.tiling[number]
    moved = shapely.transform(shapes, lambda xy: xy + np.array([window.col, window.row]))
    found = Objects(
        moved, np.asarray(scores, float), np.asarray(kinds, np.int64), np.full(len(shapes), number, np.int64)
    )
    return found.take(np.flatnonzero(valid[rows, cols]))


def _placed(objects: Objects, scene: Scene) -> np.ndarray:
    """Shapes in the coordinates of the scene."""
    return shapely.transform(objects.shapes, lambda xy: np.column_stack(coordinates(scene.grid, xy[:, 1], xy[:, 0])))


def _describe(
    output: Path,
    grid: GeoBox,
    scene: Scene,
    plan: Plan,
    skipped: Sequence[Skipped],
    provenance: Mapping[str, Any],
    bands: Sequence[Mapping[str, Any]] = (),
) -> None:
    told = {
        "system": None,
        "weights": None,
        **provenance,
        "inputs": scene.inputs,
        "version": __version__,
        "tile": plan.tile,
        "overlap": plan.overlap,
    }
    if skipped:
        told["skipped"] = [f"{s.window}: {s.reason}" for s in skipped]
    write_item(output, grid=grid, provenance=told, time=scene.time, bands=bands)
