"""The normalised focal loss by hand and against segmentation_models_pytorch."""

import pytest
import torch
from segmentation_models_pytorch.losses import FocalLoss

from swath.losses import Loss


def test_it_is_the_mean_weighted_by_the_factor_of_unsure_pixels():
    p = torch.tensor([[[0.9, 0.6], [0.3, 0.5]]], dtype=torch.float64)
    logits = torch.stack([1 - p, p], 1).log()
    target = torch.tensor([[[1, 1], [1, -1]]])
    factors = [(1 - v) ** 2 for v in (0.9, 0.6, 0.3)]
    entropies = [-torch.log(torch.tensor(v)).item() for v in (0.9, 0.6, 0.3)]
    wanted = sum(f * e for f, e in zip(factors, entropies, strict=True)) / sum(factors)
    assert float(Loss("normalised_focal")(logits, target)) == pytest.approx(wanted)


def test_of_two_classes_it_is_the_binary_one_of_segmentation_models_pytorch():
    torch.manual_seed(0)
    odds, target = torch.randn(2, 8, 8, dtype=torch.float64), torch.randint(0, 2, (2, 8, 8))
    found = Loss("normalised_focal")(torch.stack([torch.zeros_like(odds), odds], 1), target)
    oracle = FocalLoss("binary", normalized=True, reduction="sum")(odds, target.double())
    assert float(found) == pytest.approx(float(oracle), rel=1e-6)
