"""LandCover.ai's baseline: DeepLabv3+ on modified aligned Xception-71 with a Dense Prediction Cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from torch import nn

from swath.data.classes import Classes
from swath.data.readers.landcover_ai import CLASSES
from swath.errors import ConfigError
from swath.nn.deeplab import ASPP, DeepLabV3Plus, decoder_blocks, describe, timm_encoder
from swath.nn.dense_prediction_cell import DensePredictionCell
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
        id="landcover_ai",
        title=(
            "LandCover.ai: Dataset for Automatic Mapping of Buildings, Woodlands, Water and Roads from Aerial Imagery"
        ),
        year=2021,
        task="segmentation",
        inputs="RGB aerial or very-high-resolution imagery, 0.25 to 0.5 m a pixel as published; any bands and size",
        outputs="a class a pixel: background, building, woodland, water, road; or the classes of your data",
        reference="arXiv:2005.02264",
        weights=(
            "None were released with the paper. `weights=` takes a timm file of the encoder as it is (for xception71 "
            "the ImageNet weights of timm, Apache-2.0) or the weights of a Swath run. TensorFlow's Cityscapes "
            "checkpoint, from which the paper starts, is not read."
        ),
        baseline="per pixel: majority class, nearest centroid, random forest",
        departures=(
            "No code or weights of the model were released: the network is built from the paper's description, the "
            "authors' framework (DeepLab for TensorFlow) and the released wiring of the cell.",
            "The low-level features are taken after the rectifier, as timm does; TensorFlow's DeepLab takes them "
            "before it.",
            "Optimiser, learning rate and epochs are not known to us: `variant='published'` takes the framework's "
            "rule (SGD with momentum 0.9, poly decay of power 0.9, weight decay 4e-5) with our rate and length.",
            "`variant='corrected'` trains with AdamW and augments every patch anew (flips and quarter turns, colour) "
            "in place of nine fixed copies of each tile.",
            "The published lists tear sheets apart, so a test tile touches training tiles: the reader splits by "
            "sheet unless `split='published'` is asked for.",
            "Inputs are padded to 16 k + 1 pixels, the framework's own convention (513), so that logits lie on their "
            "pixels for any input size.",
        ),
        checks=(
            "P: xception71 features equal timm's; the ASPP form has the logits of segmentation_models_pytorch; the "
            "cell equals a numpy stack; each branch reaches as far as its wiring says; tiles equal TorchGeo's.",
            "R: fit, score, load and predict on the published layout; fit and score on pictures of Dubai.",
            "B: mIoU 0.482 on unseen tiles of Dubai; nearest centroid 0.371, random forest 0.345, majority 0.085.",
            "H: the cell has 0.38 of the parameters and 0.46 of the operations of the pyramid that it replaces.",
        ),
    )
)
def landcover_ai(
    classes: Classes | None = None,
    bands: Bands | None = None,
    variant: Literal["corrected", "published"] = "corrected",
    encoder: str = "xception71",
    context: Literal["dpc", "aspp"] = "dpc",
    output_stride: Literal[8, 16] = 16,
    weights: Path | None = None,
) -> Segmentation:
    """Build the task.

    Args:
        classes: Legend of the maps; None takes the published five.
        bands: What the images hold; None takes RGB.
        variant: How it is trained; the network is the same, see the card.
        encoder: Any timm network that dilates; `mobilenetv3_small_100` or `test_resnet` suit a CPU.
        context: What looks around at the encoder's last features: the Dense Prediction Cell, or the atrous pyramid.
        output_stride: Pixels a coarsest feature; 8 is finer and about four times the work.
        weights: A weights file of the encoder in timm's names, or of this whole network; the encoder's first layer,
            learned from RGB, is adapted to other bands by name and wavelength.

    Raises:
        ConfigError: If timm has no such encoder, it cannot be dilated, or another option is unknown.
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
    """
    if variant not in _RECIPES:
        raise ConfigError("The system has no such variant", got=variant, expected=", ".join(_RECIPES))
    bands = resolve("rgb") if bands is None else bands
    classes = CLASSES if classes is None else classes
    net = build_net(len(bands), len(classes), encoder, context, output_stride)
    expected = None
    if weights is not None and load_weights(net, net.encoder, weights, encoder, bands) == "encoder":
        expected = encoder_normalisation(encoder, bands)
    return Segmentation(
        net,
        bands=bands,
        classes=classes,
        recipe=_RECIPES[variant],
        normalisation=None if expected is None else {"image": expected},
    )


_RECIPES = {
    "corrected": Recipe(learning_rate=5e-4, epochs=40, batch=8, patch=512, augment=("d4", "colour")),
    "published": Recipe(
        optimizer="sgd",
        learning_rate=0.007,
        weight_decay=4e-5,
        schedule="poly",
        epochs=40,
        batch=8,
        patch=512,
        augment=(),
    ),
}


def build_net(
    channels: int, classes: int, encoder: str, context: Literal["dpc", "aspp"], output_stride: int
) -> DeepLabV3Plus:
    """The bare network: normalised `[B, channels, H, W]` -> logits `[B, classes, H, W]`."""
    features = timm_encoder(encoder, channels, output_stride)
    width = describe(features)[1][-1]
    finer = 16 // output_stride
    around: nn.Module
    if context == "dpc":
        around = DensePredictionCell(width, multiplier=finer)
    elif context == "aspp":
        around = ASPP(width, rates=tuple(finer * rate for rate in (6, 12, 18)))
    else:
        raise ConfigError("The network has no such context module", got=context, expected="dpc or aspp")
    return DeepLabV3Plus(features, around, decoder_blocks(), classes)


def encoder_normalisation(encoder: str, bands: Bands) -> Normalisation | None:
    """What timm's weights of the encoder expect of 8-bit RGB, for xception71 -1..1; None for other bands."""
    import timm

    if len(bands) != 3 or set(bands.units) != {"dn"}:
        return None
    expected = timm.get_pretrained_cfg(encoder, allow_unregistered=True)
    if expected is None:
        return None
    return Normalisation(tuple(255 * v for v in expected.mean), tuple(255 * v for v in expected.std))
