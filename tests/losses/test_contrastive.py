"""InfoNCE: by hand, against torch, and what shared prompts do to it."""

import math

import open_clip
import pytest
import torch
from torch.nn import functional

from swath.losses.contrastive import info_nce


def test_two_pairs_by_hand():
    first = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    second = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    # cosines: [[1, r], [0, r]] with r = 1/sqrt(2)
    r, t = 1 / math.sqrt(2), 0.5
    rows = [math.log(1 + math.exp((r - 1) / t)), math.log(1 + math.exp((0 - r) / t))]
    columns = [math.log(1 + math.exp((0 - 1) / t)), math.log(1 + math.exp((r - r) / t))]
    expected = (sum(rows) / 2 + sum(columns) / 2) / 2
    assert info_nce(first, second, t).item() == pytest.approx(expected, rel=1e-6)


def test_aligned_orthogonal_pairs_have_the_closed_form():
    # one cosine of 1 and n - 1 of 0: log(1 + (n - 1) exp(-1 / t))
    vectors = torch.eye(8, dtype=torch.float64)
    assert info_nce(vectors, vectors, 0.07).item() == pytest.approx(math.log1p(7 * math.exp(-1 / 0.07)), rel=1e-4)


def test_it_is_the_loss_of_open_clip():
    torch.manual_seed(0)
    first, second = (functional.normalize(torch.randn(6, 5), dim=-1) for _ in range(2))
    oracle = open_clip.ClipLoss()(first, second, torch.tensor(1 / 0.07))
    torch.testing.assert_close(info_nce(first, second, 0.07), oracle)


@pytest.mark.parametrize("groups", [None, [0, 1, 2, 3, 4, 5]])
def test_smoothing_is_that_of_torch(groups):
    torch.manual_seed(0)
    first, second = (functional.normalize(torch.randn(6, 5), dim=-1) for _ in range(2))
    logits, numbers = first @ second.T / 0.07, torch.arange(6)
    loss = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    found = info_nce(first, second, 0.07, None if groups is None else torch.tensor(groups), 0.1)
    torch.testing.assert_close(found, (loss(logits, numbers) + loss(logits.T, numbers)) / 2)


def test_members_of_one_group_share_the_target():
    groups = torch.tensor([0, 0, 0, 1, 1, 1])
    perfect = functional.one_hot(groups).float()
    # three equal best answers: -log(1/3); nothing can be better
    assert info_nce(perfect, perfect, 0.07, groups).item() == pytest.approx(math.log(3), abs=1e-4)


def losses_and_slopes(images, texts, groups):
    found = []
    for members in (None, groups):
        sides = [side.clone().requires_grad_(True) for side in (images, texts)]
        loss = info_nce(*sides, 0.07, members, 0.1)
        loss.backward()
        found.append((loss.detach(), sides[0].grad, sides[1].grad))
    return found


def test_the_same_text_twice_does_no_harm():
    """What is sometimes held against the release is none of its faults: equal texts have equal logits."""
    torch.manual_seed(0)
    groups = torch.tensor([0, 0, 0, 1, 2, 2])
    images, distinct = torch.randn(6, 5), torch.randn(3, 5)
    alone, together = losses_and_slopes(images, distinct[groups], groups)
    torch.testing.assert_close(alone[0], together[0])
    torch.testing.assert_close(alone[1], together[1])
    for group in range(3):  # a text's own slope is the sum over its copies
        torch.testing.assert_close(alone[2][groups == group].sum(0), together[2][groups == group].sum(0))


def test_one_class_at_two_places_is_pushed_apart_without_groups():
    """The fault of the release: the prompt of the same class in another city counts as wrong."""
    # the class tells the first two numbers, the city the third; images show nothing of their city
    texts = functional.normalize(torch.tensor([[1.0, 0, 0.4], [1, 0, -0.4], [0, 1, 0.4], [0, 1, -0.4]]), dim=-1)
    images = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
    classes = torch.tensor([0, 0, 1, 1])
    alone, together = losses_and_slopes(images, texts, classes)
    # against the slope: the first image of a class is drawn to its own city and away from the other one's prompt
    assert -alone[1][0, 2] > 0.1
    assert -alone[1][1, 2] < -0.1
    torch.testing.assert_close(together[1][:, 2], torch.zeros(4), atol=1e-6, rtol=0)
