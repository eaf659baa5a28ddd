"""Scenes of which more is known than their pixels: the name of their place, their outline, facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swath.data.scenes import Scene

if TYPE_CHECKING:
    import shapely


@dataclass(frozen=True)
class Placed(Scene):
    """An image of one thing, for example of a building.

    Attributes:
        place: Name of where it is, for example of a city; empty where nobody says.
        outline: Of the thing, longitude and latitude (EPSG:4326); None where it is not known.
        facts: What is known of it, by column, for the tables that products are.
    """

    place: str = ""
    outline: shapely.Geometry | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
