"""Deep supervision and the loss of U-Net++, by hand."""

import math

import pytest
import torch

from swath.losses import Loss
from swath.losses.deep_supervision import DeepSupervision


def _two_by_two(p):
    """Logits `[1, 2, 2, 2]` of a first class of probability `p` everywhere."""
    return torch.tensor([1 - p, p], dtype=torch.float64).log()[None, :, None, None].expand(1, 2, 2, 2)


@pytest.mark.parametrize("name", ["ce", "unetpp"])
def test_it_is_the_mean_of_the_heads(name):
    target = torch.tensor([[[1, 1], [1, 0]]])
    # cross entropies of three pixels of class 1 and one of class 0
    entropies = [(-3 * math.log(p) - math.log(1 - p)) / 4 for p in (0.5, 0.9)]
    found = DeepSupervision(Loss(name))(torch.stack([_two_by_two(0.5), _two_by_two(0.9)]), target)
    if name == "ce":
        assert float(found) == pytest.approx(sum(entropies) / 2)
        return
    # Dice of class 1: 2 * 3p / (3 + 4p); of class 0: 2 (1 - p) / (1 + 4 (1 - p))
    dices = [(6 * p / (3 + 4 * p) + 2 * (1 - p) / (1 + 4 * (1 - p))) / 2 for p in (0.5, 0.9)]
    expected = [0.5 * e + 1 - d for e, d in zip(entropies, dices, strict=True)]
    assert float(found) == pytest.approx(sum(expected) / 2)


def test_dice_of_the_published_loss_is_of_each_image():
    """One image all of class 1 and sure of it, one all of class 0 and sure of the opposite: losses 0 and 1 in Dice."""
    logits = torch.zeros(2, 2, 2, 2)
    logits[:, 1] = 40.0
    target = torch.tensor([1, 0])[:, None, None].expand(2, 2, 2)
    found = Loss("unetpp")(logits, target)
    assert float(found) == pytest.approx(0.5 * 40 / 2 + 0.5, rel=1e-5)


def test_pixels_without_label_do_not_count():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 2, 4, 4), torch.randint(0, 2, (2, 4, 4))
    target[:, 2:] = -1
    torch.testing.assert_close(Loss("unetpp")(logits, target), Loss("unetpp")(logits[:, :, :2], target[:, :2]))
