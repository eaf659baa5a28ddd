"""Mask R-CNN: torchvision's own where it is the same, and smaller or other where it is not."""

import pytest
import torch
from torch import nn
from torchvision.models.detection import MaskRCNN, maskrcnn_resnet50_fpn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

from swath.errors import ConfigError
from swath.nn.mask_rcnn import mask_rcnn


def test_it_is_torchvisions_network_with_the_same_weights():
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
    )
    oracle = MaskRCNN(
        backbone,
        num_classes=3,
        min_size=96,
        max_size=96,
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
        box_score_thresh=0.3,
    ).eval()
    net = mask_rcnn(3, 2, "resnet18", least_score=0.3).eval()
    net.load_state_dict(oracle.state_dict())
    image = torch.randn(3, 96, 96)
    with torch.no_grad():
        (wanted,), (found,) = oracle([image]), net([image])
    assert len(wanted["boxes"]) > 0
    for key in ("boxes", "labels", "scores", "masks"):
        torch.testing.assert_close(found[key], wanted[key])


def test_published_key_names_are_its_own():
    with torch.device("meta"):
        oracle = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
    net = mask_rcnn(3, 2, "resnet50")
    shapes = {key: value.shape for key, value in net.state_dict().items()}
    assert shapes == {key: value.shape for key, value in oracle.state_dict().items()}


def test_stages_and_statistics_can_be_frozen_and_bands_be_many():
    net = mask_rcnn(4, 1, "resnet18", norm="frozen", frozen_stages=2)
    body = net.backbone.body
    assert not any(p.requires_grad for module in (body.conv1, body.layer1) for p in module.parameters())
    assert all(p.requires_grad for p in body.layer2[0].conv1.parameters())
    assert any(isinstance(m, FrozenBatchNorm2d) for m in body.modules())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in body.modules())
    assert body.conv1.weight.shape[1] == 4


def test_images_keep_their_size_and_a_timm_backbone_learns():
    torch.manual_seed(0)
    net = mask_rcnn(2, 1, "test_resnet", width=16, head=32, anchors=(8, 16, 32, 64, 128), proposals=50, least_score=0.0)
    mask = torch.zeros(1, 50, 70, dtype=torch.uint8)
    mask[0, 10:30, 20:44] = 1
    target = {"boxes": torch.tensor([[20.0, 10, 44, 30]]), "labels": torch.tensor([1]), "masks": mask}
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long), "masks": mask[:0]}
    losses = net(list(torch.randn(2, 2, 50, 70)), [target, empty])
    sum(losses.values()).backward()
    first = next(net.backbone.body.parameters())
    assert first.grad.abs().sum() > 0
    with torch.no_grad():
        (found,) = net.eval()([torch.randn(2, 50, 70)])
    assert found["masks"].shape[1:] == (1, 50, 70)


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("resnet-fifty", {}),
        ("resnet18", {"anchors": (32, 64)}),
        ("resnet18", {"norm": "layer"}),
        ("resnet18", {"frozen_stages": 9}),
    ],
)
def test_options_that_cannot_be_met_are_refused(backbone, options):
    with pytest.raises(ConfigError):
        mask_rcnn(3, 1, backbone, **options)
