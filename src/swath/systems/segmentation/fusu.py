"""FUSU: land use at two dates and its change, from fine images of both and a monthly series of coarse ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from swath.data.classes import Classes
from swath.data.readers.fusu import CLASSES, IMAGE, SERIES, VIEW
from swath.data.series import SeriesInput
from swath.errors import ConfigError
from swath.nn.siamese_change import AFTER, BEFORE, SiameseChange
from swath.registry import Card, register
from swath.sensors.bands import Bands
from swath.tasks.land_use_change import LandUseChange
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.weights import load_into, load_state

if TYPE_CHECKING:
    from torch import Tensor


@register(
    Card(
        id="fusu",
        title=(
            "FUSU: A Multi-temporal-source Land Use Change Segmentation Dataset for Fine-grained Urban Semantic "
            "Understanding"
        ),
        year=2024,
        task="land use change",
        inputs="RGB images of two dates, 0.2 to 0.5 m, and monthly Sentinel-2 and Sentinel-1 around them at 10 m",
        outputs="land use at both dates (17 classes, or yours), a map of change, a table of what became what",
        reference="arXiv:2405.19055",
        weights=(
            "None are published. `weights=` takes a checkpoint of the authors' code (MIT) in its own names, or the "
            "weights of a Swath run."
        ),
        baseline="majority without change; image difference by a threshold; random forests of single pixels, compared",
        departures=(
            "The paper's heads of land use are atrous pyramids, the code's one convolution: `heads` is `aspp` or "
            "`fcn`; `variant='published'` takes `fcn`.",
            "The code takes the mean of the series of the first patch of a batch for all patches of it; corrected "
            "takes each patch's own.",
            "The code leaves the dates of a series out and lists its files in the order of the disk; corrected gives "
            "the attention days since New Year, as U-TAE has it.",
            "The code's attention normalises over padded dates too, so that their number changes the result; "
            "corrected leaves them out.",
            "The code cuts logits of land use to 0..1 before their cross entropy; corrected does not.",
            "The code divides bytes by 255 and then normalises with statistics of bytes; corrected normalises bytes.",
            "The code cuts 26 of 128 pixels of the series for every image; corrected samples the ground that the image "
            "shows, from `pixel`.",
            "The code trains on labels 0..17 with 17 outputs and adds 1 when it scores; here an output is a class, and "
            "background is no label. What the outputs of a checkpoint mean is taken as the code scores them.",
            "The code's network takes 15 channels of a series that has 14; here as many as the series has.",
            "The code's test-time views do not turn the series; here they do, and there are eight, not six.",
            "README and code name classes 8 and 9 the other way round; the README is followed.",
            "Scale and unit of the Sentinel bands are not known to us; they are taken as stored numbers.",
        ),
        checks=(
            "P: U-TAE has the published 1,089,564 parameters at 14 channels; attention, fusion and scores equal their "
            "formulas; swapped dates swap the maps and leave the change; each defect is shown by a test.",
            "R: fit, score and predict from the command line on both published layouts and on a user's YAML.",
            "B: where images look alike and the series does not, land use has mIoU 0.977, a forest with the series "
            "0.965; the head of change has F1 0.914, image difference 0.913, the forest 0.998.",
            "H: parameters and operations of the series' branch beside those of the images' are on the page.",
        ),
    )
)
def fusu(
    classes: Classes | None = None,
    bands: Bands | Mapping[str, Bands] | None = None,
    series: Mapping[str, SeriesInput] | None = None,
    encoder: str = "hrnet_w18",
    variant: Literal["corrected", "published"] = "corrected",
    heads: Literal["aspp", "fcn"] | None = None,
    fusion: bool = True,
    pixel: float = 0.5,
    weights: Path | None = None,
) -> LandUseChange:
    """Build the task.

    Args:
        classes: Land uses; None takes the published seventeen.
        bands: What the image of each date holds; None takes RGB.
        series: The series, at most one; without a view it is read as the published one, 128 pixels of 10 m. None takes
            the published fourteen bands.
        encoder: A HRNet of timm; `hrnet_w18_small` suits a CPU.
        variant: `published` computes what the authors' code does.
        heads: Of land use: atrous pyramids or one convolution; None takes those of the variant.
        fusion: Whether the series is used; without it the network is that of the images alone.
        pixel: Edge of an image's pixel in metres, by which its place in the series is found.
        weights: A checkpoint of the authors' code, or the weights of a Swath run.

    Raises:
        ConfigError: If timm has no such encoder, dates have different bands, there are several series, or another
            option is unknown.
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
    """
    if variant not in ("corrected", "published") or heads not in ("aspp", "fcn", None) or not pixel > 0:
        raise ConfigError("The system has no such option", got=f"variant {variant}, heads {heads}, pixel {pixel}")
    published = variant == "published"
    image, taken = _image_bands(bands), _taken(series) if fusion else {}
    classes = CLASSES if classes is None else classes
    view = next((wanted.view for wanted in taken.values()), None) or VIEW
    net = SiameseChange(
        encoder,
        len(image),
        len(classes),
        next((len(wanted.bands) for wanted in taken.values()), None),
        pixel / (view.resolution * view.size),
        heads or ("fcn" if published else "aspp"),
        dated=not published,
        published=published,
    )
    if weights is not None:
        load_into(net, _own_names(load_state(weights)), name=str(weights))
    statistics = {}
    if image.names == IMAGE.names and image.units == IMAGE.units:
        statistics = dict.fromkeys((BEFORE, AFTER), _TWICE if published else _BYTES)
    if published:
        statistics |= {n: Normalisation((0.0,) * len(s.bands), (1.0,) * len(s.bands)) for n, s in taken.items()}
    return LandUseChange(
        net,
        bands=image,
        classes=classes,
        recipe=Recipe(
            optimizer="adam", learning_rate=1.5e-4, weight_decay=1e-4, schedule="poly", epochs=100, batch=8, patch=512,
            augment=("d4",),
        ),
        normalisation=statistics or None,
        series=taken,
        published=published,
        faster=10.0,
        pixel=pixel if taken else None,
    )  # fmt: skip


_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
#: Statistics of ImageNet in bytes, and as the authors' code applies them, after a division by 255.
_BYTES = Normalisation(_MEAN, _STD)
_TWICE = Normalisation(tuple(255 * v for v in _MEAN), tuple(255 * v for v in _STD))


def _image_bands(bands: Bands | Mapping[str, Bands] | None) -> Bands:
    if bands is None:
        return IMAGE
    if isinstance(bands, Bands):
        return bands
    if bands.keys() != {BEFORE, AFTER} or bands[BEFORE].names != bands[AFTER].names:
        raise ConfigError(
            "The system needs the same bands at two dates",
            got={name: layer.names for name, layer in bands.items()},
            expected=f"layers {BEFORE} and {AFTER}",
        )
    return bands[BEFORE]


def _taken(series: Mapping[str, SeriesInput] | None) -> dict[str, SeriesInput]:
    """The series as the network reads it."""
    if series is None:
        return {"monthly": SeriesInput(SERIES, VIEW)}
    if len(series) > 1:
        raise ConfigError("The system takes one series", got=", ".join(series), fix="Stack their bands in one")
    return {name: SeriesInput(wanted.bands, wanted.view or VIEW) for name, wanted in series.items()}


#: Names in the authors' code, as regular expressions, and what they are here; what has no name here is not used there.
_NAMES = (
    (r"backbone\.(.*)", r"encoder.net.\1"),
    (r"fusion\.in_conv\.conv\.conv\.([0-2])\.(.*)", r"series.embed.0.\1.\2"),
    (r"fusion\.in_conv\.conv\.conv\.3\.(.*)", r"series.embed.1.0.\1"),
    (r"fusion\.in_conv\.conv\.conv\.4\.(.*)", r"series.embed.1.1.\1"),
    (r"fusion\.down_blocks\.(\d)\.down\.conv\.(.*)", r"series.down.\1.shrink.\2"),
    (r"fusion\.(down|up)_blocks\.(\d)\.conv1\.conv\.(.*)", r"series.\1.\2.first.\3"),
    (r"fusion\.(down|up)_blocks\.(\d)\.conv2\.conv\.(.*)", r"series.\1.\2.second.\3"),
    (r"fusion\.up_blocks\.(\d)\.skip_conv\.(.*)", r"series.up.\1.skip.\2"),
    (r"fusion\.up_blocks\.(\d)\.up\.(.*)", r"series.up.\1.enlarge.\2"),
    (r"fusion\.temporal_encoder\.attention_heads\.Q", "series.temporal.query"),
    (r"fusion\.temporal_encoder\.attention_heads\.fc1_k\.(.*)", r"series.temporal.keys.\1"),
    (r"fusion\.temporal_encoder\.inconv\.(.*)", r"series.temporal.widen.\1"),
    (r"fusion\.temporal_encoder\.in_norm\.(.*)", r"series.temporal.normalise.\1"),
    (r"fusion\.temporal_encoder\.out_norm\.(.*)", r"series.temporal.renormalise.\1"),
    (r"fusion\.temporal_encoder\.mlp\.(.*)", r"series.temporal.mix.\1"),
    (r"fm_utae_featmap_cropped\.conv_list\.3\.(.*)", r"fusion.cropped.\1"),
    (r"fm_utae_featmap_collapsed\.mlps\.3\.(.*)", r"fusion.collapsed.\1"),
    (r"head\.head\.(.*)", r"land_use.\1"),
    (r"head_bin\.conv5\.([1-9])\.(.*)", r"change.\1.\2"),
)
#: Parts of the authors' network whose results go nowhere.
_UNUSED = re.compile(
    r"fusion\.out_conv\.|fm_utae_featmap_(cropped\.conv_list|collapsed\.mlps)\.[0-2]\.|head_bin\.conv5\.0\.fusion\."
)


def _own_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a checkpoint of the authors' code by the names of `SiameseChange`; others as they are."""
    plain = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    if not any(key.startswith("backbone.") for key in plain):
        return plain
    renamed = {}
    for key, tensor in plain.items():
        if not _UNUSED.match(key):
            # the projection before the attention is a convolution over one date there
            renamed[_own_name(key)] = tensor.squeeze(-1) if key.endswith("temporal_encoder.inconv.weight") else tensor
    return renamed


def _own_name(key: str) -> str:
    if level := re.fullmatch(r"head_bin\.conv5\.0\.conv([1-4])\.([01])\.(.*)", key):
        return f"change.0.levels.{int(level[1]) - 1}.{int(level[2]) + 1}.{level[3]}"
    for pattern, name in _NAMES:
        if re.fullmatch(pattern, key):
            return re.sub(pattern, name, key)
    return key
