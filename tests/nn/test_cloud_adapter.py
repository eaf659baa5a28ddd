"""Cloud-Adapter's modules: published sizes, timm's blocks as oracle, attention by hand, and what stays untouched."""

import numpy as np
import pytest
import torch
from timm.models._efficientnet_blocks import DepthwiseSeparableConv
from torch import nn

from swath.nn.cloud_adapter import Adapting, CloudAdapter, CloudAdapterNet, SeparableConv, SpatialPerception
from swath.nn.dino import dino_vit, tokens
from swath.nn.mask2former import TINY, Queries


def shuffled(module: nn.Module) -> nn.Module:
    """The module with statistics of its norms that do something."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, 0, 0.1)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
    return module


@pytest.mark.parametrize(
    ("name", "blocks", "width", "count", "percent"),
    [
        ("vit_large_patch14_dinov2", 24, 1024, 1_828_425, 0.601),
        ("vit_base_patch14_dinov2", 12, 768, 919_113, 1.06),
        ("vit_small_patch14_dinov2", 12, 384, 771_657, 3.5),
    ],
)
def test_published_counts(name, blocks, width, count, percent):
    with torch.device("meta"):
        encoder, adapter = dino_vit(name, 512), CloudAdapter(width, blocks)
    assert (len(encoder.blocks), encoder.embed_dim) == (blocks, width)
    found = sum(map(torch.numel, adapter.parameters()))
    assert found == count
    assert sum(map(torch.numel, adapter.cnn.parameters())) == 206_409
    assert 100 * found / sum(map(torch.numel, encoder.parameters())) == pytest.approx(percent, abs=0.02 * percent)


@pytest.mark.parametrize(
    ("into", "out", "kernel", "stride", "group_size"), [(3, 8, 1, 1, 1), (8, 8, 3, 1, 8), (8, 8, 3, 2, 8)]
)
def test_a_separable_convolution_is_timm_s(into, out, kernel, stride, group_size):
    torch.manual_seed(0)
    oracle = shuffled(DepthwiseSeparableConv(into, out, kernel, stride, group_size=group_size)).eval()
    ours = SeparableConv(into, out, kernel, stride, groups=into // group_size).eval()
    ours.load_state_dict(oracle.state_dict())
    x = torch.randn(2, into, 13, 16)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), oracle(x))


def test_the_context_is_the_sum_of_all_maps():
    perception = shuffled(SpatialPerception(8)).eval()
    image = torch.randn(1, 3, 64, 96)
    maps = []
    for stage in perception.spp_dw:
        stage.register_forward_hook(lambda _, __, out: maps.append(out))
    with torch.no_grad():
        found = perception(image)
    assert [tuple(m.shape[-2:]) for m in maps] == [(64, 96), (32, 48), (16, 24), (8, 12), (4, 6)]
    expected = sum(m.reshape(8, 4, m.shape[-2] // 4, 6, m.shape[-1] // 6).mean((2, 4)) for m in maps)
    torch.testing.assert_close(found[0], expected)


def test_attention_by_hand():
    torch.manual_seed(0)
    module = Adapting(12, 5, 3)
    x, context = torch.randn(1, 4, 12), torch.randn(1, 5, 2, 2)

    def low_rank(part, values):
        first, second = (layer.weight.detach().numpy() for layer in part.loramlp)
        return values @ first.T @ second.T

    around = context[0].flatten(1).T.numpy()
    query = low_rank(module.attn.to_q, x[0].numpy())
    key, value = low_rank(module.attn.to_k, around), low_rank(module.attn.to_v, around)
    found = np.zeros((4, 512))
    for head in range(8):
        own = slice(64 * head, 64 * head + 64)
        for token in range(4):
            likeness = np.array([query[token, own] @ key[place, own] / 8 for place in range(4)])
            weights = np.exp(likeness) / np.exp(likeness).sum()
            found[token, own] = weights @ value[:, own]
    expected = x[0].numpy() + low_rank(module.attn.to_out, found)
    assert np.allclose(module(x, context)[0].detach().numpy(), expected, atol=1e-5)


def test_a_context_of_another_shape_is_resized_to_a_square():
    """12 x 4 patches attend to 6 x 6 places, as in the release."""
    module = Adapting(12, 5, 3)
    x, context = torch.randn(1, 48, 12), torch.randn(1, 5, 12, 4)
    seen = []
    module.attn.to_k.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    module(x, context)
    assert seen[0].shape == (1, 36, 5)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return CloudAdapterNet(dino_vit("vit_tiny", 64), 4, TINY)


def test_with_a_zero_last_map_it_is_the_frozen_transformer(net):
    for adapting in net.adapter.net:
        nn.init.zeros_(adapting.attn.to_out.loramlp[1].weight)
    image = torch.randn(2, 3, 64, 64)
    net.eval()
    with torch.no_grad():
        found = net.features(image)
        plain = net.encoder.get_intermediate_layers(image, 4, reshape=True, norm=False)
    assert torch.equal(found[2], plain[2])
    for values, expected, factor in zip(found, plain, (4, 2, 1, 0.5), strict=True):
        grown = nn.functional.interpolate(expected, scale_factor=factor, mode="bilinear", align_corners=False)
        torch.testing.assert_close(values, grown if factor != 1 else expected, atol=0, rtol=0)


def test_at_first_it_is_not_the_identity(net):
    image = torch.randn(1, 3, 64, 64)
    net.eval()
    with torch.no_grad():
        plain = net.encoder.get_intermediate_layers(image, 4, reshape=True, norm=False)[2]
        assert not torch.allclose(net.features(image)[2], plain, atol=1e-4)


def test_cls_is_led_by_nothing(net):
    """What goes into a block is, for cls, what came out of the one before; for others it is not."""
    came, went = [], []
    net.encoder.blocks[0].register_forward_hook(lambda _, __, out: came.append(out))
    net.encoder.blocks[1].register_forward_pre_hook(lambda _, inputs: went.append(inputs[0]))
    net.eval().features(torch.randn(1, 3, 64, 64))
    assert torch.equal(came[0][:, :1], went[0][:, :1])
    assert not torch.equal(came[0][:, 1:], went[0][:, 1:])


def test_features_come_from_the_published_blocks():
    with torch.device("meta"):
        large = CloudAdapterNet(dino_vit("vit_large_patch14_dinov2", 512), 4)
        small = CloudAdapterNet(dino_vit("vit_small_patch14_dinov2", 512), 4)
    assert list(large.taps) == [7, 11, 15, 23]
    assert list(small.taps) == [2, 5, 8, 11]


def test_it_answers_by_queries_or_by_scores(net):
    image = torch.randn(2, 3, 64, 96)
    queries = net.train()(image)
    assert isinstance(queries, Queries)
    assert queries.masks.shape == (3, 2, 16, 16, 24)
    with torch.no_grad():
        scores = net.eval()(image)
    assert scores.shape == (2, 4, 64, 96)
    assert (scores >= 0).all()


def test_tokens_are_on_their_places(net):
    """A mark in one patch changes the token of its row and column alone, before the first block."""
    image = torch.zeros(1, 3, 64, 96)
    marked = image.clone()
    marked[:, :, 32:48, 16:32] = 1
    with torch.no_grad():
        moved = (tokens(net.encoder, marked) - tokens(net.encoder, image)).abs().sum(-1)[0, 1:].reshape(4, 6)
    assert moved.nonzero().tolist() == [[2, 1]]
