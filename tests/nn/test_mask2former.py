"""The Mask2Former head is transformers' model with its wiring, and published tensors find their places."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

from published_heads import published_head
from swath.errors import ConfigError
from swath.nn.mask2former import TINY, HeadSize, Mask2FormerHead, Queries, semantic_scores
from swath.nn.mask2former_names import from_openmmlab
from swath.tasks.weights import load_into


def test_it_answers_as_the_whole_model_of_transformers():
    torch.manual_seed(0)
    backbone = SwinConfig(
        embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4, image_size=64,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = Mask2FormerConfig(
        backbone_config=backbone, num_labels=3, feature_size=32, mask_feature_size=32, hidden_dim=32,
        num_attention_heads=4, encoder_layers=1, decoder_layers=3, num_queries=16,
        encoder_feedforward_dim=64, dim_feedforward=64, output_auxiliary_logits=True,
    )  # fmt: skip
    oracle = Mask2FormerForUniversalSegmentation(config).eval()
    head = Mask2FormerHead([8, 16, 32, 64], 3, replace(TINY, groups=32)).eval()
    ours = {"pixel_decoder": "model.pixel_level_module.decoder", "transformer": "model.transformer_module"}
    state = oracle.state_dict()
    head.load_state_dict(
        {
            name: state[".".join([ours.get(first, first), rest])]
            for name in head.state_dict()
            for first, _, rest in [name.partition(".")]
        }
    )
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected = oracle(image)
        found = head(oracle.model.pixel_level_module.encoder(image).feature_maps)
    torch.testing.assert_close(found.classes[-1], expected.class_queries_logits)
    torch.testing.assert_close(found.masks[-1], expected.masks_queries_logits)
    assert len(found.classes) == len(found.masks) == 3
    for number, early in enumerate(expected.auxiliary_logits):
        torch.testing.assert_close(found.masks[number], early["masks_queries_logits"])


def test_a_group_of_one_channel_forgets_how_bright_a_picture_is():
    dark, bright = (tones[None, :, None, None].expand(1, 8, 4, 4) for tones in torch.eye(8)[:2])
    for groups, same in ((32, True), (4, False)):
        projection = Mask2FormerHead([8] * 4, 2, replace(TINY, groups=groups)).pixel_decoder.input_projections[0]
        assert torch.allclose(projection(dark), projection(bright), atol=1e-3) == same


def test_scores_are_the_sum_over_queries_of_class_times_mask():
    torch.manual_seed(1)
    queries = Queries(torch.randn(2, 1, 4, 3), torch.randn(2, 1, 4, 5, 6))
    scores = semantic_scores(queries, (5, 6))[0].numpy()
    classes, masks = queries.classes[-1, 0].numpy(), queries.masks[-1, 0].numpy()
    expected = np.zeros((2, 5, 6))
    for logits, mask in zip(classes, masks, strict=True):
        shares = np.exp(logits) / np.exp(logits).sum()
        for k in range(2):
            expected[k] += shares[k] / (1 + np.exp(-mask))
    assert np.allclose(scores, expected, atol=1e-6)


def test_a_width_that_does_not_divide_is_refused():
    with pytest.raises(ConfigError, match="40 channels, 32 groups, 8 heads"):
        HeadSize(width=40)


def test_a_published_head_loads_whole():
    state = published_head(48, 4, TINY)
    head = Mask2FormerHead([48] * 4, 4, TINY)
    load_into(head, from_openmmlab(state))
    assert sum(map(torch.numel, head.parameters())) == sum(map(torch.numel, state.values()))
    layer = head.transformer.decoder.layers[1]
    # after the cross attention comes the first norm, after the self attention the second
    assert torch.equal(layer.cross_attn_layer_norm.weight, state["transformer_decoder.layers.1.norms.0.weight"])
    assert torch.equal(layer.self_attn_layer_norm.weight, state["transformer_decoder.layers.1.norms.1.weight"])


def test_self_attention_of_a_published_head_is_that_of_torch():
    state = published_head(48, 4, TINY)
    head = Mask2FormerHead([48] * 4, 4, TINY).eval()
    load_into(head, from_openmmlab(state))
    prefix = "transformer_decoder.layers.0.self_attn.attn."
    oracle = nn.MultiheadAttention(32, 4).eval()
    oracle.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    x, places = torch.randn(2, 16, 1, 32).unbind(0)
    with torch.no_grad():
        expected = oracle(x + places, x + places, x)[0]
        found = head.transformer.decoder.layers[0].self_attn(x, position_embeddings=places)[0]
    torch.testing.assert_close(found, expected)
