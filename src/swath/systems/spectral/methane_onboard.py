"""Methane on board: spectral filters that are cheap enough for a satellite's own computer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from swath.errors import ConfigError
from swath.registry import Card, register, register_form
from swath.spectral.mapping import FilterName, Mapper
from swath.spectral.selection import Strategy
from swath.spectral.statistics import Precision
from swath.tasks.gas_mapping import GasMapping

if TYPE_CHECKING:
    from swath.tasks.gas_network import GasNetwork, TrainedGasNetwork


def __getattr__(name: str) -> Any:
    """Tasks with a network are loaded when they are asked for: filters do without torch."""
    if name not in ("GasNetwork", "TrainedGasNetwork"):
        raise AttributeError(name)
    from swath.tasks import gas_network

    return getattr(gas_network, name)


@register(
    Card(
        id="methane_onboard",
        title="Optimizing Methane Detection On Board Satellites",
        year=2025,
        task="gas mapping",
        inputs="Radiance cube with wavelengths up to 2490 nm: ENVI (AVIRIS-NG), EMIT L1B NetCDF, or a GeoTIFF a band",
        outputs="Methane enhancement in ppm m, plume mask, plume table (area, mass, length, uncertainty), quicklook",
        reference="arXiv:2606.03675, doi:10.1109/TGRS.2020.2976888 (Mag1c)",
        weights="LinkNet as ONNX in the package onboard-methane-detection (MIT and BSD-3)",
        baseline="ratio of an absorbed to a clear band, with its best threshold",
        departures=(
            "Absorption is per ppm m; the releases take it per 100000 ppm m, unsaid, and give zeros otherwise.",
            "Mag1c updates its covariance by terms of rank two: equal results, one pass over the pixels an iteration.",
            "Mag1c-SAS samples at least four pixels a band; variant `published` takes one per cent however few.",
            "Tiles of a cube are of equal size; the release pads with zeros at the edges and leaves slivers.",
            "Saturated pixels (mag1c's 6 uW cm-2 sr-1 nm-1) and stuck columns are no data, not background.",
            "A column's statistics need two valid pixels a band; the release drops columns with any invalid pixel.",
            "The matched filter's map is in ppm m: 100000 times the unitless score of the release.",
            "Our choice: mass uncertainty is the spread of a plume's mask over plume-free places of the map.",
            "Networks learn by plain cross entropy from patches drawn by class; the paper weighs pixels by Mag1c.",
            "Our choice: STARCOP's tiles are taken as W m-2 sr-1 um-1; every filter but CEM ignores the unit.",
        ),
        checks=(
            "P: filters within 1e-8 of mag1c 1.2.0, onboard-methane-detection 0.1.2 and Spectral Python; absorption "
            "and band selection equal the release.",
            "P: the trained LinkNet gives the probabilities of the package's own pipeline to 1e-4.",
            "R: fit, predict and score from the command line on ENVI cubes and the STARCOP layout, all three forms.",
            "B: beats the band ratio on a simulated cube with plumes by Beer and Lambert.",
            "H: ratios of run time to the reference's Mag1c: benchmarks/methane.py.",
        ),
        extra="methane",
    )
)
def methane_onboard(
    method: FilterName = "mag1c_sas",
    bands_used: int | None = 50,
    strategy: Strategy = "variance",
    absorption: Path | None = None,
    threshold: float | None = None,
    tile: int = 512,
    columns: int = 1,
    precision: Precision = "float64",
    variant: Literal["corrected", "published"] = "corrected",
) -> GasMapping:
    """Build the task.

    Args:
        method: Which filter; `mag1c_columns` is the slow one of the field, `mag1c_sas` the paper's.
        bands_used: How many bands it sees; None takes all candidates.
        strategy: How they are chosen: `variance` of the absorption, strongest `absorption`, or `even` in 2122-2488 nm.
        absorption: CSV `wavelength,absorption` in nm and per ppm m; None takes methane of the package
            onboard-methane-detection. Columns are slant columns, unless the table holds the air mass factor.
        threshold: Of plumes, in the map's unit; None takes the published one.
        tile: Edge of a tile, about, pixels.
        columns: Neighbouring detector columns that share statistics, of `mag1c_columns`.
        precision: `float32` is faster; its error is stated in the page of the system.
        variant: See the card.

    Raises:
        ConfigError: If an option is unknown.
    """
    if variant not in ("corrected", "published"):
        raise ConfigError("The system has no such variant", got=variant, expected="corrected or published")
    table = None if absorption is None else Path(absorption)
    mapper = Mapper(method, table, bands_used, strategy, tile, columns, precision, variant == "published")
    return GasMapping(mapper, threshold)


@register_form("methane_onboard:network")
def methane_network(
    network: Literal["linknet", "unet"] = "linknet",
    method: Literal["mag1c_sas", "mag1c", "mag1c_columns", "matched_filter"] = "mag1c_sas",
    bands_used: int | None = 50,
    band_strategy: Strategy = "variance",
    absorption: Path | None = None,
    factors: Literal["aviris_ng", "emit"] = "aviris_ng",
    weights: Path | None = None,
) -> GasNetwork:
    """Build a network to be trained on red, green, blue and the enhancement that a filter finds.

    Args:
        network: LinkNet on a minimal MobileNetV3, which the paper takes on board, or U-Net on MobileNetV2.
        method: The filter whose map it sees.
        bands_used: How many bands the filter sees; None takes all candidates.
        band_strategy: How they are chosen; see `methane_onboard`.
        absorption: CSV `wavelength,absorption`; see `methane_onboard`.
        factors: Whose published factors divide what it sees.
        weights: A weights file of the network, by the names of segmentation_models_pytorch.

    Raises:
        ConfigError: If there is no such network.
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
    """
    import segmentation_models_pytorch as smp

    from swath.tasks.gas_network import GasNetwork
    from swath.tasks.recipe import Recipe
    from swath.tasks.weights import load_into, load_state

    sizes = {"in_channels": 4, "classes": 2, "encoder_weights": None}
    if network == "linknet":
        net = smp.Linknet("tu-tf_mobilenetv3_small_minimal_100", **sizes)
    elif network == "unet":
        net = smp.Unet("mobilenet_v2", **sizes)
    else:
        raise ConfigError("There is no such network", got=network, expected="linknet or unet")
    if weights is not None:
        load_into(net, load_state(weights), name=str(weights))
    recipe = Recipe(epochs=40, batch=32, patch=128, sampling="classes")
    return GasNetwork(net, _product_mapper(method, bands_used, band_strategy, absorption), factors, recipe)


@register_form("methane_onboard:trained")
def methane_trained(
    method: Literal["mag1c_sas", "mag1c", "mag1c_columns", "matched_filter"] = "mag1c_sas",
    bands_used: int | None = 50,
    band_strategy: Strategy = "variance",
    absorption: Path | None = None,
    factors: Literal["aviris_ng", "emit"] = "aviris_ng",
) -> TrainedGasNetwork:
    """Build the authors' trained LinkNet, which needs no training.

    Args:
        method: The filter whose map it sees.
        bands_used: How many bands the filter sees; None takes all candidates.
        band_strategy: How they are chosen; see `methane_onboard`.
        absorption: CSV `wavelength,absorption`; see `methane_onboard`.
        factors: Whose published factors divide what it sees.
    """
    from swath.tasks.gas_network import TrainedGasNetwork

    return TrainedGasNetwork(_product_mapper(method, bands_used, band_strategy, absorption), factors)


def _product_mapper(method: FilterName, count: int | None, strategy: Strategy, absorption: Path | None) -> Mapper:
    return Mapper(method, None if absorption is None else Path(absorption), count, strategy)
