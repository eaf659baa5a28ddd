"""Answers to questions: the algebra of the fusions, derived by hand."""

import pytest
import torch

from swath.errors import ConfigError
from swath.nn.answering import AnswerNet, BilinearPooling, Glimpses


def test_bilinear_pooling_of_one_factor_is_the_product_of_the_features():
    pooling = BilinearPooling(4, 4, 4, factors=1, dropout=0.0)
    for side in (pooling.first, pooling.second):
        side.weight.data = torch.eye(4)
        side.bias.data.zero_()
    a, b = torch.tensor([[1.0, -2.0, 0.0, 4.0]]), torch.tensor([[3.0, 2.0, 5.0, -1.0]])
    rooted = torch.tensor([3**0.5, -2.0, 0.0, -2.0])  # signed roots of 3, -4, 0, -4
    torch.testing.assert_close(pooling(a, b)[0], rooted / rooted.norm(), atol=1e-5, rtol=0)


def test_factors_are_added():
    pooling = BilinearPooling(2, 2, 1, factors=2, dropout=0.0)
    pooling.first.weight.data, pooling.second.weight.data = torch.eye(2), torch.eye(2)
    pooling.first.bias.data.zero_()
    pooling.second.bias.data.zero_()
    # 1 * 3 + 2 * -4 = -5: one feature of unit length
    assert pooling(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])).item() == pytest.approx(-1.0)


def test_weights_of_attention_sum_to_one_and_leave_out_what_is_absent():
    torch.manual_seed(0)
    glimpses = Glimpses(8)
    things = torch.randn(3, 5, 8)
    absent = torch.tensor([[False, False, True, True, True]] * 3)
    weights = glimpses.weights(things, absent)
    torch.testing.assert_close(weights.sum(1), torch.ones(3, 2))
    assert (weights[:, 2:] == 0).all()


@pytest.fixture(scope="module", params=["bilinear", "stacked_attention", "product", "concatenate", "question"])
def net(request):
    torch.manual_seed(0)
    return AnswerNet("test_resnet", 3, 7, 20, request.param, width=16).eval()


@torch.no_grad()
def test_padding_changes_nothing_and_words_do(net):
    image = torch.randn(2, 3, 64, 64)
    words = torch.tensor([[3, 4, 5], [6, 7, 0]])
    answers = net(image, words)
    assert answers.shape == (2, 7)
    longer = torch.cat([words, torch.zeros(2, 4, dtype=torch.long)], 1)
    torch.testing.assert_close(net(image, longer), answers)
    assert not torch.allclose(net(image, words.flip(0)), answers)
    assert net(image, torch.zeros(2, 3, dtype=torch.long)).isfinite().all()


@torch.no_grad()
def test_only_the_blind_network_ignores_the_image(net):
    words = torch.tensor([[3, 4, 5]])
    same = torch.allclose(net(torch.randn(1, 3, 64, 64), words), net(torch.randn(1, 3, 64, 64), words))
    assert same == (net.fusion == "question")


def test_unknown_fusions_and_encoders_are_refused():
    with pytest.raises(ConfigError, match="cannot be fused so"):
        AnswerNet("test_resnet", 3, 2, 5, "sum")
    with pytest.raises(ConfigError, match="no such encoder"):
        AnswerNet("resnet7000", 3, 2, 5)
