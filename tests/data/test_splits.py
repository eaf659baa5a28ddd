"""Splits: parts are disjoint, the same ground is in one part, buffers hold on the ellipsoid, classes are shared."""

from datetime import UTC, datetime

import numpy as np
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer

import tiny
from swath.data.classes import Classes
from swath.data.labels import RasterLabels
from swath.data.scenes import PARTS, Collection, Scene
from swath.data.sources import ArraySource
from swath.data.splits import split_by_block, split_by_group, split_by_source, split_by_time, split_fixed
from swath.data.vectorlabels import VectorLabels
from swath.errors import ConfigError, DataError
from swath.geo.grids import pixel_grid
from swath.geo.windows import Window, whole
from swath.sensors.bands import Band, Bands

BANDS = Bands("s", (Band("b", "dn"),))
CLASSES = Classes.of({1: "forest", 2: "water", 3: "rare"}, ignored=(0,))


class Blank:
    """A source of zeros that is valid east of `edge`, its first valid column."""

    name, bands, dtype = "blank", BANDS, np.dtype("uint8")

    def __init__(self, grid, edge=0):
        self.grid, self.edge = grid, edge

    def read(self, window):
        valid = np.zeros(window.shape, bool)
        valid[:, max(0, self.edge - window.col) :] = True
        return np.zeros((1, *window.shape), np.uint8), valid


def scene(name, grid, codes=None, edge=0, **more):
    labels = None if codes is None else RasterLabels(ArraySource(codes[None], BANDS, grid), CLASSES)
    return Scene(name, {"image": Blank(grid, edge)}, labels, **more)


def world(*scenes):
    return Collection(tuple(scenes), CLASSES)


def masks(found):
    return np.stack([found.part_mask(whole(found.grid.shape), part) for part in PARTS])


PLACES = st.tuples(
    st.sampled_from(
        [("EPSG:32633", 500_000, 5_000_000), ("EPSG:32633", 420_000, 7_500_000), ("EPSG:4326", 15.1, -33.0)]
    ),
    st.integers(0, 5000),
    st.integers(0, 99),
)
SETTINGS = settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))


def at(place, shift, size=90):
    crs, x, y = place
    pixel = 2e-4 if crs == "EPSG:4326" else 20.0
    return GeoBox((size, size), Affine(pixel, 0, x + shift * pixel / 20, 0, -pixel, y), crs)


@SETTINGS
@given(PLACES, st.sampled_from([300.0, 500.0]), st.sampled_from([0.0, 40.0, 90.0]))
def test_parts_are_disjoint_and_the_buffer_holds_on_the_ground(place, size, buffer):
    where, shift, seed = place
    found = split_by_block(
        world(scene("a", at(where, shift))), size, buffer if where[2] < 7e6 else buffer / 3, seed=seed
    )[0]
    parts = masks(found)
    assert parts.sum(0).max() == 1
    if buffer == 0:
        assert parts.sum(0).min() == 1
        return
    rows, cols = np.mgrid[0:90, 0:90] + 0.5
    to_lonlat = Transformer.from_crs(where[0], 4326, always_xy=True)
    lon, lat = to_lonlat.transform(*(found.grid.affine @ (cols, rows)))
    bare = split_by_block(world(scene("a", at(where, shift))), size, 0, seed=seed)[0]
    blocks = masks(bare)
    asked = found.part.buffer
    geod, rng = Geod(ellps="WGS84"), np.random.default_rng(seed)
    for mine in range(3):
        inside, foreign = parts[mine], blocks[(mine + 1) % 3] | blocks[(mine + 2) % 3]
        if not inside.any() or not foreign.any():
            continue
        lon1, lat1 = lon[foreign], lat[foreign]
        for n in rng.choice(np.flatnonzero(inside), 12):
            apart = geod.inv(np.full(lon1.shape, lon.flat[n]), np.full(lon1.shape, lat.flat[n]), lon1, lat1)[2]
            # the nearest foreign pixel's centre is no nearer than its block
            assert apart.min() >= asked * 0.999
        # and no pixel is lost without need; at the edges of the scene, blocks reach further than their pixels show
        lost = blocks[mine] & ~inside
        for n in np.flatnonzero(lost[36:54, 36:54])[::5]:
            row, col = 36 + n // 18, 36 + n % 18
            apart = geod.inv(np.full(lon1.shape, lon[row, col]), np.full(lon1.shape, lat[row, col]), lon1, lat1)[2]
            assert apart.min() < asked * 1.02 + 40


@SETTINGS
@given(st.integers(0, 9999), st.integers(0, 99))
def test_the_same_ground_is_in_the_same_part_whatever_the_crs(shift, seed):
    x, y = Transformer.from_crs(32633, 32632, always_xy=True).transform(300_000 + shift, 5_000_000)
    one = tiny.grid(120, 120, "EPSG:32633", 20.0, 300_000 + shift, 5_000_000)
    two = tiny.grid(100, 140, "EPSG:32632", 30.0, x - 500, y + 700)
    divided = split_by_block(world(scene("a", one), scene("b", two)), 700, 50, seed=seed)
    rng = np.random.default_rng(seed)
    rows, cols = rng.uniform(0, 120, (2, 400))
    px, py = one.affine @ (cols, rows)
    bx, by = Transformer.from_crs(32633, 32632, always_xy=True).transform(px, py)
    bcols, brows = ~two.affine @ (bx, by)
    inside = (bcols >= 0) & (bcols < 140) & (brows >= 0) & (brows < 100)
    assert inside.sum() > 100
    here = masks(divided[0])[:, rows[inside].astype(int), cols[inside].astype(int)]
    there = masks(divided[1])[:, brows[inside].astype(int), bcols[inside].astype(int)]
    # pixels have an extent, so their centres may lie on two sides of a line; but with a buffer never in two parts
    for first in range(3):
        for second in set(range(3)) - {first}:
            assert not (here[first] & there[second]).any()
    assert (here == there).all(0).mean() > 0.9


def test_masks_of_windows_are_those_of_the_whole():
    found = split_by_block(world(scene("a", tiny.grid(150, 170))), 400, 60, seed=1)[0]
    every = masks(found)
    for window in (Window(0, 0, 1, 1), Window(37, 81, 64, 33), Window(149, 169, 1, 1)):
        for part, mask in zip(PARTS, every, strict=True):
            assert np.array_equal(found.part_mask(window, part), mask[window.slices])


def test_pictures_are_divided_in_pixels_each_for_itself():
    divided = split_by_block(world(scene("a", pixel_grid(64, 96)), scene("b", pixel_grid(64, 96))), 16, 2, seed=0)
    a, b = masks(divided[0]), masks(divided[1])
    assert not np.array_equal(a, b)
    # corners of blocks: 2 pixels of each block's edge may be lost, its middle never
    middles = a[:, 8::16, 8::16]
    assert (middles.sum(0) == 1).all()
    assert divided.facts["split"].startswith("by blocks of 16 pixels with a buffer of 2 pixels")


def test_blocks_go_on_across_the_antimeridian():
    grid = GeoBox((20, 60), Affine(0.01, 0, 179.7, 0, -0.01, 0.1), "EPSG:4326")
    west = GeoBox((20, 30), Affine(0.01, 0, -180.0, 0, -0.01, 0.1), "EPSG:4326")
    divided = split_by_block(world(scene("a", grid), scene("b", west)), 5000, 0, seed=3)
    assert np.array_equal(masks(divided[0])[:, :, 30:], masks(divided[1]))


def test_polar_scenes_are_divided():
    grid = tiny.grid(60, 60, "EPSG:3995", 10_000, -300_000, 300_000)
    parts = masks(split_by_block(world(scene("a", grid)), 200_000, 0, seed=0)[0])
    assert (parts.sum(0) == 1).all()


def test_classes_are_shared_by_blocks_and_each_part_has_labels():
    rng = np.random.default_rng(0)
    codes = np.kron(rng.choice([1, 2], (20, 20)), np.ones((20, 20))).astype(np.uint8)
    for row, col in ((10, 10), (170, 390), (390, 30)):
        codes[row : row + 3, col : col + 3] = 3
    divided = split_by_block(world(scene("a", tiny.grid(400, 400), codes)), 300, 0, seed=1)
    counts = divided.facts["labelled pixels by part"]
    assert all(counts[part]["rare"] > 0 for part in PARTS)
    assert counts["train"]["forest"] / (codes == 1).sum() == pytest.approx(0.6, abs=0.05)
    assert counts["test"]["water"] / (codes == 2).sum() == pytest.approx(0.2, abs=0.05)
    assert sum(counts[part]["rare"] for part in PARTS) == 27


def test_labels_beyond_the_edge_of_the_image_are_not_dealt():
    grid = GeoBox((60, 60), Affine(10, 0, 500_000, 0, -10, 5_000_000), "EPSG:32633")
    labelled = scene("a", grid, np.full((60, 60), CLASSES.codes[1], np.uint8), edge=20)
    counts = split_by_block(world(labelled), 100, 0, seed=0).facts["labelled pixels by part"]
    assert sum(sum(part.values()) for part in counts.values()) == 60 * 40


def test_sparse_points_are_in_every_part():
    grid = tiny.grid(400, 400)
    frame = tiny.centres([(5, 5), (200, 200), (390, 390)], grid, kind=[1, 1, 1])
    labelled = Scene("a", {"image": Blank(grid)}, VectorLabels(frame, "kind", CLASSES))
    counts = split_by_block(world(labelled), 500, 0, seed=0).facts["labelled pixels by part"]
    assert [counts[part]["forest"] for part in PARTS] == [1, 1, 1]


def test_empty_splits_are_refused():
    grid = tiny.grid(40, 40)
    with pytest.raises(DataError, match="empty split: there are fewer blocks than parts"):
        split_by_block(world(scene("a", grid)), 10_000)
    with pytest.raises(DataError, match="empty split: a part has no share"):
        split_by_block(world(scene("a", grid)), 50, fractions=(0.8, 0.2, 0))
    with pytest.raises(DataError, match="empty split: the buffer"):
        split_by_block(world(scene("a", grid)), 60, 40)
    with pytest.raises(ConfigError, match="sum to 1"):
        split_by_block(world(scene("a", grid)), 50, fractions=(0.8, 0.2, 0.2))
    with pytest.raises(ConfigError, match="size > 0"):
        split_by_block(world(scene("a", grid)), 0)
    codes = np.zeros((40, 40), np.uint8)
    codes[0, 0] = 1
    with pytest.raises(DataError, match="holds no label"):
        split_by_block(world(scene("a", grid, codes)), 100)


def groups(names, codes=None, times=None):
    grid = tiny.grid(8, 8)
    codes = [1] * len(names) if codes is None else codes
    times = [None] * len(names) if times is None else times
    return world(
        *(
            scene(f"s{n}", grid, np.full((8, 8), code, np.uint8), group=name, time=time)
            for n, (name, code, time) in enumerate(zip(names, codes, times, strict=True))
        )
    )


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdefgh"), min_size=10, max_size=30), st.integers(0, 9))
def test_groups_stay_whole(names, seed):
    if len(set(names)) < 3:
        with pytest.raises(DataError, match="fewer groups than parts"):
            split_by_group(groups(names), seed=seed)
        return
    divided = split_by_group(groups(names), seed=seed)
    parts = {}
    for found in divided:
        assert parts.setdefault(found.group, found.part) == found.part
    assert set(parts.values()) == set(PARTS)


def test_sources_are_dealt_by_class():
    divided = split_by_source(groups([None] * 30, [1] * 15 + [2] * 10 + [3] * 5), seed=2)
    parts = np.array([found.part for found in divided])
    for members, expected in ((parts[:15], [9, 3, 3]), (parts[15:25], [6, 2, 2]), (parts[25:], [3, 1, 1])):
        assert [(members == part).sum() for part in PARTS] == expected
    assert divided.facts["scenes by part"] == {"train": 18, "val": 6, "test": 6}
    with pytest.raises(DataError, match="in no group"):
        split_by_group(groups([None] * 4))


def test_time_runs_from_train_to_test():
    times = [datetime(2020, 1, day, tzinfo=UTC) for day in (9, 3, 1, 5, 7, 2, 4, 6, 8, 10)]
    divided = split_by_time(groups([None] * 10, times=times))
    last = {part: max(s.time for s in divided if s.part == part) for part in PARTS}
    first = {part: min(s.time for s in divided if s.part == part) for part in PARTS}
    assert last["train"] < first["val"] <= last["val"] < first["test"]
    assert [sum(s.part == part for s in divided) for part in PARTS] == [6, 2, 2]
    fixed = split_by_time(groups([None] * 10, times=times), (datetime(2020, 1, 2), datetime(2020, 1, 9)))
    assert [sum(s.part == part for s in fixed) for part in PARTS] == [1, 7, 2]
    with pytest.raises(DataError, match="empty split by time"):
        split_by_time(groups([None] * 10, times=times), (datetime(2019, 1, 2), datetime(2020, 1, 9)))
    with pytest.raises(ConfigError, match="order"):
        split_by_time(groups([None] * 10, times=times), (datetime(2020, 1, 9), datetime(2020, 1, 2)))
    with pytest.raises(DataError, match="have no time"):
        split_by_time(groups([None] * 3))
    with pytest.raises(DataError, match="fewer times"):
        split_by_time(groups([None] * 3, times=times[:1] * 3))


def test_fixed_parts_must_fit():
    three = groups([None] * 3)
    assert [s.part for s in split_fixed(three, {"s0": "test", "s1": "train", "s2": "train"})] == [
        "test",
        "train",
        "train",
    ]
    for parts in ({"s0": "train"}, {"s0": "train", "s1": "val", "s2": "test", "x": "test"}):
        with pytest.raises(DataError, match="do not fit"):
            split_fixed(three, parts)
    with pytest.raises(DataError, match="unknown"):
        split_fixed(three, {"s0": "train", "s1": "dev", "s2": "test"})


def test_classes_are_shared_by_presence_whatever_their_pixels():
    """Of ten scenes one is full of water, nine have one pixel of it; by presence each part gets its share of scenes."""
    rng = np.random.default_rng(0)
    scenes = []
    for number in range(30):
        codes = np.ones((20, 20), np.uint8)
        if number < 10:
            codes[:1, :1] = 2
        if number == 0:
            codes[:] = 2
        if number % 3 == 0:
            codes[5, 5] = 3
        scenes.append(scene(f"s{rng.integers(10**9)}-{number}", tiny.grid(20, 20), codes))
    found = split_by_source(world(*scenes), presence=True)
    parts = np.array([s.part for s in found])
    for having, whole_ in ((range(10), 10), (range(0, 30, 3), 10), (range(30), 30)):
        counts = [int((parts[list(having)] == part).sum()) for part in PARTS]
        assert np.abs(np.array(counts) - whole_ * np.array([0.6, 0.2, 0.2])).max() <= 1
