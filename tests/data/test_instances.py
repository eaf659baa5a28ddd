"""Things of scenes, on any grid, in batches, moved with the image."""

import numpy as np
import pytest
import shapely
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from swath.data.augment import Augment
from swath.data.classes import Classes
from swath.data.instances import InstanceLabels, no_instances, read_instances
from swath.data.loader import Batches
from swath.data.samplers import Places
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource
from swath.data.vectorlabels import VectorLabels
from swath.data.whole_images import ImageLabel
from swath.errors import DataError
from swath.geo.grids import window_grid
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands

CLASSES = Classes.of(["tree", "canopy"])
CELLS = [(2, 3, 6, 5), (10, 12, 8, 9), (4, 20, 7, 7), (14, 16, 9, 10)]
BANDS = Bands("custom", (Band("row", "1"), Band("col", "1")))


def labels(grid):
    frame = tiny.boxes(CELLS, grid, kind=[0, 1, 0, 1], group=[0, 1, 0, 0])
    return VectorLabels(frame.to_crs("EPSG:3035"), "kind", CLASSES, crowd="group")


@pytest.fixture
def scene():
    grid = tiny.grid(32, 32)
    values = np.stack(np.mgrid[0:32, 0:32]).astype(np.float32)
    return Scene("s", {"image": ArraySource(values, BANDS, grid)}, labels(grid), part="train")


def test_polygons_of_another_crs_are_things_with_class_box_mask_and_flag(scene):
    assert isinstance(scene.labels, InstanceLabels)
    found = read_instances(scene.labels, scene.grid)
    assert found.classes.tolist() == [0, 1, 0, 1]
    assert found.crowd.tolist() == [False, True, False, False]
    assert found.boxes.tolist() == [[c, r, c + w, r + h] for r, c, h, w in CELLS]
    masks = found.masks()
    assert masks.sum((1, 2)).tolist() == found.areas.tolist() == [h * w for _, _, h, w in CELLS]
    # things that overlap keep all their pixels, unlike classes of pixels
    assert (masks[1] & masks[3]).any()
    assert np.array_equal(found.pixels().toarray().reshape(masks.shape).astype(bool), masks)
    window = Window(12, 14, 8, 8)
    part = read_instances(scene.labels, window_grid(scene.grid, window))
    assert part.numbers.tolist() == [1, 3]
    assert np.array_equal(part.masks(), masks[[1, 3], 12:20, 14:22])
    finer = scene.grid.zoom_to((64, 64))
    assert read_instances(scene.labels, finer).boxes.tolist() == (2 * found.boxes).tolist()


def test_cutting_drops_what_has_no_pixel_left(scene):
    found = read_instances(scene.labels, scene.grid)
    kept = np.zeros((32, 32), bool)
    kept[:6] = True
    cut = found.cut(kept)
    assert cut.numbers.tolist() == [0, 2]
    assert cut.boxes.tolist() == [[3, 2, 8, 6], [20, 4, 27, 6]]
    assert np.array_equal(cut.masks(), found.masks()[[0, 2]] & kept)
    assert no_instances((4, 5)).masks().shape == (0, 4, 5)


def test_labels_without_things_are_refused(scene):
    with pytest.raises(DataError, match="does not tell things apart"):
        read_instances(ImageLabel(0), scene.grid)
    assert len(read_instances(None, scene.grid)) == 0


def batches(scene, part="train", **options):
    places = Places(np.zeros(3, np.int64), np.array([0, 9, -4]), np.array([0, 12, 20]), 16)
    return Batches(Collection((scene,), CLASSES), places, part=part, patch=16, batch=3, instances=True, **options)


def test_batches_hold_the_things_of_each_patch(scene):
    (batch,) = batches(scene)
    assert "mask" not in batch
    for i, (row, col) in enumerate([(0, 0), (9, 12), (-4, 20)]):
        wanted = read_instances(scene.labels, window_grid(scene.grid, Window(row, col, 16, 16)))
        assert np.array_equal(batch["instance_masks"][i].numpy(), wanted.masks())
        assert batch["bbox_xyxy"][i].tolist() == wanted.boxes.tolist()
        assert batch["label"][i].tolist() == wanted.classes.tolist()
        assert batch["crowd"][i].tolist() == wanted.crowd.tolist()


class _Left:
    """A partition whose left half trains."""

    def mask(self, window, part):
        left = np.broadcast_to(window.col + np.arange(window.width) < 16, window.shape)
        return left if part == "train" else ~left


def test_what_is_outside_of_the_part_is_invalid_and_its_things_are_cut(scene):
    from dataclasses import replace

    (batch,) = batches(replace(scene, part=_Left()))
    assert not batch["valid"][1][:, 4:].any()
    assert bool((batch["image"][1][:, :, 4:] == 0).all())
    assert batch["bbox_xyxy"][1].tolist() == [[0.0, 1.0, 4.0, 9.0]]
    assert len(batch["label"][2]) == 0


@given(seed=st.integers(0, 300), name=st.sampled_from(["d4", "flip"]))
@settings(deadline=None, max_examples=40)
def test_exact_operations_move_boxes_and_masks_with_the_image(seed, name):
    grid = tiny.grid(32, 32)
    values = np.stack(np.mgrid[0:32, 0:32]).astype(np.float32)
    whole = Scene("s", {"image": ArraySource(values, BANDS, grid)}, labels(grid), part="train")
    (plain,) = batches(whole)
    moved = Augment((name,), seed)(plain)
    for i, masks in enumerate(moved["instance_masks"]):
        for before, after, box in zip(
            plain["instance_masks"][i], masks, moved["bbox_xyxy"][i].int().tolist(), strict=True
        ):
            # the image holds its own coordinates, so the mask must lie over the same ones
            was = {tuple(v) for v in plain["image"][i][:, before].T.tolist()}
            assert {tuple(v) for v in moved["image"][i][:, after].T.tolist()} == was
            rows, cols = torch.nonzero(after, as_tuple=True)
            assert box == [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
        assert moved["label"][i].tolist() == plain["label"][i].tolist()


def test_turning_keeps_masks_on_their_ground_and_drops_what_leaves(scene):
    (plain,) = batches(scene)
    gone = 0
    for seed in range(12):
        moved = Augment(("affine",), seed)(plain)
        for i, masks in enumerate(moved["instance_masks"]):
            gone += len(plain["label"][i]) - len(masks)
            assert len(masks) == len(moved["label"][i]) == len(moved["bbox_xyxy"][i]) == len(moved["crowd"][i])
            assert bool(masks.flatten(1).any(1).all())
            assert not (masks & ~moved["valid"][i]).any()
        middle = moved["image"][0][:, moved["instance_masks"][0][0]].mean(1)
        was = plain["image"][0][:, plain["instance_masks"][0][0]].mean(1)
        assert float((middle - was).abs().max()) < 1.0
    assert gone > 0


def test_a_place_that_counts_for_no_rank_has_no_things(scene):
    places = Places(np.zeros(1, np.int64), np.array([0]), np.array([0]), 16)
    (batch,) = Batches(
        Collection((scene,), CLASSES), places, part="train", patch=16, batch=1, rank=1, world=2, instances=True
    )
    assert batch["bbox_xyxy"][0].shape == (0, 4)
    assert batch["instance_masks"][0].shape == (0, 16, 16)


def test_lines_and_points_are_things_too():
    grid = tiny.grid(20, 20)
    line = shapely.LineString([grid.affine @ (2.5, 2.5), grid.affine @ (2.5, 12.5)])
    frame = tiny.centres([(5, 9)], grid, kind=[0])
    frame.loc[1] = {"kind": 1, "geometry": line}
    found = VectorLabels(frame, "kind", CLASSES).instances(grid)
    assert found.areas.tolist() == [1, 11]
