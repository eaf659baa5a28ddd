"""Mask R-CNN with a feature pyramid, from torchvision, for images of any channels that are normalised already.

Source: He et al. 2017 (arXiv 1703.06870). Backbones of torchvision keep its key names, so that its published weights
load; those of timm offer smaller ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import timm
from torch import Tensor, nn
from torchvision.models import resnet
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from swath.errors import ConfigError

#: Backbones that torchvision builds under its own key names.
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
#: Modules of such a backbone, in the order in which they can be frozen.
_STAGES = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))
#: Edge in cells of what the box head and the mask head see of a region.
_BOX_CELLS, _MASK_CELLS = 7, 14


def mask_rcnn(
    channels: int,
    classes: int,
    backbone: str = "resnet50",
    *,
    width: int = 256,
    head: int = 1024,
    norm: Literal["batch", "frozen"] = "batch",
    frozen_stages: int = 0,
    anchors: Sequence[int] = (32, 64, 128, 256, 512),
    ratios: Sequence[float] = (0.5, 1.0, 2.0),
    proposals: int = 1000,
    detections: int = 100,
    least_score: float = 0.05,
    box_nms: float = 0.5,
) -> MaskRCNN:
    """The network: a list of images `[C, H, W]` to dicts of `boxes`, `labels` (from 1), `scores`, `masks`.

    In training it takes targets too and gives losses, as torchvision says. Images are not resized or normalised.

    Args:
        channels: Of the images.
        classes: Without the background.
        backbone: A ResNet of torchvision, or any timm network that gives features.
        width: Channels of the pyramid and of the mask head.
        head: Width of the box head.
        norm: Batch normalisation, or frozen statistics, for published weights that learn further; of torchvision's.
        frozen_stages: Stages of a torchvision backbone that do not learn: 1 is the stem, 2 the first blocks too.
        anchors: Edge in pixels of the anchors of each level of the pyramid, finest first.
        ratios: Height over width of anchors.
        proposals: Regions that the second stage looks at; twice as many in training.
        detections: Things in a picture, at most.
        least_score: Below it nothing is told.
        box_nms: Overlap of boxes of one class that is allowed.

    Raises:
        ConfigError: If there is no such backbone, or there are not as many anchors as levels.
    """
    pyramid: BackboneWithFPN | TimmPyramid
    if backbone in RESNETS:
        pyramid, levels = _torchvision_pyramid(backbone, channels, width, norm, frozen_stages), 4
    else:
        pyramid = TimmPyramid(backbone, channels, width)
        levels = pyramid.levels
    if len(anchors) != levels + 1:
        raise ConfigError("Anchors and levels of the pyramid are not as many", got=len(anchors), expected=levels + 1)
    names = [str(level) for level in range(levels)]
    net = MaskRCNN(
        pyramid,
        rpn_anchor_generator=AnchorGenerator(tuple((size,) for size in anchors), (tuple(ratios),) * len(anchors)),
        rpn_pre_nms_top_n_train=2 * proposals, rpn_pre_nms_top_n_test=proposals,
        rpn_post_nms_top_n_train=2 * proposals, rpn_post_nms_top_n_test=proposals,
        box_roi_pool=MultiScaleRoIAlign(names, _BOX_CELLS, 2),
        box_head=TwoMLPHead(width * _BOX_CELLS**2, head),
        box_predictor=FastRCNNPredictor(head, classes + 1),
        mask_roi_pool=MultiScaleRoIAlign(names, _MASK_CELLS, 2),
        mask_head=MaskRCNNHeads(width, (width,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(width, width, classes + 1),
        box_score_thresh=least_score, box_nms_thresh=box_nms, box_detections_per_img=detections,
    )  # fmt: skip
    net.transform = _AsItIs(1, 1, [0.0] * channels, [1.0] * channels)
    return net


class TimmPyramid(nn.Module):
    """Features of a timm network as a pyramid, from a quarter of the resolution on, and a coarsest level by pooling.

    Args:
        name: Of the network in timm.
        channels: Of the image.
        width: Channels of each level.

    Attributes:
        levels: Levels without the coarsest.
        out_channels: Channels of each level.

    Raises:
        ConfigError: If timm has no such network with features.
    """

    def __init__(self, name: str, channels: int, width: int) -> None:
        super().__init__()
        try:
            self.body = timm.create_model(name, features_only=True, in_chans=channels, pretrained=False)
        except (RuntimeError, AttributeError) as error:
            known = f"{', '.join(RESNETS)}, or a timm name"
            raise ConfigError("There is no such backbone", got=name, expected=known) from error
        info: Any = self.body.feature_info
        self._kept = [place for place, step in enumerate(info.reduction()) if step >= 4]
        self.levels, self.out_channels = len(self._kept), width
        self.fpn = FeaturePyramidNetwork([info.channels()[place] for place in self._kept], width, LastLevelMaxPool())

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Features by level, `0` the finest."""
        found = self.body(image)
        return self.fpn({str(level): found[place] for level, place in enumerate(self._kept)})


class _AsItIs(GeneralizedRCNNTransform):
    """Batches images, padded to multiples of 32 pixels, without resizing them."""

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        return image, target


def _torchvision_pyramid(name: str, channels: int, width: int, norm: str, frozen_stages: int) -> BackboneWithFPN:
    if norm not in ("batch", "frozen") or not 0 <= frozen_stages <= len(_STAGES):
        raise ConfigError(
            "The backbone cannot be made so",
            got=f"norm {norm}, {frozen_stages} frozen stages",
            expected=f"batch or frozen, 0 to {len(_STAGES)}",
        )
    body = getattr(resnet, name)(weights=None, norm_layer=FrozenBatchNorm2d if norm == "frozen" else nn.BatchNorm2d)
    if channels != 3:
        body.conv1 = nn.Conv2d(channels, body.conv1.out_channels, 7, 2, 3, bias=False)
    for stage in _STAGES[:frozen_stages]:
        for module in stage:
            getattr(body, module).requires_grad_(False)
    finest = body.inplanes // 8
    layers = {f"layer{level + 1}": str(level) for level in range(4)}
    return BackboneWithFPN(body, layers, [finest * 2**level for level in range(4)], width, LastLevelMaxPool())
