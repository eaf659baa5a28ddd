"""Deep-supervised U-Net++ against segmentation_models_pytorch, and pruned against whole."""

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from swath.errors import ConfigError
from swath.nn.nested_unet import HEADS, NestedUNet


def _net(head=None, encoder="efficientnet_b0", classes=2):
    torch.manual_seed(0)
    net = NestedUNet(encoder, 3, classes, head)
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.1 * torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
    return net.eval()


@pytest.fixture(scope="module")
def image():
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(2))


def test_the_last_head_gives_the_logits_of_segmentation_models_pytorch(image):
    net = _net(head=HEADS)
    oracle = smp.UnetPlusPlus("tu-efficientnet_b0", encoder_weights=None, classes=2).eval()
    own = {k: v for k, v in net.state_dict().items() if not k.startswith("heads.")}
    oracle.load_state_dict(own)  # the same names
    with torch.no_grad():
        torch.testing.assert_close(net(image), oracle(image), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("head", range(1, HEADS + 1))
def test_a_pruned_head_answers_the_same_and_computes_only_what_it_needs(image, head):
    net = _net()
    ran = []
    for name, block in net.decoder.blocks.items():
        block.register_forward_hook(lambda *_, name=name: ran.append(name))
    stages = []
    for number, block in enumerate(net.encoder.model.blocks):
        block.register_forward_hook(lambda *_, number=number: stages.append(number))
    with torch.no_grad():
        whole = net.logits(image, range(1, HEADS + 1))[head - 1]
        ran.clear(), stages.clear()
        net.head = head
        assert torch.equal(net(image), whole)
    assert len(ran) == head * (head + 1) // 2 + (head == HEADS)  # smp's last node has no place in the triangle
    assert len(stages) == {1: 2, 2: 3, 3: 5, 4: 7}[head]  # stages of EfficientNet to strides 4, 8, 16, 32


def test_averaging_is_of_probabilities(image):
    net = _net()
    with torch.no_grad():
        heads = [logits.softmax(1).double().numpy() for logits in net.logits(image, range(1, HEADS + 1))]
        found = net(image).softmax(1).numpy()
    np.testing.assert_allclose(found, np.mean(heads, 0), atol=1e-6)


def test_while_it_trains_every_head_answers_and_learns(image):
    net = _net().train()
    logits = net(image)
    assert logits.shape == (HEADS, 2, 2, 64, 96)
    logits[:, 0, 0].pow(2).mean((1, 2)).sum().backward()
    for head in [*net.heads, net.segmentation_head[0]]:
        assert head.weight.grad.abs().sum() > 0


def test_larger_encoders_have_more_parameters():
    nets = [NestedUNet(f"efficientnet_b{number}", 3, 2) for number in range(5)]
    sizes = [sum(p.numel() for p in net.parameters()) for net in nets]
    assert sizes == sorted(set(sizes))
    assert [net.encoder.feature_info.channels()[1:] for net in nets] == [
        [24, 40, 112, 320],
        [24, 40, 112, 320],
        [24, 48, 120, 352],
        [32, 48, 136, 384],
        [32, 56, 160, 448],
    ]  # Tan and Le 2019 (arXiv 1905.11946), table 1 scaled


@pytest.mark.parametrize(
    ("encoder", "head", "message"),
    [
        ("efficientnet_b99", None, "no such encoder"),
        ("convnext_atto", None, "strides"),
        ("vit_tiny_patch16_224", None, "does not suit U-Net"),
        ("test_efficientnet", 5, "no such head"),
    ],
)
def test_what_cannot_be_built_is_refused(encoder, head, message):
    with pytest.raises(ConfigError, match=message):
        NestedUNet(encoder, 3, 2, head)
