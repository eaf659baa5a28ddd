"""The published merge of OAM-TCD, step by step, against torchvision, brute force and cases by hand."""

import json

import numpy as np
import pytest
import shapely
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import nms

from swath.data.coco import run_lengths
from swath.geo.masks import mask_outline
from swath.geo.tiling import Tiling
from swath.scene.dissolve import (
    DissolveMerge,
    cut_by_tile,
    dissolve,
    groups,
    holders,
    join_pairs,
    suppress_boxes,
)
from swath.scene.merge import Objects


def disc(x, y, radius=10.0):
    return shapely.Point(x, y).buffer(radius, quad_segs=16)


def shapes(*found):
    return np.array(found, object)


def test_boxes_near_the_edges_of_their_tile_are_cut_and_fractions_cut_off():
    boxes = np.array([[4.9, 50, 60, 60], [5.2, 50, 60, 60], [50, 4, 60, 60], [50, 50, 95.9, 60], [50, 50, 96, 60]])
    assert cut_by_tile(boxes, (100, 100)).tolist() == [True, False, True, False, True]


def test_the_release_swaps_height_and_width_which_square_tiles_hide():
    # on a tile 100 high and 300 wide, a crown in the middle of the right half and one at the bottom edge
    boxes = np.array([[200, 40, 220, 60], [40, 80, 60, 99]])
    assert cut_by_tile(boxes, (100, 300)).tolist() == [False, True]
    assert cut_by_tile(boxes, (100, 300), swapped=True).tolist() == [True, False]
    square = np.random.default_rng(0).uniform(0, 100, (50, 4))
    assert np.array_equal(cut_by_tile(square, (100, 100)), cut_by_tile(square, (100, 100), swapped=True))


@given(seed=st.integers(0, 300), count=st.integers(0, 20))
@settings(deadline=None, max_examples=40)
def test_boxes_suppress_those_of_their_class_as_torchvision_does(seed, count):
    generator = np.random.default_rng(seed)
    low = generator.uniform(0, 40, (count, 2))
    boxes, scores = np.hstack([low, low + generator.uniform(5, 30, (count, 2))]), generator.random(count)
    classes = generator.integers(0, 3, count)
    kept = suppress_boxes(boxes, scores, classes, 0.4)
    for index in range(3):
        members = np.flatnonzero(classes == index)
        wanted = nms(torch.from_numpy(boxes[members]).float(), torch.from_numpy(scores[members]).float(), 0.4)
        assert kept[classes[kept] == index].tolist() == members[wanted.numpy()].tolist()


def test_groups_are_what_touches_and_doubles_count_once():
    found = groups(shapes(disc(0, 0), disc(100, 0), disc(15, 0), disc(100, 0), disc(30, 0)))
    assert sorted(group.tolist() for group in found) == [[0, 2, 4], [1]]
    assert groups(shapes()) == []


def test_holders_are_around_the_centres_of_several_others():
    around = disc(10, 0, 30)
    found = shapes(around, disc(0, 0), disc(20, 0), disc(60, 0, 25))
    assert holders(found).tolist() == [True, False, False, False]
    # one other centre is allowed
    assert holders(found[:2]).tolist() == [False, False]


@given(seed=st.integers(0, 200), count=st.integers(1, 9))
@settings(deadline=None, max_examples=30)
def test_holders_and_pairs_are_those_of_the_rule_one_by_one(seed, count):
    generator = np.random.default_rng(seed)
    found = shapes(*(disc(x, y, r) for x, y, r in generator.uniform((0, 0, 5), (40, 40, 20), (count, 3))))
    counts = [sum(a.centroid.within(b) for a in found if a is not b) for b in found]
    assert holders(found).tolist() == [n > 1 for n in counts]
    scores = generator.random(count)
    joined, told = join_pairs(found.tolist(), scores.tolist(), 0.3)
    waiting, done = [(s, [v]) for s, v in zip(found, scores, strict=True)], []
    while waiting:
        one, known = waiting.pop()
        for place, (other, more) in enumerate(waiting):
            if one.intersection(other).area / one.union(other).area >= 0.3:
                waiting.pop(place)
                waiting.append((one.union(other), known + more))
                break
        else:
            done.append((one, known))
    assert told == pytest.approx([np.median(known) for _, known in done])
    assert all(a.equals(b) or a.symmetric_difference(b).area < 1e-9 for a, (b, _) in zip(joined, done, strict=True))


def test_a_group_is_split_and_joined_as_the_release_says():
    # two sightings of one crown, a neighbour that touches it little, an outline around all, one that is unsure
    found = shapes(disc(0, 0), disc(2, 0), disc(18, 0), disc(9, 25, 40), disc(0, 0, 9))
    merged, scores = dissolve(found, np.array([0.9, 0.5, 0.8, 0.95, 0.3]))
    assert len(merged) == 2
    places = sorted(zip(shapely.get_x(shapely.centroid(merged)).round().tolist(), scores.tolist(), strict=True))
    assert places == [(1.0, 0.7), (18.0, 0.8)]
    assert len(dissolve(shapes(), np.empty(0))[0]) == 0


def sighted(*told):
    """Objects of `(shape, score, class, tile)`."""
    columns = zip(*told, strict=True)
    seen, scores, classes, tiles = columns
    return Objects(shapes(*seen), np.array(scores), np.array(classes), np.array(tiles))


def test_the_whole_merge_drops_single_crowns_that_tiles_cut_but_no_groups():
    tiling = Tiling((100, 160), 100, 40, even=True)
    assert tiling.starts == ((0,), (0, 60))
    whole, cut_tree, cut_group = disc(80, 50), shapely.box(92, 10, 100, 20), shapely.box(92, 70, 100, 90)
    found = sighted(
        (whole, 0.9, 1, 0), (disc(81, 50), 0.8, 1, 1), (cut_tree, 0.9, 1, 0), (cut_group, 0.9, 0, 0),
        (shapely.box(0, 30, 12, 44), 0.7, 1, 0), (disc(140, 20), 0.25, 1, 1),
    )  # fmt: skip
    merged = DissolveMerge((1,))(found, tiling)
    left = sorted(zip(merged.classes.tolist(), shapely.area(merged.shapes).round().tolist(), strict=True))
    # the crown at the border of the scene stays; as in the release it goes
    assert left == [(0, 160.0), (1, 168.0), (1, round(whole.area))]
    published = DissolveMerge((1,), at_border=True)(found, tiling)
    assert sorted(published.classes.tolist()) == [0, 1]
    nothing = sighted((disc(140, 20), 0.25, 1, 1)).take(np.empty(0, np.int64))
    assert len(DissolveMerge((1,))(nothing, tiling)) == 0


def test_suppressed_boxes_leave_one_of_two_sightings():
    tiling = Tiling((100, 160), 100, 40, even=True)
    found = sighted((disc(80, 50), 0.6, 1, 0), (disc(80.5, 50), 0.8, 1, 1))
    merged = DissolveMerge((1,))(found, tiling)
    assert merged.scores.tolist() == [0.8]
    assert shapely.get_x(shapely.centroid(merged.shapes[0])) == pytest.approx(80.5)


@pytest.mark.data
def test_the_authors_own_predictions_are_merged_as_the_rule_says_one_by_one(data_folder):
    name = "5c15321f63d9810007f8b06f_10_00000_predictions.json"
    found = json.loads((data_folder / "tree_crowns" / "oam_tcd" / name).read_text())
    told = found["annotations"]
    assert len(told) == 387
    outlines = []
    for entry in told:
        left, top, width, height = map(int, entry["bbox"])
        mask = run_lengths(entry["segmentation"], (height, width), "a prediction")
        outlines.append(mask_outline(mask, top, left))
    outlines = np.array(outlines, object)
    scores, classes = (np.array([entry[key] for entry in told]) for key in ("score", "category_id"))
    low = np.array([entry["bbox"] for entry in told])
    boxes = np.hstack([low[:, :2], low[:, :2] + low[:, 2:]])
    kept = suppress_boxes(boxes, scores, classes, 0.7)
    wanted = []
    for index in (0, 1):
        members = np.flatnonzero(classes == index)
        wanted += members[
            nms(torch.tensor(boxes[members]).float(), torch.tensor(scores[members]).float(), 0.7)
        ].tolist()
    assert kept.tolist() == wanted
    for index in (0, 1):
        members = kept[classes[kept] == index]
        merged, certain = dissolve(outlines[members], scores[members])
        by_hand = _by_the_rule(outlines[members], scores[members])
        assert len(merged) == len(by_hand) > 0
        assert sorted(zip(shapely.area(merged).tolist(), certain.tolist(), strict=True)) == sorted(by_hand)


def _by_the_rule(outlines, scores):
    """Areas and scores after the published merge, pair by pair."""
    sure = [(o, s) for o, s in zip(outlines, scores, strict=True) if s > 0.3]
    parts = list(shapely.get_parts(shapely.union_all([o for o, _ in sure])))
    first = [next(n for n, part in enumerate(parts) if o.intersects(part)) for o, _ in sure]
    left = []
    for n in range(len(parts)):
        # one in several pieces may touch several parts: it counts in the first
        group = [(o, [s]) for (o, s), place in zip(sure, first, strict=True) if place == n]
        if len(group) > 1:
            group = [a for a in group if sum(b[0].centroid.within(a[0]) for b in group if b is not a) < 2]
        while group:
            one, known = group.pop()
            for place, (other, more) in enumerate(group):
                if one.intersection(other).area / one.union(other).area >= 0.5:
                    group.pop(place)
                    group.append((one.union(other), known + more))
                    break
            else:
                left.append((one.area, float(np.median(known))))
    return left
