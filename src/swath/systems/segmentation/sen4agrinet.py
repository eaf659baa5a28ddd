"""Sen4AgriNet: which crop grows where, from a year of Sentinel-2; by pixel, and by parcel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from swath.data.classes import Classes
from swath.data.readers.sen4agrinet import BANDS, CLASSES, OTHER, PUBLISHED
from swath.data.readers.sen4agrinet_oad import MONTHS, parcel_features
from swath.data.series import SeriesInput
from swath.errors import ConfigError
from swath.nn.conv_lstm import ConvLSTM
from swath.nn.conv_star import ConvSTAR
from swath.nn.sequence_lstm import SequenceLSTM
from swath.nn.sequence_transformer import SequenceTransformer
from swath.nn.series_unet import SeriesUNet
from swath.nn.temp_cnn import PixelTempCNN, TempCNN
from swath.registry import Card, register, register_form
from swath.sensors.bands import Bands
from swath.sensors.catalogue import sensor
from swath.tasks.crop_map import CropMapping
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.sequences import SequenceClassification
from swath.tasks.weights import load_into, load_state

if TYPE_CHECKING:
    from torch import nn


@register(
    Card(
        id="sen4agrinet",
        title=(
            "A Sentinel-2 Multiyear, Multicountry Benchmark Dataset for Crop Classification and Segmentation With Deep "
            "Learning"
        ),
        year=2022,
        task="segmentation",
        inputs="a year of Sentinel-2 L1C, as published B02 B03 B04 B08, monthly medians April to September; any bands",
        outputs="the crop of each pixel, eleven as published; `sen4agrinet:oad`: the crop of each parcel",
        reference="10.1109/JSTARS.2022.3164771",
        weights=(
            "None were released. `weights=` takes a checkpoint of the release's trainer, or the weights of a Swath run."
        ),
        baseline="majority class, nearest centroid, random forest; the month in which NDVI is highest",
        departures=(
            "In the release the ConvLSTM's decoder is fed zeros at every level, so that four of its six levels reach "
            "nothing: 83 % of its parameters do not matter. `corrected` joins the levels.",
            "The release makes log-probabilities whole numbers before it takes the largest; ours takes the largest.",
            "The release drops row and column 0 of the confusion matrix, so that predicted background costs no recall. "
            "Here it counts as a miss. Its accuracy counts true negatives; ours is the share of pixels that are right.",
            "The release's data module for parcels reads the table of the test part for all parts; here each part has "
            "its own.",
            "The release's pixel-wise TempCNN sees 3 bands, one pixel at a time; here all bands, at every pixel.",
            "Published parcels are fed as counts of 10 000; `corrected` standardises them by the training part.",
            "The published schedules (halved after 4 epochs without gain; a tenth after 30) are a constant rate here.",
            "The files were not at hand: coordinates are taken as middles of pixels, the CRS from the tile, and where "
            "all bands are zero nothing was seen.",
            "Scenarios take all patches that there are, not a sample of 5000, and test on all of the other country.",
        ),
        checks=(
            "P: parameters equal the published counts (U-Net 1,878,220, ConvLSTM 9,032,844, ConvSTAR 263,820; LSTM "
            "15,341,579, TempCNN 719,755, transformer 171,927); monthly medians equal xarray's, also of an empty first "
            "and last month; statistics of parcels equal numpy's; the parcel loss is what it is by hand.",
            "R: fit, score and predict on the published layouts, and on a user's own parcels and images.",
            "B: on real NDVI of Slovenia the U-Net has macro F1 0.620, random forest 0.566, peak rule 0.372, majority "
            "0.214; on simulated parcels TempCNN has 0.419 and loses to a forest, 0.469; with seasons shifted by 25 "
            "days 0.289 and 0.278, forest 0.228 and 0.196; on 24 crops of UCR without copies 0.681, forest 0.651.",
            "H: ConvSTAR has 2.9 % of the parameters of the ConvLSTM, the transformer 1.1 % of those of the LSTM.",
        ),
        extra="netcdf",
    )
)
def sen4agrinet(
    classes: Classes | None = None,
    series: Mapping[str, SeriesInput] | None = None,
    network: Literal["convlstm", "convstar", "unet", "tempcnn"] = "unet",
    variant: Literal["corrected", "published"] = "corrected",
    months: tuple[int, int] = (4, 9),
    weights: Path | None = None,
) -> CropMapping:
    """Build the segmentation.

    Args:
        classes: Legend of the maps; None takes the published eleven and `other crops`. A class of that name lies in
            parcels, but is neither learned nor scored.
        series: What the images of the series hold; None takes the published four bands.
        network: U-Net on all months at once, ConvLSTM, ConvSTAR, or TempCNN on each pixel by itself.
        variant: Which ConvLSTM, see the card; the other networks are the same.
        months: First and last month of the composites.
        weights: A checkpoint of the release's trainer, or a file of a Swath run.

    Raises:
        ConfigError: If an option is unknown, or there are several series.
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
    """
    bands = sensor("sentinel2_l1c").select(BANDS) if series is None else _only(series)
    classes = CLASSES if classes is None else classes
    _require(variant, ("corrected", "published"))
    first, last = months
    steps, channels, count = last - first + 1, len(bands), len(classes)
    net: nn.Module
    match network:
        case "unet":
            net = SeriesUNet(steps * channels, count)
        case "convlstm":
            net = ConvLSTM(channels, count, joined=variant == "corrected")
        case "convstar":
            net = ConvSTAR(channels, count)
        case _:
            _require(network, ("tempcnn", "convlstm", "convstar", "unet"))
            net = PixelTempCNN(TempCNN(channels, count, steps, hidden=64, kernel=5, dropout=0.5))
    if weights is not None:
        _load(net, weights, network)
    reflectance = all(unit == "reflectance" for unit in bands.units)
    return CropMapping(
        net,
        bands=bands,
        classes=classes,
        months=months,
        recipe=_MAPS,
        other=OTHER,
        normalisation=Normalisation((0.0,) * channels, (1.0,) * channels) if reflectance else None,
    )


@register_form("sen4agrinet:oad")
def sen4agrinet_oad(
    classes: Classes | None = None,
    bands: Bands | None = None,
    length: int = len(MONTHS),
    network: Literal["lstm", "tempcnn", "transformer"] = "tempcnn",
    variant: Literal["corrected", "published"] = "corrected",
    width: int | None = None,
    weights: Path | None = None,
) -> SequenceClassification:
    """Build the classification of parcels.

    Args:
        classes: The crops; None takes the published eleven.
        bands: What the numbers of a step are; None takes mean and deviation of the thirteen bands.
        length: Steps of a sequence; None takes the published seven months.
        network: A bidirectional LSTM, TempCNN, or a transformer.
        variant: How numbers are scaled, see the card; the networks are the same.
        width: Width of the transformer's tokens, which then are a linear map of the numbers; None takes the numbers as
            they are, whose count must be even.
        weights: A checkpoint of the release's trainer, or a file of a Swath run.

    Raises:
        ConfigError: If an option is unknown, or the transformer's width is odd.
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
    """
    features = parcel_features() if bands is None else bands
    classes = PUBLISHED if classes is None else classes
    _require(variant, ("corrected", "published"))
    channels, count = len(features), len(classes)
    net: nn.Module
    match network:
        case "lstm":
            net = SequenceLSTM(channels, count)
        case "tempcnn":
            net = TempCNN(channels, count, length)
        case _:
            _require(network, ("transformer", "lstm", "tempcnn"))
            net = SequenceTransformer(channels, count, width, longest=max(30, length))
    if weights is not None:
        _load(net, weights, network)
    counts = Normalisation((0.0,) * channels, (1e-4,) * channels)
    return SequenceClassification(
        net,
        features=features,
        classes=classes,
        steps=length,
        recipe=_PARCELS,
        normalisation=counts if variant == "published" else None,
    )


_MAPS = Recipe(
    loss="parcel", optimizer="adam", weight_decay=0.0, schedule="constant", epochs=10, batch=32, patch=61, augment=(),
    class_weights="inverse", clip=10.0,
)  # fmt: skip
_PARCELS = Recipe(optimizer="adam", weight_decay=0.0, schedule="constant", epochs=10, batch=512, augment=())

#: Names in checkpoints of the release, as patterns, and what they are called here.
_NAMES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "unet": (
        (r"layers\.0\.net", "down.0"),
        (r"layers\.([12])\.net\.1\.net", r"down.\1"),
        (r"layers\.3\.conv\.net", "up.0.conv"),
        (r"layers\.3\.upsample", "up.0.upsample"),
        (r"layers\.4\.conv\.net", "up.1.conv"),
        (r"layers\.4\.upsample", "up.1.upsample"),
        (r"layers\.5", "head"),
    ),
    "convlstm": (
        ("conv_1e", "encoder.0.conv"), ("conv_2e", "encoder.1.conv"), ("conv_3e", "encoder.2.conv"),
        ("clstm_1e", "encoder.0.cell"), ("clstm_2e", "encoder.1.cell"), ("clstm_3e", "encoder.2.cell"),
        ("clstm_1d", "decoder.0.cell"), ("clstm_2d", "decoder.1.cell"), ("clstm_3d", "decoder.2.cell"),
        ("transconv_1d", "decoder.0.conv"), ("transconv_2d", "decoder.1.conv"), ("transconv_3d", "decoder.2.conv"),
        ("transconv_4d", "head"),
    ),
    "convstar": ((r"ConvSTARCell_0(\d)", r"cells.\1"), ("conv2d", "head")),
    "lstm": (("fc1", "dense"), ("fc2", "head")),
    "tempcnn": (
        *((rf"conv_bn_relu{n}\.block", f"blocks.{n - 1}") for n in (1, 2, 3)),
        (r"dense\.block", "dense"),
        (r"logsoftmax\.0", "head"),
    ),
    "transformer": (
        ("transformer_encoder", "encoder"), (r"pos_encoder\.pe", "positions.table"), ("fc", "head"),
    ),
}  # fmt: skip


def _load(net: nn.Module, path: Path, network: str) -> None:
    """Load a checkpoint of the release, or a file of this network."""
    prefix = "net." if isinstance(net, PixelTempCNN) else ""

    def rename(key: str) -> str | None:
        if key == "lossfunction.weight":
            return None  # weights of classes
        for pattern, name in _NAMES[network]:
            found, count = re.subn(rf"^{pattern}(?=\.|$)", name, key)
            if count:
                return prefix + found
        return key

    load_into(net, load_state(path), rename, name=str(path))


def _only(series: Mapping[str, SeriesInput]) -> Bands:
    if len(series) != 1:
        raise ConfigError("The system takes one series", got=", ".join(series) or "none", expected="one `series:`")
    return next(iter(series.values())).bands


def _require(value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError("The system has no such option", got=value, expected=", ".join(known))
