"""Samplers: uniform, reproducible, inside the part; block order keeps the places and needs few blocks at once."""

from collections import Counter, OrderedDict
from datetime import datetime
from functools import partial

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from scipy import stats

from halves import Left
from swath.data.classes import IGNORE, Classes
from swath.data.labelled import LabelledPlaces
from swath.data.labels import VectorLabels
from swath.data.samplers import Place, block_places, by_time, grid_places, random_places
from swath.data.scenes import Collection, Scene
from swath.errors import ConfigError, DataError
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands

BANDS = Bands("s", tuple(Band(f"b{i}", "dn") for i in range(6)))


class Blank:
    """A source of a size without pixels."""

    def __init__(self, height, width):
        self.name, self.bands, self.dtype = "blank", BANDS, np.dtype("uint16")
        self.grid = GeoBox((height, width), Affine(10, 0, 0, 0, -10, 0), "EPSG:32632")


class Points:
    """Labels at some pixels `{(row, col): class}` of the scene's grid."""

    name = "points"

    def __init__(self, points):
        self.points = points

    def read(self, grid):
        col, row = (round(v) for v in ~Affine(10, 0, 0, 0, -10, 0) @ (grid.affine.c, grid.affine.f))
        labels = np.full(grid.shape, IGNORE, np.int16)
        for (r, c), label in self.points.items():
            if 0 <= r - row < grid.shape[0] and 0 <= c - col < grid.shape[1]:
                labels[r - row, c - col] = label
        return labels


def scene(name, height, width, part="train", **more):
    return Scene(name, {"image": Blank(height, width)}, part=part, **more)


def collection(*sizes, part="train"):
    return Collection(tuple(scene(f"s{n}", *size, part=part) for n, size in enumerate(sizes)))


ORDERS = pytest.mark.parametrize("sampler", [random_places, block_places])


def as_set(places):
    return Counter(zip(places.scenes.tolist(), places.rows.tolist(), places.cols.tolist(), strict=True))


@ORDERS
def test_every_place_is_equally_likely(sampler):
    # 5 x 7 places in one scene and 3 x 2 in another, which is drawn by its area.
    world = collection((12, 14), (10, 9))
    counts = Counter()
    for seed in range(40):
        counts += as_set(sampler(world, "train", 8, seed=seed, count=250))
    area = np.array([12 * 14, 10 * 9])
    share = area / area.sum() / np.array([5 * 7, 3 * 2])
    expected = {(0, r, c): share[0] for r in range(5) for c in range(7)}
    expected |= {(1, r, c): share[1] for r in range(3) for c in range(2)}
    assert set(counts) == set(expected)
    observed = np.array([counts[place] for place in expected])
    assert stats.chisquare(observed, np.array(list(expected.values())) * observed.sum()).pvalue > 1e-3


@ORDERS
def test_positions_of_one_epoch_are_uniform(sampler):
    places = sampler(collection((3000, 5000)), "train", 100, seed=1, count=4000)
    assert stats.kstest(places.rows / 2901, "uniform").pvalue > 1e-3
    assert stats.kstest(places.cols / 4901, "uniform").pvalue > 1e-3
    assert abs(stats.spearmanr(places.rows, places.cols).statistic) < 0.06


@pytest.mark.parametrize("step", [0, 1, 100, 199])
def test_at_every_step_of_block_order_the_place_is_uniform(step):
    world = collection((2000, 900), (2000, 900))
    drawn = [block_places(world, "train", 100, seed=seed, count=200)[step] for seed in range(600)]
    rows, cols = (np.array([getattr(place.window, axis) for place in drawn]) for axis in ("row", "col"))
    assert stats.kstest(rows / 1901, "uniform").pvalue > 1e-3
    assert stats.kstest(cols / 801, "uniform").pvalue > 1e-3
    assert stats.binomtest(sum(place.scene for place in drawn), 600).pvalue > 1e-3


@settings(deadline=None, max_examples=50)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 900), st.integers(1, 900)), min_size=1, max_size=6),
    patch=st.integers(1, 200),
    seed=st.integers(0, 10),
    count=st.none() | st.integers(1, 300),
    memory=st.sampled_from([10**5, 10**7, 10**9]),
)
def test_block_order_is_a_permutation_of_random_places(sizes, patch, seed, count, memory):
    world = collection(*sizes)
    places = block_places(world, "train", patch, seed=seed, epoch=3, count=count, memory=memory)
    assert as_set(places) == as_set(random_places(world, "train", patch, seed=seed, epoch=3, count=count))
    if count:
        assert len(places) == count
    for place in places:
        height, width = sizes[place.scene]
        assert min(0, height - patch) <= place.window.row <= max(0, height - patch)
        assert min(0, width - patch) <= place.window.col <= max(0, width - patch)


@ORDERS
def test_seed_and_epoch_say_all(sampler):
    world = collection((900, 900), (300, 500))
    one, again = (sampler(world, "train", 64, seed=5, epoch=2) for _ in range(2))
    assert list(one) == list(again)
    assert isinstance(one[0], Place)
    assert list(one) != list(sampler(world, "train", 64, seed=5, epoch=3))
    assert list(one) != list(sampler(world, "train", 64, seed=6, epoch=2))
    assert len(one) == 15 * 15 + 5 * 8


def decoded(places, budget, block=512, size=4096):
    """Blocks that an LRU cache of `budget` blocks decodes for the places, in their order."""
    cache, misses = OrderedDict(), 0
    for place in places:
        w = place.window
        for r in range(w.row // block, -(-w.row_stop // block)):
            for c in range(w.col // block, -(-w.col_stop // block)):
                key = (place.scene, r, c)
                misses += key not in cache
                cache[key] = cache.pop(key, True)
                if len(cache) > budget:
                    cache.popitem(last=False)
    return misses


def test_block_order_decodes_blocks_about_once_and_mixes_batches():
    world = collection(*[(4096, 4096)] * 8)
    memory = 256 * 2**20
    budget = memory // (512 * 512 * 6 * 2)
    places = block_places(world, "train", 256, seed=0, memory=memory)
    blocks = 8 * 64
    assert decoded(places, budget) < 1.35 * blocks
    assert decoded(random_places(world, "train", 256, seed=0), budget) > 6 * blocks
    neighbourhoods = [
        len({(s, r // 1024, c // 1024) for s, r, c in zip(*batch, strict=True)})
        for batch in (
            [axis[start : start + 32].tolist() for axis in (places.scenes, places.rows, places.cols)]
            for start in range(0, len(places), 32)
        )
    ]
    scenes = [len(set(places.scenes[start : start + 32].tolist())) for start in range(0, len(places), 32)]
    assert np.median(neighbourhoods) >= 12
    assert min(neighbourhoods) >= 8
    assert np.median(scenes) == 4


def test_batches_of_small_scenes_mix_many_of_them():
    world = collection(*[(512, 512)] * 200)
    places = block_places(world, "train", 256, seed=0)
    assert np.mean([len(set(places.scenes[i : i + 32].tolist())) for i in range(0, 800, 32)]) > 15


@ORDERS
def test_centres_lie_in_the_part(sampler):
    world = Collection((scene("a", 400, 400, Left(100)), scene("b", 400, 400, "test"), scene("c", 50, 40)))
    places = sampler(world, "train", 64, seed=0, count=3000)
    assert set(places.scenes.tolist()) == {0, 2}
    in_a = places.cols[places.scenes == 0] + 32
    assert in_a.max() < 100
    # Uniform among the positions whose centre is in the part: 32..99.
    assert stats.kstest((in_a - 32) / 68, "uniform").pvalue > 1e-3
    assert len(sampler(world, "train", 64, seed=0)) == 7 * 2 + 1


@pytest.mark.parametrize("sampler", [random_places, block_places, grid_places, LabelledPlaces()])
def test_an_empty_or_undecided_part_is_one_error(sampler):
    with pytest.raises(DataError, match="'val' part"):
        sampler(collection((100, 100)), "val", 10, seed=0)
    with pytest.raises(DataError, match="'train' part"):
        sampler(collection((100, 100), part=Left(0)), "train", 10, seed=0)
    with pytest.raises(DataError, match="no part of a split yet"):
        sampler(collection((100, 100), part=None), "train", 10, seed=0)
    with pytest.raises(ConfigError, match="no pixels"):
        sampler(collection((100, 100)), "train", 0, seed=0)


@settings(deadline=None, max_examples=40)
@given(height=st.integers(1, 200), width=st.integers(1, 200), patch=st.integers(1, 90), edge=st.integers(1, 250))
def test_the_grid_covers_each_pixel_of_the_part_once(height, width, patch, edge):
    world = collection((height, width), part=Left(edge))
    covered = np.zeros((height + patch, width + patch), int)
    for place in grid_places(world, "train", patch):
        covered[place.window.slices] += 1
    assert (covered[:height, : min(width, edge)] == 1).all()
    assert covered.max() == 1


def test_the_grid_with_overlap_and_without_a_part():
    places = grid_places(collection((100, 60), part=None), None, 40, overlap=20)
    assert [p.window for p in places][:4] == [
        Window(0, 0, 40, 40),
        Window(0, 20, 40, 40),
        Window(0, 40, 40, 40),
        Window(20, 0, 40, 40),
    ]
    with pytest.raises(ConfigError, match="overlap"):
        grid_places(collection((10, 10)), "train", 4, overlap=4)
    with pytest.raises(ConfigError, match="lane"):
        block_places(collection((10, 10)), "train", 4, seed=0, lanes=0)


@ORDERS
def test_each_month_is_drawn_equally_often(sampler):
    times = [datetime(2020, 1, d) for d in range(1, 7)] + [datetime(2020, 2, 1), datetime(2021, 2, 1)]
    world = Collection(tuple(scene(f"{t:%Y%m%d}", 50, 50, time=t) for t in times))
    places = sampler(world, "train", 10, seed=0, count=300, balance=by_time("month"))
    assert Counter(f"{times[s]:%Y-%m}" for s in places.scenes.tolist()) == {
        "2020-01": 100,
        "2020-02": 100,
        "2021-02": 100,
    }
    with pytest.raises(DataError, match="s0 has no time"):
        sampler(collection((50, 50)), "train", 10, seed=0, balance=by_time("day"))


def labelled_world():
    rng = np.random.default_rng(0)
    common = {(int(r), int(c)): 0 for r, c in rng.integers(0, 2000, (300, 2))}
    rare = {(5, 5): 1, (1500, 1999): 1, (700, 1200): 1}
    return Collection((scene("a", 2000, 2000, labels=Points(common | rare)), scene("b", 90, 90))), common | rare


@pytest.mark.parametrize("balanced", [True, False])
def test_labelled_places_hold_a_labelled_pixel_and_balance_classes(balanced):
    world, points = labelled_world()
    places = LabelledPlaces(2000, balanced=balanced, jitter=0)(world, "train", 64, seed=0)
    assert set(places.scenes.tolist()) == {0}
    inner = [(r, c) for r, c in zip((places.rows + 32).tolist(), (places.cols + 32).tolist(), strict=True)]
    hits = [points[p] for p in inner if p in points]
    # Patches at the edge of the scene are moved into it.
    assert len(hits) > 0.6 * len(inner)
    common = hits.count(0)
    share = common / (common + 3 * hits.count(1))
    # Of the three pixels of the rare class one is in the interior.
    assert abs(share - 0.5) < 0.06 if balanced else share > 0.95
    jittered = LabelledPlaces(500, balanced=balanced)(world, "train", 64, seed=0)
    for place in jittered:
        w = place.window
        assert any(w.row <= r < w.row_stop and w.col <= c < w.col_stop for r, c in points)
    assert as_set(jittered) != as_set(LabelledPlaces(500, balanced=balanced)(world, "train", 64, seed=0, epoch=1))


def test_labelled_pixels_of_other_parts_do_not_count():
    points = {(10, 20): 0, (10, 70): 1, (60, 49): 1}
    world = Collection((scene("a", 100, 100, Left(50), labels=Points(points)),))
    places = LabelledPlaces(400, jitter=0.9)(world, "train", 30, seed=0)
    centres = places.cols + 15
    assert centres.max() < 50
    only = Collection((scene("a", 100, 100, Left(50), labels=Points({(10, 70): 1})),))
    with pytest.raises(DataError, match="no labelled pixel"):
        LabelledPlaces()(only, "train", 30, seed=0)
    with pytest.raises(ConfigError, match="jitter"):
        LabelledPlaces(jitter=1)


def test_vectors_are_centres_too():
    x, y = 10 * np.array([5.5, 70.5, 90.2]), -10 * np.array([40.5, 33.3, 7.9])
    frame = gpd.GeoDataFrame({"kind": [0, 1, 1]}, geometry=gpd.points_from_xy(x, y), crs=32632).to_crs(4326)
    labels = VectorLabels(frame, "kind", Classes.of(2))
    world = Collection((scene("a", 100, 100, Left(80), labels=labels),))
    places = LabelledPlaces(300, jitter=0)(world, "train", 1, seed=0)
    assert {(p.window.row, p.window.col) for p in places} == {(40, 5), (33, 70)}


def test_dense_labels_are_thinned_without_bias():
    class Dense:
        name = "dense"

        def read(self, grid):
            return np.where(np.arange(grid.shape[1])[None] < 100, 0, 1).repeat(grid.shape[0], 0).astype(np.int16)

    world = Collection((scene("a", 300, 400, labels=Dense()),))
    places = partial(LabelledPlaces(4000, balanced=False, jitter=0))(world, None, 1, seed=0)
    assert stats.binomtest(int((places.cols < 100).sum()), 4000, 0.25).pvalue > 1e-3
    assert len(LabelledPlaces()(world, None, 100, seed=0)) == 12
