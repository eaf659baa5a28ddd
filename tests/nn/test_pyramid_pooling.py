"""PSPNet's pooling against segmentation_models_pytorch."""

import pytest
import torch

from swath.errors import ConfigError
from swath.nn.pyramid_pooling import CELLS, PSPNet, PyramidPooling


def test_pooled_features_are_those_of_smp():
    from segmentation_models_pytorch.decoders.pspnet.decoder import PSPModule

    torch.manual_seed(0)
    ours, theirs = PyramidPooling(32).eval(), PSPModule(32, CELLS).eval()
    for level, block in zip(ours.levels, theirs.blocks, strict=True):
        unit = block.pool[1]
        level[1].weight.data.copy_(unit[0].weight.data)
        if unit[0].bias is not None:  # smp has no norm on the coarsest level
            unit[0].bias.data.zero_()
            level[2].eps = 0.0
    x = torch.randn(2, 32, 24, 20)
    with torch.no_grad():
        pooled = theirs(x)[:, :32]  # the features themselves come last there, first here
        torch.testing.assert_close(ours(x), torch.cat([x, pooled], 1))


def test_two_heads_train_and_one_answers():
    net = PSPNet("test_resnet", 3, 4)
    image = torch.randn(2, 3, 65, 50)
    assert net.train()(image).shape == (2, 2, 4, 65, 50)
    with torch.no_grad():
        assert net.eval()(image).shape == (2, 4, 65, 50)


def test_the_coarsest_level_is_the_mean_of_the_image():
    pooling = PyramidPooling(4).eval()
    x = torch.randn(1, 4, 9, 9)
    with torch.no_grad():
        level = pooling.levels[0](x)
    expected = torch.relu(pooling.levels[0][1].weight[:, :, 0, 0] @ x.mean((2, 3))[0] / (1 + 1e-5) ** 0.5)
    torch.testing.assert_close(level.flatten(), expected.detach())


def test_encoders_that_do_not_dilate_are_refused():
    with pytest.raises(ConfigError, match=r"does not suit dilation|strides"):
        PSPNet("vit_tiny_patch16_224", 3, 2)
