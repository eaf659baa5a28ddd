"""The joint loss by hand, and what cutting logits does to it."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy, cross_entropy

from swath.losses.bitemporal import bitemporal_loss


def case(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = [torch.randn(2, 4, 5, 6, generator=generator) for _ in range(3)]
    change = torch.randn(2, 5, 6, generator=generator)
    truth = [torch.randint(0, 4, (2, 5, 6), generator=generator) for _ in range(2)]
    return logits, change, truth


def test_its_parts_are_those_of_torch():
    (before, after, series), change, (first, second) = case()
    changed = (first != second).float()
    each = binary_cross_entropy(change.sigmoid(), changed, reduction="none")
    expected = (each * (1 + changed)).mean() + 0.5 * (cross_entropy(before, first) + cross_entropy(after, second))
    torch.testing.assert_close(bitemporal_loss(before, after, change, None, first, second), expected)
    torch.testing.assert_close(
        bitemporal_loss(before, after, change, series, first, second), expected + cross_entropy(series, first)
    )


def test_pixels_without_label_do_not_count():
    (before, after, series), change, (first, second) = case()
    first[:, :2], second[:, :2] = -1, -1
    whole = bitemporal_loss(before, after, change, series, first, second)
    parts = [v[..., 2:, :] for v in (before, after, change, series, first, second)]
    torch.testing.assert_close(whole, bitemporal_loss(*parts))
    nothing = bitemporal_loss(before, after, change, series, 0 * first - 1, 0 * second - 1)
    assert nothing == 0


def test_cut_logits_never_get_right_and_stop_learning():
    """The authors' code: 17 perfect logits still cost log(1 + 16 / e), and logits beyond 0..1 have no gradient."""
    truth = torch.zeros(1, 2, 2, dtype=torch.long)
    perfect = torch.full((1, 17, 2, 2), -50.0)
    perfect[:, 0] = 50
    perfect.requires_grad_()
    calm = torch.full((1, 2, 2), -50.0)
    published = bitemporal_loss(perfect, perfect, calm, None, truth, truth, published=True)
    assert float(published.detach()) == pytest.approx(math.log(1 + 16 / math.e), rel=1e-5)
    published.backward()
    assert not perfect.grad.any()
    assert float(bitemporal_loss(perfect, perfect, calm, None, truth, truth).detach()) == pytest.approx(0, abs=1e-6)
