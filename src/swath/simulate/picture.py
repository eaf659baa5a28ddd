"""A picture that was taken of a world."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from odc.geo.geobox import GeoBox

from swath.simulate.moment import Moment


@dataclass(frozen=True)
class Picture:
    """A picture that was taken.

    Attributes:
        name: Unique in its world.
        sensor: What took it.
        grid: Where it lies.
        moment: When it was taken.
        files: The picture as `image`, its `labels`, and its `clouds` if there are any.
    """

    name: str
    sensor: str
    grid: GeoBox
    moment: Moment
    files: dict[str, Path]
