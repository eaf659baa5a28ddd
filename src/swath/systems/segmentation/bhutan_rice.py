"""Rice in Bhutan (SERVIR ACES): a network of single pixels, and a residual encoder-decoder, on two seasons' medians."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from torch import nn

from swath.data.classes import Classes
from swath.data.readers.bhutan_rice import CLASSES, Features, feature_bands
from swath.errors import ConfigError
from swath.nn.keras import load_weight_list
from swath.nn.pixel_network import PixelNetwork
from swath.nn.xception_segmenter import XceptionSegmenter
from swath.registry import Card, register
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.segment import Segmentation
from swath.tasks.weights import load_into, load_state

if TYPE_CHECKING:
    from swath.sensors.bands import Bands


@register(
    Card(
        id="bhutan_rice",
        title="Advancing Annual Rice Mapping in Bhutan with Deep Learning (SERVIR ACES)",
        year=2024,
        task="segmentation",
        inputs=(
            "medians of March-May and July-September of NICFI Planet red, green, blue, near infrared (10 m), with or "
            "without elevation and slope (E) and Sentinel-1 VV, VH of both orbits (S); points, patches or scenes; or "
            "any bands of your own"
        ),
        outputs="a class a pixel: cropland, rice, forest, urban, others; or the classes of your data",
        reference="arXiv:2406.07482",
        weights=(
            "None were released. `weights=` takes the weights of a Swath run, or `numpy.savez(path, "
            "*model.get_weights())` of a Keras model of the published layers."
        ),
        baseline="per pixel: majority class, nearest centroid, random forest",
        departures=(
            "Written from the paper and facts of the release (GPL-3); no line of it is used.",
            "The release feeds features as they are, reflectance, metres and decibels side by side, and so does "
            "`variant='published'`; `corrected` normalises each by the training part.",
            "`corrected` trains with AdamW, a cosine schedule and early stopping on validation; `published` with Adam "
            "at 1e-3 for 30 epochs, as the tutorial.",
            "`corrected` draws patches around labels of each class equally often, so that the pixel network sees "
            "stratified points of any scene, as the authors' were; `published` takes data as they are.",
            "Rows of a table are shuffled once and a batch of 32 points is a run of them; the release shuffles anew.",
            "Batch norm's running statistics follow slowly in Keras (momentum 0.99), so that a network of few hundred "
            "steps fails as soon as it is applied; `corrected` lets them follow with 0.9.",
            "The release flips and turns 70 % of its patches; here each patch takes one of the eight symmetries.",
            "Published points that stand in several parts count in the first only (`duplicates='keep'` keeps them).",
            "The release's export of patches writes validation under the prefix of testing and the other way round; "
            "the reader takes folders at their word unless `swapped=True`.",
            "The published split draws points at random, so neighbours leak; split by blocks on your own scenes. "
            "Published F1 is 0.85 by that split and 0.59 to 0.66 on independent points.",
            "The speckle filter takes the number of looks as given; slope correction is the volume model. Indices are "
            "there (`swath.sensors.indices`), but no option joins them to the features; the authors saw little use.",
        ),
        checks=(
            "P: parameters equal the published counts for all four sets of features; the whole forward pass equals "
            "numpy layer by layer, with TensorFlow's asymmetric padding; records equal protobuf's and TensorBoard's.",
            "R: fit, predict and score on points, patches and an image in the published layout.",
            "B: beats majority and nearest centroid on simulated seasons and on labelled Landsat-7 pixels of unseen "
            "blocks; a random split scores higher than a split by blocks (docs/systems/bhutan_rice.md).",
            "H: the residual network has 45.1 times the parameters of the pixel network.",
        ),
    )
)
def bhutan_rice(
    classes: Classes | None = None,
    bands: Bands | None = None,
    features: Features = "RGBN",
    network: Literal["dnn", "unet"] = "dnn",
    variant: Literal["corrected", "published"] = "corrected",
    weights: Path | None = None,
) -> Segmentation:
    """Build the task.

    Args:
        classes: Legend of the maps; None takes the published five.
        bands: What the images hold; None takes the published `features`.
        features: The published set: colours and near infrared of two seasons (RGBN), elevation and slope (E),
            Sentinel-1 (S). Not used where `bands` are given.
        network: `dnn` sees single pixels, so that it learns from points; `unet` needs patches. The paper's U-Net is a
            residual encoder and decoder that no connection bypasses.
        variant: How inputs are scaled and the network is trained, see the card; the networks are the same.
        weights: Weights of the network: `.npz` of a Keras model, else a file of a Swath run.

    Raises:
        ConfigError: If an option is unknown.
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
    """
    for value, known in ((network, ("dnn", "unet")), (variant, ("corrected", "published"))):
        if value not in known:
            raise ConfigError("The system has no such option", got=value, expected=", ".join(known))
    bands = feature_bands(features) if bands is None else bands
    classes = CLASSES if classes is None else classes
    net = build_net(network, len(bands), len(classes))
    if variant == "corrected":
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.1
    if weights is not None:
        load_weights(net, Path(weights))
    as_it_is = Normalisation((0.0,) * len(bands), (1.0,) * len(bands))
    return Segmentation(
        net,
        bands=bands,
        classes=classes,
        recipe=_RECIPES[network, variant],
        normalisation={"image": as_it_is} if variant == "published" else None,
        stride=16 if network == "unet" else 1,
    )


def _as_published(patch: int, batch: int, augment: tuple[str, ...]) -> Recipe:
    return Recipe(
        optimizer="adam",
        weight_decay=0.0,
        schedule="constant",
        epochs=30,
        batch=batch,
        patch=patch,
        augment=augment,
    )


# A patch of 32 pixels holds 32 points of a table, so that a batch of the pixel network has 32 points, or 256.
_RECIPES = {
    ("dnn", "published"): _as_published(patch=32, batch=1, augment=()),
    ("unet", "published"): _as_published(patch=256, batch=32, augment=("d4",)),
    ("dnn", "corrected"): Recipe(epochs=30, batch=8, patch=32, augment=(), patience=8, sampling="classes"),
    ("unet", "corrected"): Recipe(epochs=30, batch=8, patch=256, augment=("d4",), patience=8),
}


def build_net(network: Literal["dnn", "unet"], channels: int, classes: int) -> nn.Module:
    """The bare network: `[B, channels, H, W]` -> logits `[B, classes, H, W]`; `unet` takes multiples of 16 pixels."""
    return XceptionSegmenter(channels, classes) if network == "unet" else PixelNetwork(channels, classes)


def load_weights(net: nn.Module, path: Path) -> None:
    """Load a list of Keras weights (`.npz`), or a file in this network's own names."""
    if path.suffix == ".npz":
        load_weight_list(net, path)
    else:
        load_into(net, load_state(path), name=str(path))
