"""The loss of queries: transformers' where every pixel counts, and silence where none does."""

import pytest
import torch
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import Mask2FormerLoss

from swath.losses.set_prediction import SetLoss, Target, semantic_targets
from swath.nn.mask2former import Queries


def answers(layers=3, images=2, queries=6, classes=3, edge=8):
    generator = torch.Generator().manual_seed(3)
    return Queries(
        torch.randn(layers, images, queries, classes + 1, generator=generator, requires_grad=True),
        torch.randn(layers, images, queries, edge, edge, generator=generator, requires_grad=True),
    )


def masks(images=2, edge=32):
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 3, (images, 4, 4), generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2)


def test_where_all_counts_it_is_that_of_transformers():
    queries, targets = answers(), semantic_targets(masks())
    names = {"loss_cross_entropy": 2.0, "loss_mask": 5.0, "loss_dice": 5.0}
    oracle = Mask2FormerLoss(Mask2FormerConfig(num_labels=3, train_num_points=300), names)
    expected = 0
    torch.manual_seed(0)
    for classes, shapes in zip(*queries, strict=True):
        parts = oracle(shapes, classes, [t.masks for t in targets], [t.classes for t in targets])
        expected += sum(names[name] * value for name, value in parts.items())
    torch.manual_seed(0)
    torch.testing.assert_close(SetLoss(3, points=300)(queries, targets), expected)


def test_a_right_answer_costs_almost_nothing_and_a_wrong_class_does():
    mask = torch.full((1, 32, 32), 1)
    classes = torch.full((1, 1, 6, 4), -20.0)
    classes[..., 3] = 20
    classes[0, 0, 4] = torch.tensor([-20.0, 20, -20, -20])
    shapes = torch.full((1, 1, 6, 32, 32), -8.0)
    shapes[0, 0, 4] = 8
    torch.manual_seed(0)
    loss = SetLoss(3, points=2000, uncertain=0.0)
    assert loss(Queries(classes, shapes), semantic_targets(mask)) < 1  # at the border of the image masks fade
    assert loss(Queries(classes, shapes), semantic_targets(mask + 1)) > 20


def test_what_is_answered_where_nothing_counts_does_not_matter():
    queries, mask = answers(), masks()
    mask[:, :, :16] = -1
    counted, loss = mask != -1, SetLoss(3, points=300)
    torch.manual_seed(0)
    first = loss(queries, semantic_targets(mask), counted)
    first.backward()
    # half of a coarse pixel reaches over the border
    assert not queries.masks.grad[..., :3].any()
    assert queries.masks.grad[..., 4:].any()
    changed = queries.masks.detach().clone()
    changed[..., :3] = 9
    torch.manual_seed(0)
    assert torch.equal(loss(Queries(queries.classes, changed), semantic_targets(mask), counted), first)


def test_in_the_release_ground_without_label_teaches_that_nothing_is_there():
    """What mmsegmentation does: no mask holds such pixels, and the loss counts them."""
    queries, mask = answers(), masks()
    mask[:, :, :16] = -1
    SetLoss(3, points=300)(queries, semantic_targets(mask)).backward()
    assert queries.masks.grad[..., :3].sum() > 0


def test_an_image_without_labels_is_left_out():
    queries, mask = answers(), masks()
    mask[1] = -1
    torch.manual_seed(0)
    both = SetLoss(3, points=300)(queries, semantic_targets(mask), mask != -1)
    alone = Queries(queries.classes[:, :1], queries.masks[:, :1])
    torch.manual_seed(0)
    assert torch.equal(SetLoss(3, points=300)(alone, semantic_targets(mask[:1]), mask[:1] != -1), both)
    nothing = SetLoss(3)(queries, semantic_targets(torch.full_like(mask, -1)), torch.zeros_like(mask, dtype=torch.bool))
    assert nothing == 0
    nothing.backward()


def test_more_targets_than_queries():
    target = Target(torch.arange(3), torch.eye(3).repeat_interleave(4, 1)[:, :, None].expand(-1, -1, 12))
    queries = answers(images=1, queries=2)
    assert torch.isfinite(SetLoss(3, points=64)(queries, [target]))


def test_semantic_targets():
    mask = torch.tensor([[[2, 2], [-1, 0]]])
    (target,) = semantic_targets(mask)
    assert target.classes.tolist() == [0, 2]
    assert target.masks.tolist() == [[[0, 0], [0, 1]], [[1, 1], [0, 0]]]
    assert semantic_targets(torch.full((1, 2, 2), -1))[0].masks.shape == (0, 2, 2)
    assert pytest.approx(1.0) == semantic_targets(torch.zeros(1, 2, 2, dtype=torch.int64))[0].masks.mean()
