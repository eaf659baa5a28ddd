"""DeepTriNet: DeepLabv3+ with tri-level attention after each branch of its pyramid, and a gated decoder."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from torch import nn
from torchvision.ops import SqueezeExcitation

from swath.data.classes import Classes
from swath.data.readers.gid15 import CLASSES
from swath.errors import ConfigError
from swath.nn.deeplab import ASPP, LOW_LEVEL_CHANNELS, DeepLabV3Plus, describe, separable_block, timm_encoder
from swath.nn.tri_level_attention import TriLevelAttention
from swath.registry import Card, register
from swath.sensors.catalogue import resolve
from swath.tasks.encoder_weights import load_weights
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.segment import Segmentation

if TYPE_CHECKING:
    from swath.sensors.bands import Bands


@register(
    Card(
        id="deeptrinet",
        title=(
            "DeepTriNet: A Tri-Level Attention Based DeepLabv3+ Architecture for Semantic Segmentation of Satellite "
            "Images"
        ),
        year=2023,
        task="segmentation",
        inputs="RGB satellite or aerial imagery, 8-bit, as published in patches of 256 pixels; any bands and size",
        outputs="a class a pixel: the 15 of GID-15 and background; or the classes of your data",
        reference="arXiv:2310.06848",
        weights=(
            "None were released with the paper. `weights=` takes a timm file of the encoder as it is, or the weights "
            "of a Swath run."
        ),
        baseline="per pixel: majority class, nearest centroid, random forest; DeepLabv3+ without the attention",
        departures=(
            "No code or weights were released: the network is built from the paper's description on DeepLabv3+ as "
            "segmentation_models_pytorch arranges it.",
            "The encoder is not known to us: ResNet-50 at output stride 16, with rates 6, 12 and 18.",
            "How the three levels are joined is not known to us: by a convolution with a short cut, or one after the "
            "other (`attention`).",
            "The paper gates the decoder by squeeze and excitation, without saying where: the joined features here, "
            "and what the decoder makes of them.",
            "Loss and optimiser are not known to us: cross entropy and Dice, AdamW with 1e-4 and poly decay.",
            "The paper cuts 784 patches of 256 pixels and sets them side by side; tiles here overlap by a quarter and "
            "are blended, and `overlap=0` does as the paper.",
            "Inputs are padded to 16 k + 1 pixels, so that logits lie on their pixels for any input size.",
        ),
        checks=(
            "P: without the attention it has the logits of segmentation_models_pytorch's DeepLabV3Plus with the same "
            "weights; gates are what they should be by hand; patches set side by side are the image, bit for bit.",
            "R: fit, score and predict on the published layout, and on pictures of Dubai.",
            "B: on unseen tiles of Dubai it beats nearest centroid, random forest and majority; there and on simulated "
            "pictures with small roofs the same network without the attention is level with it.",
            "H: parameters and operations beside DeepLabv3+ without the attention are on the page.",
        ),
    )
)
def deeptrinet(
    classes: Classes | None = None,
    bands: Bands | None = None,
    encoder: str = "resnet50",
    attention: Literal["sum_conv", "sequential", "none"] = "sum_conv",
    output_stride: Literal[8, 16] = 16,
    weights: Path | None = None,
) -> Segmentation:
    """Build the task.

    Args:
        classes: Legend of the maps; None takes background and the published fifteen.
        bands: What the images hold; None takes RGB.
        encoder: Any timm network that dilates; `mobilenetv3_small_100` or `test_resnet` suit a CPU.
        attention: How the levels are joined (`swath.nn.tri_level_attention`); `none` leaves plain DeepLabv3+, without
            gates in the decoder too.
        output_stride: Pixels a coarsest feature; 8 is finer and about four times the work.
        weights: A weights file of the encoder in timm's names, or of this whole network; the encoder's first layer,
            learned from RGB, is adapted to other bands by name and wavelength.

    Raises:
        ConfigError: If timm has no such encoder, it cannot be dilated, or another option is unknown.
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
    """
    bands = resolve("rgb") if bands is None else bands
    classes = CLASSES if classes is None else classes
    net = build_net(len(bands), len(classes), encoder, attention, output_stride)
    if weights is not None:
        load_weights(net, net.encoder, weights, encoder, bands)
    return Segmentation(
        net,
        bands=bands,
        classes=classes,
        recipe=Recipe(
            loss="ce+dice", learning_rate=1e-4, schedule="poly", epochs=40, batch=8, patch=256, augment=("d4", "colour")
        ),
        normalisation={"image": _BYTES} if bands == resolve("rgb") else None,
    )


#: Bytes to -1..1.
_BYTES = Normalisation((127.5,) * 3, (127.5,) * 3)


def build_net(
    channels: int,
    classes: int,
    encoder: str,
    attention: Literal["sum_conv", "sequential", "none"] = "sum_conv",
    output_stride: int = 16,
    aligned: bool = True,
) -> DeepLabV3Plus:
    """The bare network: normalised `[B, channels, H, W]` -> logits `[B, classes, H, W]`; see `deeptrinet`."""
    if attention not in ("sum_conv", "sequential", "none"):
        raise ConfigError("The system has no such attention", got=attention, expected="sum_conv, sequential or none")
    features = timm_encoder(encoder, channels, output_stride)
    width, joined = 256, 256 + LOW_LEVEL_CHANNELS
    rates = tuple(16 // output_stride * rate for rate in (6, 12, 18))
    gate = None if attention == "none" else partial(TriLevelAttention, fusion=attention)
    pyramid = ASPP(describe(features)[1][-1], width, rates, split=False, gate=gate)
    block = separable_block(joined, width, split=False)
    decoder = block if attention == "none" else nn.Sequential(_squeeze(joined), block, _squeeze(width))
    context = nn.Sequential(pyramid, separable_block(width, width, split=False))
    return DeepLabV3Plus(features, context, decoder, classes, width, aligned)


def _squeeze(channels: int) -> nn.Module:
    """Squeeze and excitation (Hu et al. 2018, arXiv 1709.01507) of reduction 16."""
    return SqueezeExcitation(channels, channels // 16)
