"""Scores of single things against pycocotools, torchvision and numbers by hand."""

import contextlib
import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy import sparse
from torchvision.ops import nms

from swath.metrics.instances import (
    THRESHOLDS,
    average_precisions,
    mask_iou,
    mask_nms,
    match,
    matrix_nms,
)

# pycocotools 2.0.11 is warned of numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def blobs(generator, count, size=40):
    """Rectangles as masks `[count, size, size]`."""
    masks = np.zeros((count, size, size), bool)
    for mask in masks:
        row, col = generator.integers(0, size - 12, 2)
        high, wide = generator.integers(4, 12, 2)
        mask[row : row + high, col : col + wide] = True
    return masks


def encoded(masks):
    return [coco_mask.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]


@given(seed=st.integers(0, 500), one=st.integers(0, 6), two=st.integers(0, 6))
@settings(deadline=None, max_examples=40)
def test_overlap_is_that_of_pycocotools_with_crowds(seed, one, two):
    generator = np.random.default_rng(seed)
    first, second = blobs(generator, one), blobs(generator, two)
    crowd = generator.integers(0, 2, two).astype(bool)
    found = mask_iou(first, second, crowd)
    assert found.shape == (one, two)
    if one and two:
        assert np.allclose(found, coco_mask.iou(encoded(first), encoded(second), crowd.astype(np.uint8).tolist()))
    flat = [sparse.csr_array(m.reshape(len(m), 1600).astype(np.int32)) for m in (first, second)]
    assert np.array_equal(mask_iou(*flat, crowd), found)


def coco_precision(pictures, most):
    """AP at each threshold by pycocotools, of one class."""
    images = [{"id": i + 1, "height": 40, "width": 40} for i in range(len(pictures))]
    truths, told = [], []
    for i, (masks, scores, wanted, crowd) in enumerate(pictures, 1):
        for mask, flag in zip(wanted, crowd, strict=True):
            truths.append(
                {"id": len(truths) + 1, "image_id": i, "category_id": 1, "iscrowd": int(flag), "area": int(mask.sum()),
                 "segmentation": encoded([mask])[0], "bbox": [0, 0, 1, 1]}
            )  # fmt: skip
        for mask, score in zip(masks, scores, strict=True):
            told.append({"image_id": i, "category_id": 1, "score": float(score), "segmentation": encoded([mask])[0]})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"info": {}, "images": images, "annotations": truths, "categories": [{"id": 1, "name": "a"}]}
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(told), "segm")
        judge.params.maxDets = [1, 2, most]
        judge.evaluate()
        judge.accumulate()
    return judge.eval["precision"][:, :, 0, 0, 2].mean(1)


@pytest.mark.parametrize("most", [100, 5])
@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_that_of_pycocotools(seed, most):
    generator = np.random.default_rng(seed)
    pictures = []
    for _ in range(4):
        wanted = blobs(generator, generator.integers(2, 9))
        near = np.stack([np.roll(w, tuple(generator.integers(-2, 3, 2)), (0, 1)) for w in wanted])
        masks = np.concatenate([near, blobs(generator, 4)])
        pictures.append((masks, generator.random(len(masks)), wanted, generator.random(len(wanted)) < 0.25))
    matches = [match(mask_iou(m, w, c), s, c, most=most) for m, s, w, c in pictures]
    found = average_precisions(matches)
    assert np.allclose(found, coco_precision(pictures, most), atol=1e-9)
    assert 0 < found[0] <= 1
    # weights draw pictures again
    assert np.allclose(
        average_precisions(matches, np.array([2, 0, 1, 0])), average_precisions([matches[0], *matches[::2]])
    )


def test_a_hundred_predictions_cut_a_picture_of_many_things():
    things = 150
    matches = [
        match(np.eye(things), np.linspace(1, 0.1, things), np.zeros(things, bool), most=most) for most in (100, None)
    ]
    cut, whole = (average_precisions([one])[0] for one in matches)
    assert whole == 1
    assert cut == pytest.approx(67 / 101)  # recalls 0, 0.01, ..., 0.66 of 101 are reached by 100 of 150


def test_no_thing_has_no_precision_and_a_miss_none():
    nothing = match(np.zeros((3, 0)), np.ones(3), np.zeros(0, bool))
    assert np.isnan(average_precisions([nothing])).all()
    missed = match(np.zeros((0, 2)), np.zeros(0), np.zeros(2, bool))
    assert (average_precisions([missed]) == 0).all()
    assert len(THRESHOLDS) == 10


@given(seed=st.integers(0, 300), count=st.integers(1, 12))
@settings(deadline=None, max_examples=40)
def test_suppression_of_rectangles_is_torchvisions(seed, count):
    generator = np.random.default_rng(seed)
    masks, scores = blobs(generator, count), generator.permutation(count) / count
    boxes = [
        (m.any(0).argmax(), m.any(1).argmax(), 40 - m.any(0)[::-1].argmax(), 40 - m.any(1)[::-1].argmax())
        for m in masks
    ]
    wanted = nms(torch.tensor(boxes, dtype=torch.float64), torch.from_numpy(scores), 0.3)
    assert mask_nms(mask_iou(masks, masks), scores, 0.3).tolist() == wanted.tolist()


@pytest.mark.parametrize("sigma", [2.0, 0.5, None])
def test_matrix_suppression_is_its_formula_one_by_one(sigma):
    generator = np.random.default_rng(3)
    masks, scores = blobs(generator, 9, 30), generator.random(9)
    iou = mask_iou(masks, masks)

    def decay(overlap):
        return 1 - overlap if sigma is None else np.exp(-sigma * overlap**2)

    for place, found in enumerate(matrix_nms(iou, scores, sigma=sigma)):
        surer = [i for i in range(9) if scores[i] > scores[place]]
        factors = []
        for i in surer:
            above = [iou[k, i] for k in range(9) if scores[k] > scores[i]]
            factors.append(decay(iou[i, place]) / decay(max(above, default=0.0)))
        assert found == pytest.approx(scores[place] * min([1.0, *factors]))
