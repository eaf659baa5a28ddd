"""Networks on the product of a filter: red, green, blue and enhancement in, plume out.

The release ships its trained LinkNet as ONNX in the package `onboard-methane-detection`; it runs through onnxruntime.
U-Net and LinkNet to be trained are those of segmentation-models-pytorch, with the encoders of the paper.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from swath.errors import ConfigError, MissingExtraError, WeightsError
from swath.sensors.bands import Band, Bands

if TYPE_CHECKING:
    from swath.tasks.segment import Segmentation

#: What the bands are divided by before they are cut at 0 and 2: the published factors.
FACTORS = {
    "aviris_ng": (247.29258728, 280.84561157, 299.62350464, 1218.28137207),
    "emit": (98.91703491, 112.33824463, 119.84940185, 2436.56274414),
}
#: Centres of red, green and blue, nm.
COLOURS_NM = (640.0, 550.0, 460.0)
#: The bands of a product: three of radiance, and the enhancement.
PRODUCT = Bands(
    "gas_product",
    (
        *(Band(name, "radiance", nm) for name, nm in zip(("red", "green", "blue"), COLOURS_NM, strict=True)),
        Band("enhancement", "ppm m"),
    ),
)
_MULTIPLE = 32


def normalised(product: np.ndarray, sensor: Literal["aviris_ng", "emit"]) -> np.ndarray:
    """`product` `[4, height, width]` as the networks take it, float32, 0 to 2; NaN becomes 0.

    Raises:
        ConfigError: If the factors of the sensor are not known.
    """
    if sensor not in FACTORS:
        raise ConfigError("There are no factors for this sensor", got=sensor, expected=", ".join(FACTORS))
    factors = np.array(FACTORS[sensor], np.float32).reshape(-1, 1, 1)
    return np.clip(np.nan_to_num(product).astype(np.float32) / factors, 0, 2)


def trained_probabilities(
    product: np.ndarray, sensor: Literal["aviris_ng", "emit"], model: Path | None = None
) -> np.ndarray:
    """Probability of plume `[height, width]`, float32, by the trained LinkNet.

    Args:
        product: Red, green, blue and enhancement in ppm m, `[4, height, width]`.
        sensor: Whose factors normalise it.
        model: ONNX file; None takes that of the package.

    Raises:
        MissingExtraError: If a package is missing.
        WeightsError: If the model is damaged, or takes another number of bands.
        ConfigError: If the factors of the sensor are not known.
    """
    try:
        import onnxruntime  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "methane") from error
    path = _shipped() if model is None else model
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has an error class of its own for each way to be damaged
        raise WeightsError(f"{path} cannot be read as an ONNX model", got=str(error)[:200]) from error
    taken = session.get_inputs()[0]
    if len(taken.shape) != 4 or taken.shape[1] != len(PRODUCT):
        raise WeightsError(f"{path} takes another input", got=taken.shape, expected="[batch, 4, height, width]")
    height, width = product.shape[1:]
    padding = [(size // 2, size - size // 2) for size in (-height % _MULTIPLE, -width % _MULTIPLE)]
    padded = np.pad(normalised(product, sensor), [(0, 0), *padding])
    logits = session.run(None, {taken.name: padded[None]})[0][0, 0]
    (top, _), (left, _) = padding
    return np.asarray(1 / (1 + np.exp(-logits[top : top + height, left : left + width])), np.float32)


def segmentation(network: Literal["linknet", "unet"] = "linknet") -> Segmentation:
    """A network to be trained on products: the task for collections whose images have the bands `PRODUCT`.

    Raises:
        ConfigError: If there is no such network.
    """
    import segmentation_models_pytorch as smp

    from swath.data.readers.methane_onboard import CLASSES
    from swath.tasks.recipe import Recipe
    from swath.tasks.segment import Segmentation

    sizes = {"in_channels": len(PRODUCT), "classes": 2, "encoder_weights": None}
    if network == "linknet":
        net = smp.Linknet("tu-tf_mobilenetv3_small_minimal_100", **sizes)
    elif network == "unet":
        net = smp.Unet("mobilenet_v2", **sizes)
    else:
        raise ConfigError("There is no such network", got=network, expected="linknet or unet")
    recipe = Recipe(epochs=40, batch=32, patch=128, sampling="classes", class_weights="inverse")
    return Segmentation(net, bands=PRODUCT, classes=CLASSES, recipe=recipe, stride=_MULTIPLE)


def _shipped() -> Path:
    found = importlib.util.find_spec("onboard_methane_detection")
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError("onboard-methane-detection", "methane")
    return Path(found.submodule_search_locations[0]) / "inference" / "linknet_exported_dynamic.onnx"
