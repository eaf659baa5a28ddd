"""FloodNet: what stands under water after a flood, by drone; its three baselines of segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from swath.data.classes import Classes
from swath.data.readers.floodnet import CLASSES
from swath.data.readers.floodnet_classification import CLASSES as TWO_CLASSES
from swath.errors import ConfigError
from swath.nn import enet
from swath.nn.answering import AnswerNet, Fusion
from swath.nn.deeplab import ASPP, DeepLabV3Plus, decoder_blocks, describe, timm_encoder
from swath.nn.pyramid_pooling import AUXILIARY_WEIGHT, PSPNet
from swath.nn.stem import adapt_stem, stem_name
from swath.nn.timm_classifier import timm_classifier
from swath.registry import Card, register, register_form
from swath.sensors.catalogue import resolve
from swath.tasks.answer import Answering
from swath.tasks.classify import Classification
from swath.tasks.deep_supervision import DeeplySupervised
from swath.tasks.encoder_weights import load_weights
from swath.tasks.recipe import Recipe
from swath.tasks.weights import load_into, load_state

if TYPE_CHECKING:
    from torch import nn

    from swath.sensors.bands import Bands


@register(
    Card(
        id="floodnet",
        title="FloodNet: A High Resolution Aerial Imagery Dataset for Post Flood Scene Understanding",
        year=2021,
        task="segmentation",
        inputs="RGB pictures of a drone, a few centimetres a pixel; any bands and size",
        outputs="a class a pixel: buildings and roads flooded or not, water, trees, vehicles, pools, grass",
        reference="arXiv:2012.02951",
        weights=("None were released. `weights=` takes a timm file of the encoder, or the weights of a Swath run."),
        baseline="per pixel: majority class, nearest centroid, random forest",
        departures=(
            "No code or weights were released: PSPNet, DeepLabv3+ and ENet are built from their own papers.",
            "The encoder of PSPNet and DeepLabv3+ is timm's ResNet-101, which dilates but keeps its 7x7 stem.",
            "Rates and epochs are not known to us: SGD with momentum 0.9 and poly decay of power 0.9 as the paper "
            "says, with 0.01 and 40 epochs of 713 pixel patches, which PSPNet used.",
            "Class 0, background, counts in our mean IoU.",
        ),
        checks=(
            "P: the pooling of PSPNet has the features of segmentation_models_pytorch's; ENet has the parameters that "
            "its table gives, counted by hand, and puts maxima back where they were.",
            "R: fit, score and predict on the three published layouts, of simulated pictures.",
            "B: on unseen radar chips of Sen1Floods11 ENet has mIoU 0.753, a random forest 0.672; a threshold of "
            "smoothed VH beats it (0.918). On simulated floods it has 0.349; majority 0.065, nearest centroid 0.146, a "
            "random forest of pixels, to which it loses, 0.450. Questions: 0.743; 0.543 by the question alone.",
            "H: ENet has 0.5 % of the parameters of PSPNet; operations and time are on the page.",
        ),
    )
)
def floodnet(
    classes: Classes | None = None,
    bands: Bands | None = None,
    network: Literal["pspnet", "deeplab", "enet"] = "pspnet",
    encoder: str = "resnet101",
    weights: Path | None = None,
) -> DeeplySupervised:
    """Build the segmentation.

    Args:
        classes: Legend of the maps; None takes the published ten.
        bands: What the images hold; None takes RGB.
        network: PSPNet, which the paper finds best, DeepLabv3+, or ENet, which suits a CPU.
        encoder: Any timm network that dilates; ENet has none.
        weights: A weights file of the encoder in timm's names, or of this whole network.

    Raises:
        ConfigError: If timm has no such encoder, it cannot be dilated, or there is no such network.
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
    """
    bands = resolve("rgb") if bands is None else bands
    classes = CLASSES if classes is None else classes
    net = _net(network, encoder, len(bands), len(classes))
    if weights is not None:
        load_weights(net, getattr(net, "encoder", net), weights, encoder, bands)
    task = DeeplySupervised(
        net, bands=bands, classes=classes, recipe=_RECIPE, stride=enet.STRIDE if network == "enet" else 1
    )
    task.head_weights = (1.0, AUXILIARY_WEIGHT)
    return task


@register_form("floodnet:classification")
def floodnet_classification(
    classes: Classes | None = None,
    bands: Bands | None = None,
    encoder: str = "resnet50",
    weights: Path | None = None,
) -> Classification:
    """Build the classification of whole pictures.

    Args:
        classes: What a picture can be; None takes flooded and not flooded.
        bands: What the images hold; None takes RGB.
        encoder: Any timm network; the paper compares `inception_v3`, `resnet50`, which it finds best, and `xception`.
        weights: A weights file of the encoder in timm's names; its classifier is left out. Or of this whole network.

    Raises:
        ConfigError: If timm has no such network.
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
    """
    bands = resolve("rgb") if bands is None else bands
    classes = TWO_CLASSES if classes is None else classes
    net = timm_classifier(encoder, len(bands), len(classes))
    if weights is not None:
        _load_classifier(net, weights, encoder, bands)
    return Classification(net, bands=bands, classes=classes, recipe=_PICTURES)


@register_form("floodnet:vqa")
def floodnet_vqa(
    classes: Classes | None = None,
    bands: Bands | None = None,
    fusion: Fusion = "bilinear",
    encoder: str = "resnet50",
    words: int = 256,
) -> Answering:
    """Build the answering of questions.

    Args:
        classes: The answers; None takes yes and no.
        bands: What the images hold; None takes RGB.
        fusion: How image and question meet: factorised bilinear pooling with co-attention, which the paper finds best,
            stacked attention, point-wise product, concatenation; or `question`, which never looks.
        encoder: Any timm network.
        words: Numbers of words, with padding and the unknown.

    Raises:
        ConfigError: If timm has no such network, or there is no such fusion.
    """
    bands = resolve("rgb") if bands is None else bands
    classes = Classes.of(["No", "Yes"]) if classes is None else classes
    net = AnswerNet(encoder, len(bands), len(classes), words, fusion)
    return Answering(net, bands=bands, classes=classes, recipe=_PICTURES, words=words)


#: Pictures are shrunk to 512 pixels: below that, vehicles and pools are gone.
_PICTURES = Recipe(
    learning_rate=1e-4, weight_decay=1e-4, epochs=30, batch=8, patch=512, augment=("d4", "colour"), sampling="area"
)
_RECIPE = Recipe(
    optimizer="sgd", learning_rate=0.01, weight_decay=1e-4, schedule="poly",
    epochs=40, batch=8, patch=713, augment=("d4", "colour"),
)  # fmt: skip


def _net(network: str, encoder: str, channels: int, classes: int) -> nn.Module:
    if network == "enet":
        return enet.ENet(channels, classes)
    if network == "pspnet":
        return PSPNet(encoder, channels, classes)
    if network == "deeplab":
        features = timm_encoder(encoder, channels, 16)
        return DeepLabV3Plus(features, ASPP(describe(features)[1][-1]), decoder_blocks(), classes)
    raise ConfigError("The system has no such network", got=network, expected="pspnet, deeplab or enet")


def _load_classifier(net: Any, path: Path, encoder: str, bands: Bands) -> None:
    """Load a file of this network, or timm's of the encoder, whose classifier for other classes is left as it was."""
    state, own = load_state(path), net.state_dict()
    head = net.pretrained_cfg["classifier"]
    fresh = {
        key: own[key]
        for key in own
        if key.startswith(f"{head}.") and (key not in state or own[key].shape != state[key].shape)
    }
    stem, rgb = stem_name(net), resolve("rgb")
    if stem in state and state[stem].shape != own[stem].shape:
        state[stem] = adapt_stem(state[stem], rgb, bands)
    load_into(net, {**state, **fresh}, name=f"{path} ({encoder})")
