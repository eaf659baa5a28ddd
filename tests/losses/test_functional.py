import math

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor

from swath.errors import UnknownNameError
from swath.losses import Loss
from swath.losses.functional import cross_entropy, focal, lovasz, parcel_cross_entropy, tversky

NAMES = ("ce", "smooth_ce", "parcel", "focal", "dice", "jaccard", "tversky", "focal_tversky", "lovasz")


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 6, 5, generator=generator, dtype=torch.float64)
    target = torch.randint(-1, 4, (2, 6, 5), generator=generator)
    return logits, target


def test_focal_is_smp_on_the_pixels_that_count(batch: tuple[Tensor, Tensor]) -> None:
    """smp takes one class against the rest; with two classes that act as one sigmoid both agree."""
    logits, target = batch
    one = logits[:, :1]
    binary = torch.cat([torch.zeros_like(one), one], 1)
    truth = (target > 0).long()
    expected = smp.losses.FocalLoss("binary", gamma=2.0)(one, truth[:, None])
    torch.testing.assert_close(focal(binary, truth), expected)


def test_tversky_is_smp(batch: tuple[Tensor, Tensor]) -> None:
    logits, target = batch
    oracle = smp.losses.TverskyLoss("multiclass", ignore_index=-1, alpha=0.3, beta=0.7)
    torch.testing.assert_close(tversky(logits, target, 0.3, 0.7), oracle(logits, target))


def test_dice_is_smp(batch: tuple[Tensor, Tensor]) -> None:
    logits, target = batch
    expected = smp.losses.DiceLoss("multiclass", ignore_index=-1)(logits, target)
    torch.testing.assert_close(tversky(logits, target, 0.5, 0.5), expected)


def test_jaccard_is_smp(batch: tuple[Tensor, Tensor]) -> None:
    logits, target = batch
    target = target.clamp(min=0)
    expected = smp.losses.JaccardLoss("multiclass")(logits, target)
    torch.testing.assert_close(tversky(logits, target, 1.0, 1.0), expected)


def test_lovasz_is_smp(batch: tuple[Tensor, Tensor]) -> None:
    logits, target = batch
    logits = logits.float()  # smp's is of single precision only
    expected = smp.losses.LovaszLoss("multiclass", ignore_index=-1)(logits, target)
    torch.testing.assert_close(lovasz(logits, target), expected)


def test_focal_tversky_by_hand() -> None:
    """Two pixels of classes 0 and 1 with p = 0.8 each: TP .8, FP .2, FN .2 for both, so the index is .8."""
    logits = torch.tensor([[0.8, 0.2], [0.2, 0.8]], dtype=torch.float64).log().T.reshape(1, 2, 1, 2)
    target = torch.tensor([[[0, 1]]])
    expected = torch.tensor(0.2**0.75, dtype=torch.float64)
    torch.testing.assert_close(tversky(logits, target, 0.3, 0.7, 0.75), expected)


def test_cross_entropy_by_hand() -> None:
    """Uniform logits of four classes cost log 4 wherever a label counts, whatever the weights."""
    target = torch.tensor([[[0, -1, 3]]])
    loss = cross_entropy(torch.zeros(1, 4, 1, 3), target, weights=torch.tensor([1.0, 2.0, 3.0, 4.0]))
    torch.testing.assert_close(loss, torch.tensor(4.0).log())


@pytest.mark.parametrize("name", NAMES)
class TestEachLoss:
    """What holds for every loss, by being named."""

    def test_nothing_counts(self, name: str) -> None:
        logits = torch.randn(1, 3, 2, 2, requires_grad=True)
        loss = Loss(name)(logits, torch.full((1, 2, 2), -1))
        loss.backward()
        assert loss.item() == 0
        assert not logits.grad.any()

    def test_right_is_cheaper_than_wrong(self, name: str) -> None:
        target = torch.tensor([[[0, 1], [2, -1]]])
        right = 8 * torch.nn.functional.one_hot(target.clamp(min=0), 3).permute(0, 3, 1, 2).float()
        assert Loss(name)(right, target) < Loss(name)(-right, target)

    def test_pixels_that_do_not_count_have_no_gradient(self, name: str, batch: tuple[Tensor, Tensor]) -> None:
        logits, target = batch
        logits.requires_grad_()
        Loss(name)(logits, target).backward()
        ignored = (target == -1)[:, None].expand_as(logits)
        assert not logits.grad[ignored].any()
        assert logits.grad[~ignored].any()

    def test_gradient_is_that_of_finite_differences(self, name: str, batch: tuple[Tensor, Tensor]) -> None:
        logits, target = batch
        torch.autograd.gradcheck(lambda x: Loss(name)(x, target), logits.requires_grad_())


def test_a_sum_is_a_sum(batch: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(Loss("ce + dice")(*batch), Loss("ce")(*batch) + Loss("dice")(*batch))


def test_unknown_loss_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"no loss 'mse'.*ce, "):
        Loss("ce+mse")


def test_the_parcel_loss_by_hand() -> None:
    """Two pixels learn with weights 2 and 3; one is of a crop that is not learned, one lies outside of parcels."""
    p = torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.3, 0.6], [0.7, 0.2, 0.1], [0.4, 0.3, 0.3]], dtype=torch.float64)
    logits = p.log().T.reshape(1, 3, 2, 2)
    target = torch.tensor([[[1, 2], [0, -1]]])
    weights = torch.tensor([0.0, 2.0, 3.0], dtype=torch.float64)
    expected = (2 * -math.log(0.5) + 3 * -math.log(0.6)) / 3
    assert parcel_cross_entropy(logits, target, weights).item() == pytest.approx(expected, rel=1e-12)
    assert parcel_cross_entropy(logits, torch.full_like(target, -1), weights).item() == 0
