"""Merging across tiles, against worlds in which every thing is known and every tile sees its true part of it."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.errors import ConfigError
from swath.geo.tiling import Tiling
from swath.scene.merge import Objects, merge_objects, merge_vectors


def scattered(seed, shape, count=25, largest=60):
    """Rectangles `[n]` on whole pixels that stay 2 pixels apart, and a class for each."""
    rng = np.random.default_rng(seed)
    kept = []
    for _ in range(count):
        height, width = np.minimum(rng.integers(3, largest, 2), shape)
        row, col = rng.integers(0, shape[0] - height + 1), rng.integers(0, shape[1] - width + 1)
        made = shapely.box(col, row, col + width, row + height)
        if all(made.distance(other) >= 2 for other in kept):
            kept.append(made)
    return np.array(kept), rng.integers(0, 2, len(kept))


def seen_by_tiles(things, kinds, tiling):
    """What a perfect model finds: in each tile the part of every thing that it shows."""
    found = []
    for number, window in enumerate(tiling):
        frame = shapely.box(window.col, window.row, window.col_stop, window.row_stop)
        for thing, kind in zip(things, kinds, strict=True):
            part = thing.intersection(frame)
            if (part.area if thing.area else not part.is_empty) > 0:
                found.append((part, kind, number))
    shapes, classes, tiles = (np.array(column) for column in zip(*found, strict=True))
    return Objects(shapes, np.full(len(shapes), 0.9), classes, tiles)


def places(found, things):
    """For each shape the one thing that it equals."""
    row, col = np.nonzero(shapely.equals(found[:, None], things[None]))
    assert row.tolist() == list(range(len(found)))
    return col


LAYOUTS = st.tuples(st.integers(40, 300), st.integers(40, 300), st.integers(24, 128), st.floats(0.1, 0.5))


@given(LAYOUTS, st.integers(0, 99), st.sampled_from(["boxes", "polygons"]))
@settings(deadline=None, max_examples=60)
def test_each_thing_is_found_once_and_whole_however_the_scene_is_cut(layout, seed, rule):
    height, width, tile, overlap = layout
    tiling = Tiling((height, width), tile, max(2, round(tile * overlap)))
    things, kinds = scattered(seed, (height, width))
    merged = merge_objects(seen_by_tiles(things, kinds, tiling), tiling, rule)
    assert len(merged) == len(things)
    which = places(merged.shapes, things)
    assert sorted(which) == list(range(len(things)))
    assert np.array_equal(merged.classes, kinds[which])


@given(LAYOUTS, st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_each_point_is_found_once_even_where_tiles_differ_a_little(layout, seed):
    height, width, tile, overlap = layout
    tiling = Tiling((height, width), tile, max(4, round(tile * overlap)))
    rng = np.random.default_rng(seed)
    cells = rng.permutation((height // 8) * (width // 8))[:40]
    points = shapely.points(8 * (cells % (width // 8)) + 4, 8 * (cells // (width // 8)) + 4)
    found = seen_by_tiles(points, np.zeros(len(points), int), tiling)
    jitter = rng.uniform(-0.9, 0.9, (len(found), 2))
    moved = shapely.points(shapely.get_coordinates(found.shapes) + jitter)
    merged = merge_objects(Objects(moved, found.scores, found.classes, found.tiles), tiling, "points")
    assert len(merged) == len(points)
    assert shapely.distance(merged.shapes[:, None], points[None]).min(1).max() < 1.3


def test_neighbours_of_one_tile_are_never_joined():
    tiling = Tiling((100, 180), 100, 20)
    shapes = np.array([shapely.box(82, 10, 90, 20), shapely.box(84, 12, 92, 22)])
    found = Objects(shapes, np.array([0.9, 0.8]), np.zeros(2, int), np.zeros(2, int))
    assert len(merge_objects(found, tiling, "boxes")) == 2


def test_what_was_seen_whole_counts_and_of_these_the_surest():
    tiling = Tiling((100, 180), 100, 20)  # tiles at columns 0-100 and 80-180
    cut, whole = shapely.box(85, 10, 100, 20), shapely.box(85, 10, 110, 20)
    found = Objects(np.array([cut, whole]), np.array([0.99, 0.5]), np.zeros(2, int), np.array([0, 1]))
    assert merge_objects(found, tiling, "boxes").shapes[0].equals(whole)
    weak, sure = shapely.box(84, 10, 94, 20), shapely.box(85, 10, 95, 20)
    found = Objects(np.array([weak, sure]), np.array([0.4, 0.7]), np.zeros(2, int), np.array([0, 1]))
    (kept,) = merge_objects(found, tiling, "boxes").shapes
    assert kept.equals(sure)


def test_other_classes_and_weak_agreement_stay_apart():
    tiling = Tiling((100, 180), 100, 20)
    shapes = np.array([shapely.box(84, 10, 94, 20), shapely.box(85, 10, 95, 20)])
    found = Objects(shapes, np.ones(2), np.array([0, 1]), np.array([0, 1]))
    assert len(merge_objects(found, tiling, "boxes")) == 2
    found = Objects(shapes, np.ones(2), np.zeros(2, int), np.array([0, 1]))
    # 9 of 11 columns are common: an intersection over union of 0.82
    assert len(merge_objects(found, tiling, "boxes", agreement=0.8)) == 1
    assert len(merge_objects(found, tiling, "boxes", agreement=0.83)) == 2


def test_nothing_and_no_overlap():
    empty = Objects(np.array([], object), np.empty(0), np.empty(0, int), np.empty(0, int))
    assert len(merge_objects(empty, Tiling((9, 9), 4, 1), "boxes")) == 0
    with pytest.raises(ConfigError, match="without overlap"):
        merge_objects(empty, Tiling((9, 9), 4, 0), "boxes")


def test_vectors_of_cells_by_hand():
    # Tiles of 4 at columns 0, 2, 4 of a scene of 4 x 8; cells of 2 lie in 1, 2, 2, 1 of them.
    tiling = Tiling((4, 8), 4, 2)
    vectors = np.array([[[1.0, 10], [3, 30], [7, 70]]])
    cells = merge_vectors(vectors, tiling, 2)
    assert cells.shape == (2, 4, 2)
    assert cells[0, :, 0].tolist() == [1, 2, 5, 7]
    assert cells[1, :, 1].tolist() == [10, 20, 50, 70]
    vectors[0, 1] = np.nan
    assert merge_vectors(vectors, tiling, 2)[0, :, 0].tolist() == [1, 1, 7, 7]


@given(LAYOUTS, st.integers(1, 64))
@settings(deadline=None, max_examples=40)
def test_equal_vectors_give_equal_cells(layout, cell):
    height, width, tile, overlap = layout
    tiling = Tiling((height, width), tile, round(tile * overlap))
    rows, cols = (len(starts) for starts in tiling.starts)
    cells = merge_vectors(np.full((rows, cols, 3), 0.25), tiling, cell)
    assert cells.shape == (-(-height // cell), -(-width // cell), 3)
    assert cells == pytest.approx(0.25)
