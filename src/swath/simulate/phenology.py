"""Phenology: how much of the ground is green, dry or bare on a day of the year, by crop and by kind of plant cover.

Green cover is a double logistic of the day (Beck et al. 2006):
g(t) = low + (high - low) (1 / (1 + exp(-k1 (t - t1))) - 1 / (1 + exp(-k2 (t - t2)))).
What greens down turns into dry matter until the harvest; then stubble lies for some weeks and the soil is bare.
The dates are ours, near those of central Europe; they stand as data in `CROPS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Crop:
    """The year of a crop on days 1..365.

    Attributes:
        share: Share of farmland that it takes.
        landuse: OpenStreetMap `landuse` of its parcels.
        high: Largest green cover, 0..1.
        low: Green cover outside of the season, 0..1.
        rise: Day of half greening and its rate per day.
        fall: Day of half senescence and its rate per day.
        harvest: Day of harvest.
        flower: First and last day of visible flowers and the share of the cover that they take.
        flooded: First and last day of standing water, for paddies.
        yield_: Mean yield, t/ha; 0 where none is counted.
    """

    share: float
    landuse: str = "farmland"
    high: float = 0.92
    low: float = 0.05
    rise: tuple[float, float] = (130, 0.08)
    fall: tuple[float, float] = (240, 0.08)
    harvest: float = 270
    flower: tuple[float, float, float] | None = None
    flooded: tuple[float, float] | None = None
    yield_: float = 0.0


CROPS = {
    "winter_wheat": Crop(0.26, low=0.12, high=0.93, rise=(92, 0.07), fall=(188, 0.12), harvest=208, yield_=7.5),
    "maize": Crop(0.19, high=0.95, rise=(168, 0.09), fall=(258, 0.07), harvest=280, yield_=9.5),
    "rapeseed": Crop(
        0.10, low=0.22, high=0.94, rise=(78, 0.08), fall=(178, 0.12), harvest=198, flower=(112, 138, 0.7), yield_=3.4
    ),
    "sugar_beet": Crop(0.06, high=0.95, rise=(150, 0.09), fall=(300, 0.05), harvest=292, yield_=70.0),
    "potato": Crop(0.05, high=0.9, rise=(155, 0.1), fall=(240, 0.09), harvest=262, yield_=42.0),
    "sunflower": Crop(
        0.05, high=0.88, rise=(158, 0.1), fall=(236, 0.1), harvest=262, flower=(188, 212, 0.25), yield_=2.6
    ),
    "rice": Crop(0.04, high=0.9, rise=(178, 0.08), fall=(252, 0.1), harvest=272, flooded=(112, 168), yield_=6.8),
    "grassland": Crop(0.17, "meadow", high=0.85, low=0.5, rise=(92, 0.06), fall=(312, 0.05), harvest=400),
    "orchard": Crop(0.04, "orchard", high=0.7, low=0.35, rise=(105, 0.08), fall=(300, 0.06), harvest=400),
    "vineyard": Crop(0.03, "vineyard", high=0.55, low=0.2, rise=(135, 0.08), fall=(292, 0.07), harvest=400),
    "fallow": Crop(0.01, high=0.45, low=0.25, rise=(100, 0.05), fall=(270, 0.04), harvest=400),
}

#: Broadleaf canopy, conifer canopy, grass and reed, in the same terms.
WILD = {
    "broadleaf": Crop(0, high=0.95, low=0.12, rise=(108, 0.12), fall=(298, 0.10), harvest=400),
    "conifer": Crop(0, high=0.94, low=0.86, rise=(120, 0.05), fall=(300, 0.05), harvest=400),
    "grass": Crop(0, high=0.82, low=0.55, rise=(88, 0.07), fall=(315, 0.06), harvest=400),
    "scrub": Crop(0, high=0.72, low=0.38, rise=(105, 0.08), fall=(300, 0.07), harvest=400),
    "reed": Crop(0, high=0.8, low=0.12, rise=(125, 0.09), fall=(285, 0.06), harvest=400),
}


@dataclass(frozen=True)
class Cover:
    """Shares of the ground, each 0..1 and together at most 1; the rest is soil. Arrays of one shape."""

    green: np.ndarray
    dry: np.ndarray
    flower: np.ndarray
    water: np.ndarray


def cover(crop: Crop, day: float, shift: np.ndarray, vigour: np.ndarray) -> Cover:
    """Ground cover on a day.

    Args:
        crop: Which plant.
        day: Day of the year, 1..366.
        shift: Days by which each field is late `[N]`.
        vigour: Factor on its largest green cover `[N]`.
    """
    shift, vigour = np.broadcast_arrays(np.asarray(shift, float), np.asarray(vigour, float))
    t = day - shift
    risen = _logistic(crop.rise[1] * (t - crop.rise[0]))
    fallen = _logistic(crop.fall[1] * (t - crop.fall[0]))
    high = np.clip(crop.high * vigour, crop.low, 0.98)
    green = crop.low + (high - crop.low) * np.clip(risen - fallen, 0, 1)
    ripe = (high - crop.low) * fallen * risen
    cut = t > crop.harvest
    stubble = 0.55 * np.exp(-np.maximum(t - crop.harvest, 0) / 25)
    annual = crop.harvest < 366
    green = np.where(annual & cut, np.minimum(green, 0.08 + crop.low * _logistic(0.1 * (t - crop.harvest - 60))), green)
    dry = np.where(cut, stubble, 0.85 * ripe) if annual else 0.6 * ripe + 0.25 * (high - green)
    dry = np.minimum(dry, 1 - green)
    flower = np.zeros_like(green)
    if crop.flower:
        first, last, most = crop.flower
        flower = most * _logistic(0.8 * (t - first)) * _logistic(-0.8 * (t - last))
        green, dry = green * (1 - flower), dry * (1 - flower)
    water = np.zeros_like(green)
    if crop.flooded:
        first, last = crop.flooded
        water = _logistic(0.8 * (t - first)) * _logistic(-0.25 * (t - last)) * (1 - green - dry)
    return Cover(green, dry, flower, np.maximum(water, 0))


def _logistic(x: np.ndarray | float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(x, float)))
