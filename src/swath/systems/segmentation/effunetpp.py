"""EfficientNet U-Net++: buildings from aerial imagery, with a head on every node of the top row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from swath.data.classes import Classes
from swath.data.readers.mass_buildings import CLASSES
from swath.errors import ConfigError
from swath.nn.nested_unet import STRIDE, NestedUNet
from swath.registry import Card, register
from swath.sensors.catalogue import resolve
from swath.tasks.deep_supervision import DeeplySupervised
from swath.tasks.encoder_weights import load_weights
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe

if TYPE_CHECKING:
    from swath.sensors.bands import Bands


@register(
    Card(
        id="effunetpp",
        title=(
            "Performance Analysis of Various EfficientNet Based U-Net++ Architecture for Automatic Building Extraction "
            "from High Resolution Satellite Images"
        ),
        year=2023,
        task="segmentation",
        inputs="RGB aerial imagery, 1 m a pixel or reduced from 1500 to 256 pixels as published; any bands and size",
        outputs="background or building a pixel; or the classes of your data",
        reference="arXiv:2310.06847",
        weights=(
            "None were released with the paper. `weights=` takes a timm file of the encoder as it is, of which the "
            "paper starts from ImageNet's, or the weights of a Swath run."
        ),
        baseline="per pixel: majority class, nearest centroid, random forest; Otsu's threshold in the tests",
        departures=(
            "No code or weights were released: the network is U-Net++ as segmentation_models_pytorch has it, on timm's "
            "EfficientNet, with the heads of the U-Net++ paper, which segmentation_models_pytorch leaves out.",
            "Which features of the encoder the authors took at stride 2 is not known to us; ours are timm's.",
            "Loss, rate and epochs are not known to us: cross entropy and Dice, Adam with 1e-4, 50 epochs; "
            "`--loss unetpp` is the loss of the U-Net++ paper.",
            "Bytes go to -1..1 as the paper says, also with weights that were learned with other statistics.",
            "The paper reduces pictures to 256 pixels, trains and scores there (layout `mass_buildings_256`); here "
            "`mass_buildings` keeps 1 m, and scores say the building class alone and with 3 pixels of slack too.",
            "White areas where nothing was taken have no label; the paper does not say that it left them out.",
        ),
        checks=(
            "P: the last head has the logits of segmentation_models_pytorch's UnetPlusPlus with the same weights; the "
            "loss is the mean of the heads by hand; relaxed counts equal scikit-image's dilation.",
            "R: fit, score and predict on the published layout, on pictures of Dubai and with every head.",
            "B: on simulated towns and on unseen tiles of Dubai it beats Otsu's threshold and pixel classifiers.",
            "H: a pruned head gives the same logits from j (j + 1) / 2 nodes; operations and time are on the page.",
        ),
    )
)
def effunetpp(
    classes: Classes | None = None,
    bands: Bands | None = None,
    encoder: str = "efficientnet_b4",
    head: Literal["average", "1", "2", "3", "4"] = "average",
    weights: Path | None = None,
) -> DeeplySupervised:
    """Build the task.

    Args:
        classes: Legend of the maps; None takes background and building.
        bands: What the images hold; None takes RGB.
        encoder: `efficientnet_b0` to `efficientnet_b4`, of which the paper finds the last best; or any timm network
            with features of strides 2 to 32, for example `test_efficientnet`, which suits a CPU.
        head: What answers after training: the mean of all heads, or one, for which only the nodes and the stages of
            the encoder that it needs are computed.
        weights: A weights file of the encoder in timm's names, or of this whole network; the encoder's first layer,
            learned from RGB, is adapted to other bands by name and wavelength.

    Raises:
        ConfigError: If timm has no such encoder, or it has other strides, or there is no such head.
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
    """
    if head not in _HEADS:
        raise ConfigError("The system has no such head", got=head, expected=", ".join(_HEADS))
    bands = resolve("rgb") if bands is None else bands
    classes = CLASSES if classes is None else classes
    net = NestedUNet(encoder, len(bands), len(classes), _HEADS[head])
    if weights is not None:
        load_weights(net, net.encoder.model, weights, encoder, bands)
    return DeeplySupervised(
        net,
        bands=bands,
        classes=classes,
        recipe=Recipe(
            loss="ce+dice", optimizer="adam", learning_rate=1e-4, weight_decay=0.0, schedule="constant",
            epochs=50, batch=8, patch=256, augment=("d4", "colour"),
        ),
        normalisation={"image": _BYTES} if bands == resolve("rgb") else None,
        stride=STRIDE,
        target="building" if "building" in classes.names else None,
    )  # fmt: skip


_HEADS = {"average": None, "1": 1, "2": 2, "3": 3, "4": 4}
#: Bytes to -1..1.
_BYTES = Normalisation((127.5,) * 3, (127.5,) * 3)
