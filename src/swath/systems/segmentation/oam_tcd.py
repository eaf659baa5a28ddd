"""OAM-TCD: tree cover by SegFormer or U-Net, and crowns by Mask R-CNN, on imagery of 0.1 m."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import segmentation_models_pytorch as smp

from swath.data.readers.oam_tcd import CLASSES, INSTANCE_CLASSES
from swath.errors import ConfigError, WeightsError
from swath.nn.mask_rcnn import mask_rcnn
from swath.nn.segformer import SegFormer
from swath.registry import Card, register, register_form
from swath.scene.dissolve import DissolveMerge
from swath.sensors.catalogue import resolve
from swath.tasks.baselines import pixel_classifiers, vegetation_classifiers
from swath.tasks.instances import InstanceSegmentation, Suppression
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.segment import Segmentation
from swath.tasks.weights import load_into, load_state

if TYPE_CHECKING:
    from torch import Tensor, nn

    from swath.data.classes import Classes
    from swath.sensors.bands import Bands

#: Metres of a pixel that the published networks learned at, in the projection of the imagery.
PIXEL = 0.1
#: What SegFormer's published weights expect of bytes: ImageNet's mean and deviation.
_IMAGENET = Normalisation((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
#: What the published U-Nets and Mask R-CNN of this system expect: bytes as they are.
_RAW = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
#: Modules of torchvision's file whose shape depends on the number of classes.
_PREDICTORS = ("roi_heads.box_predictor.", "roi_heads.mask_predictor.mask_fcn_logits.")


@register(
    Card(
        id="oam_tcd",
        title="OAM-TCD: A globally diverse dataset of high-resolution tree cover maps",
        year=2024,
        task="segmentation",
        inputs="RGB aerial or drone imagery, 8-bit; other pixel sizes are brought to 0.1 m, or to `pixel_size`",
        outputs=(
            "tree cover a pixel, its confidence in 8 bit; with `oam_tcd:instances` outlines of crowns and of groups "
            "that cannot be told apart, with scores"
        ),
        reference="arXiv:2407.11743",
        weights=(
            "SegFormer and U-Net on the Hugging Face hub (restor/tcd-*), CC BY-NC 4.0, SegFormer's encoder under "
            "NVIDIA's licence: `weights=` takes the SegFormer safetensors file as it is. Mask R-CNN was released for "
            "detectron2, which is not read; `weights=` of `oam_tcd:instances` takes torchvision's Mask R-CNN file."
        ),
        baseline=(
            "a threshold of excess green, and per pixel: majority, nearest centroid, random forest; for crowns "
            "connected components of a threshold, and a watershed of the distance inside"
        ),
        departures=(
            "The release keeps no margin between image border and tile edge: crowns within 5 pixels of the border of "
            "the scene are dropped. Here only edges inside of the scene cut (`variant='published'` drops them).",
            "The release holds the right side of a crown against the height of its tile and the bottom against the "
            "width: wrong on tiles that are not square. Tiles here are square.",
            "Crowns of overlapping tiles are merged by agreement on shared ground (swath.scene.merge); the published "
            "merge, by suppression of boxes, centroids and unions, is `variant='published'`. Its result there depends "
            "on the order of a Python set; here the order is that of tiles and scores.",
            "The published semantic merge crops the last row and column of the map at the right and bottom border; "
            "here nothing is lost. Overlaps are blended; `--blend crop --even true --tile 1024` cuts them in the "
            "middle, as the inner regions of the release.",
            "Confidence of valid ground is 1 to 255, so that 0 means no data alone; as published it is cut off, not "
            "rounded.",
            "The release evaluates COCO's AP with at most 100 crowns a picture, which cuts dense tiles; here all "
            "count, and `most=100` does as COCO.",
            "The release sets pixel [0, 0] of empty masks to tree so that they are not empty; here they stay empty.",
            "Published configurations test on the file that also selects. Here parts are kept apart, and tiles of one "
            "mosaic too.",
            "Published U-Nets take bytes as they are (`variant='published'`); by default they are normalised.",
            "The learning rate falls with a cosine instead of on plateaus, batches are not accumulated to 32, and "
            "rotation, blur and hue of the published augmentation are those of `affine`, `colour` and `noise` here.",
            "Mask R-CNN begins from random weights or torchvision's, not detectron2's 3x schedule; test-time resizing "
            "is not offered.",
            "A pixel of 0.1 m is 0.1 units of the projection, as in the data (Mercator: less on the ground); degrees "
            "are converted. Maps have the network's pixel size, not that of a scene which was resampled.",
        ),
        checks=(
            "P: SegFormer has the logits of transformers, U-Net those of segmentation_models_pytorch, Mask R-CNN those "
            "of torchvision; published tensor names load; tile windows, box suppression, centroids and unions by hand.",
            "R: fit, score and predict on the published COCO form, made by `swath simulate`, and on a user's own "
            "polygons; the Parquet form gives the same scenes.",
            "B: on three quarters of a real tile a U-Net has an IoU of trees of 0.730, excess green 0.668; simulated "
            "crowns have AP50 0.179, by a watershed 0.012.",
            "H: parameters and time of SegFormer b5 over b0 are on the page.",
        ),
    )
)
def oam_tcd(
    classes: Classes | None = None,
    bands: Bands | None = None,
    network: str = "mit-b0",
    variant: Literal["corrected", "published"] = "corrected",
    weights: Path | None = None,
    pixel_size: float = PIXEL,
) -> Segmentation:
    """Build the task of tree cover.

    Args:
        classes: Legend of the maps; None takes background and tree.
        bands: What the images hold; None takes RGB.
        network: `mit-b0` to `mit-b5` for SegFormer, or an encoder of segmentation_models_pytorch for a U-Net:
            `resnet34`, `resnet50`, `resnet101`, or any other.
        variant: `published` gives bytes to a U-Net as they are; SegFormer is the same in both.
        weights: A weights file: SegFormer as transformers saves it, or the network of a Swath run.
        pixel_size: Metres of a pixel that scenes are brought to; published weights know 0.1 only.

    Raises:
        ConfigError: If there is no such network or variant.
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
        MissingExtraError: If transformers is needed and not installed.
    """
    _require_variant(variant)
    bands = resolve("rgb") if bands is None else bands
    classes = CLASSES if classes is None else classes
    net = build_net(network, len(bands), len(classes))
    if weights is not None:
        load_into(net, load_state(weights), name=str(weights))
    transformer, rgb = network.startswith("mit-"), bands == resolve("rgb")
    normalisation = _IMAGENET if transformer or variant == "corrected" else _RAW
    task = Segmentation(
        net,
        bands=bands,
        classes=classes,
        recipe=Recipe(
            loss="ce" if transformer else "normalised_focal", learning_rate=1e-4 if transformer else 1e-3, epochs=75,
            batch=8, patch=1024, augment=("d4", "affine", "colour", "noise"), sampling="area",
        ),
        normalisation={"image": normalisation} if rgb else None,
        stride=32,
        target="tree" if "tree" in classes.names else None,
        classifiers=vegetation_classifiers if rgb and len(classes) == 2 else pixel_classifiers,
    )  # fmt: skip
    task.pixel_size, task.skip_blank = pixel_size, rgb
    return task


@register_form("oam_tcd:instances")
def oam_tcd_instances(
    classes: Classes | None = None,
    bands: Bands | None = None,
    backbone: str = "resnet50",
    width: int = 256,
    head: int = 1024,
    norm: Literal["batch", "frozen"] = "batch",
    frozen_stages: int = 0,
    anchors: tuple[int, ...] = (32, 64, 128, 256, 512),
    detections: int = 512,
    suppression: Suppression = "box",
    variant: Literal["corrected", "published"] = "corrected",
    weights: Path | None = None,
    pixel_size: float = PIXEL,
) -> InstanceSegmentation:
    """Build the task of crowns and groups.

    Args:
        classes: Legend; None takes canopy and tree. Things of a class called `tree` are single crowns.
        bands: What the images hold; None takes RGB.
        backbone: A ResNet of torchvision, or any timm network that gives features; `test_resnet` suits a CPU.
        width: Channels of the pyramid; less than 256 suits a CPU.
        head: Width of the box head; less than 1024 suits a CPU.
        norm: `frozen` for weights that learn further, as published; `batch` for random ones.
        frozen_stages: Stages of the backbone that do not learn; published are 2.
        anchors: Edges in pixels of the anchors of each level.
        detections: Things in a tile, at most, and half of the regions that are looked at.
        suppression: See `swath.tasks.instances`.
        variant: `published` merges the things of tiles as the release does; see `swath.scene.dissolve`.
        weights: torchvision's file of this network, of any classes, or the network of a Swath run.
        pixel_size: Metres of a pixel that scenes are brought to; published ones have 0.1.

    Raises:
        ConfigError: If there is no such backbone, variant or suppression.
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
    """
    _require_variant(variant)
    bands = resolve("rgb") if bands is None else bands
    classes = INSTANCE_CLASSES if classes is None else classes
    net = mask_rcnn(
        len(bands), len(classes), backbone, width=width, head=head, norm=norm, frozen_stages=frozen_stages,
        anchors=anchors, proposals=detections, detections=detections,
        least_score=0.2 if variant == "published" else 0.05,
        box_nms=0.5 if suppression == "box" else 0.9,
    )  # fmt: skip
    if weights is not None:
        _load_torchvision(net, load_state(weights), str(weights))
    single = tuple(index for index, name in enumerate(classes.names) if name == "tree")
    task = InstanceSegmentation(
        net,
        bands=bands,
        classes=classes,
        recipe=Recipe(
            optimizer="sgd", learning_rate=1e-3, schedule="step", weight_decay=1e-4, epochs=200, batch=8, patch=1024,
            augment=("d4", "affine", "colour"), sampling="area",
        ),
        normalisation={"image": _IMAGENET} if bands == resolve("rgb") else None,
        suppression=suppression,
        merge=DissolveMerge(single, at_border=True) if variant == "published" else None,
        even=variant == "published",
    )  # fmt: skip
    task.pixel_size, task.skip_blank = pixel_size, bands == resolve("rgb")
    return task


def build_net(network: str, channels: int, classes: int) -> nn.Module:
    """The bare network: normalised `[B, channels, H, W]` -> logits `[B, classes, H, W]`; see `oam_tcd`.

    Raises:
        ConfigError: If there is no such network.
        MissingExtraError: If transformers is needed and not installed.
    """
    if network.startswith("mit-"):
        return SegFormer(network.removeprefix("mit-"), channels, classes)  # type: ignore[arg-type]
    try:
        return smp.Unet(network, encoder_weights=None, in_channels=channels, classes=classes)
    except (KeyError, RuntimeError, ValueError) as error:
        known = "mit-b0 to mit-b5, or an encoder of segmentation_models_pytorch"
        raise ConfigError("The system has no such network", got=network, expected=known) from error


def _require_variant(variant: str) -> None:
    if variant not in ("corrected", "published"):
        raise ConfigError("The system has no such variant", got=variant, expected="corrected or published")


#: Names in torchvision's older files, and what they are called now.
_RENAMED = (
    (r"roi_heads\.mask_head\.mask_fcn(\d)\.", lambda m: f"roi_heads.mask_head.{int(m[1]) - 1}.0."),
    (r"rpn\.head\.conv\.(weight|bias)", r"rpn.head.conv.0.0.\1"),
    (r"backbone\.fpn\.(inner|layer)_blocks\.(\d)\.(weight|bias)", r"backbone.fpn.\1_blocks.\2.0.\3"),
)


def _load_torchvision(net: nn.Module, state: dict[str, Tensor], name: str) -> None:
    """Load torchvision's Mask R-CNN; predictors of other classes stay as they are."""
    own = net.state_dict()
    for pattern, new in _RENAMED:
        state = {
            re.sub(f"^{pattern}$" if pattern.endswith(")") else f"^{pattern}", new, key): v for key, v in state.items()
        }
    if not any(key.startswith("backbone.body.") for key in state):
        raise WeightsError(f"{name} is of no Mask R-CNN of torchvision", got=", ".join(list(state)[:3]))
    for key in own:
        other = key in state and state[key].shape != own[key].shape
        if (other and key.startswith(_PREDICTORS)) or (key.endswith("num_batches_tracked") and key not in state):
            state[key] = own[key]
    load_into(
        net,
        {key: value for key, value in state.items() if key in own or not key.endswith("num_batches_tracked")},
        name=name,
    )
