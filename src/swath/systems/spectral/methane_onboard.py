"""Methane on board: spectral filters that are cheap enough for a satellite's own computer."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from swath.errors import ConfigError
from swath.registry import Card, register
from swath.spectral.mapping import FilterName, Mapper
from swath.spectral.selection import Strategy
from swath.spectral.statistics import Precision
from swath.tasks.gas_mapping import GasMapping


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
            "Our choice: STARCOP's tiles are taken as W m-2 sr-1 um-1; every filter but CEM ignores the unit.",
        ),
        checks=(
            "P: filters within 1e-8 of mag1c 1.2.0, onboard-methane-detection 0.1.2 and Spectral Python; absorption "
            "and band selection equal the release.",
            "R: fit, predict and score from the command line on ENVI cubes and the STARCOP layout.",
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
