"""What RoofNet's file names tell of a roof.

Names are parts joined by underscores, in one of these forms, with any of the fields; `NA` stands for unknown:

    <city>_height<m>_numstories<n>_roofshape<shape>_fpArea<m2>[_imsat_<lat><lon>][_...].jpg
    <city>_imsat_<lat><lon>[_...].jpg
    <city>-<anything>.jpg

Latitude and longitude stand together without a sign between them, `40.7127760-74.0059740` or `23.613971358.5590987`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import shapely

from swath.data.city_table import city_key
from swath.data.placed import Placed
from swath.geo.distances import great_circle

if TYPE_CHECKING:
    from swath.data.city_table import CityTable
    from swath.data.scenes import Scene

#: What tables say of a roof, by column.
FACTS = ("city", "latitude", "longitude", "country", "continent", "height", "numstories", "roofshape", "fpArea")
#: Fields by the word that they begin with; the first of them ends the name of the city.
_NUMBERS, _SHAPE = ("height", "numstories", "fpArea"), "roofshape"
_FIELDS = re.compile(r"_(?=(?:height|numstories|fpArea)(?:NA|\d)|roofshape|imsat_)")
#: Decimals of a latitude that are tried where nothing parts it from the longitude; the release tries 7, then 8.
_DECIMALS = (7, 8, 6, 5, 4, 3, 2, 1)


@dataclass(frozen=True)
class RoofName:
    """What a file name tells.

    Attributes:
        city: Key of the city (`swath.data.city_table`); empty where none is named.
        longitude: Degrees; None where it is not told.
        latitude: Degrees.
        height: Metres.
        numstories: Floors.
        roofshape: As it is written, for example `Gabled`.
        fpArea: Area of the footprint, m2.
    """

    city: str = ""
    longitude: float | None = None
    latitude: float | None = None
    height: float | None = None
    numstories: float | None = None
    roofshape: str | None = None
    fpArea: float | None = None  # noqa: N815 - the published column


def parse_roof_name(stem: str, table: CityTable | None = None) -> RoofName:
    """Parse a file name without its suffix.

    Args:
        stem: The name.
        table: Cities that are known: where latitude and longitude can be parted in several ways, the place nearest to
            the named city is taken, and a city with a hyphen in its name is recognised.
    """
    city = _city(stem, table)
    found: dict[str, object] = {}
    pieces = stem.split("_")
    for number, piece in enumerate(pieces):
        for name in _NUMBERS:
            if piece.startswith(name):
                found[name] = _number(piece.removeprefix(name))
        if piece.startswith(_SHAPE) and (shape := piece.removeprefix(_SHAPE)) not in ("", "NA"):
            found[_SHAPE] = shape
        if piece == "imsat" and number + 1 < len(pieces):
            known = table.find(city) if table is not None else None
            near = None if known is None else (known.latitude, known.longitude)
            found["latitude"], found["longitude"] = _place(pieces[number + 1], near)
    return RoofName(city, **found)  # type: ignore[arg-type]


def city_as_released(stem: str) -> str:
    """The city as the released prompts name it, which look for a hyphen first and so take part of the fields for it.

    A southern or western place has a hyphen in its coordinates: `miami_height6_imsat_25.7-80.1` is called
    `Miami Height6 Imsat 25.7`.
    """
    for mark in ("-", "_height", "_imsat"):
        if mark.strip("_") in stem:
            return stem.split(mark)[0].replace("_", " ").title()
    return ""


def shape_of_roof(material: str, told: object = None) -> object:
    """`Flat` for materials that RoofNet calls amorphous, whatever was told, as in the published table; else as told."""
    return "Flat" if material.startswith("Amorphous") else told


def placed_roof(scene: Scene, told: Mapping[str, object] | None = None, table: CityTable | None = None) -> Placed:
    """A crop with its place and facts.

    Args:
        scene: The crop. Without a group, its city is its group; without a city, its group is its place.
        told: What else is known of it, by the names in `FACTS`; it counts more than the file name.
        table: See `parse_roof_name`.
    """
    facts: dict[str, object] = dict(asdict(parse_roof_name(Path(file_of(scene)).stem, table)))
    facts |= {name: value for name, value in (told or {}).items() if name in FACTS and not _missing(value)}
    city = str(facts["city"] or "")
    longitude, latitude = facts["longitude"], facts["latitude"]
    known = isinstance(longitude, int | float) and isinstance(latitude, int | float)
    return Placed(
        scene.id,
        scene.layers,
        scene.labels,
        group=scene.group or city or f"no city: {scene.id}",
        time=scene.time,
        part=scene.part,
        place=city.replace("_", " ").title() or scene.group or "",
        outline=shapely.Point(longitude, latitude) if known else None,
        facts=facts,
    )


def file_of(scene: Scene) -> str:
    """Path of the file that a crop is."""
    return next(iter(scene.layers.values())).name


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _city(stem: str, table: CityTable | None) -> str:
    before = _FIELDS.split(stem)[0]
    if before != stem:
        return city_key(before)
    if table is not None:
        known = [city.key for city in table.cities if stem.casefold().startswith(f"{city.key}-")]
        if known:
            return max(known, key=len)
    return city_key(stem.split("-")[0]) if "-" in stem else ""


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _place(text: str, near: tuple[float, float] | None) -> tuple[float | None, float | None]:
    """Latitude and longitude that stand together; None where they cannot be parted."""
    places = _partings(text)
    if not places:
        return None, None
    if near is None:
        return places[0]
    return min(places, key=lambda place: float(great_circle(place[1], place[0], near[1], near[0])))


def _partings(text: str) -> list[tuple[float, float]]:
    """All ways to part latitude and longitude, the likeliest first."""
    if signed := re.match(r"(-?\d{1,2}\.\d+)(-\d{1,3}\.\d+)", text):
        ways = [(signed[1], signed[2])]
    elif plain := re.match(r"(-?\d{1,2}\.)(\d+)(\.\d+)", text):
        head, digits, tail = plain.groups()
        ways = [(head + digits[:n], digits[n:] + tail) for n in _DECIMALS if 1 <= len(digits) - n <= 3]
        ways = [(lat, lon) for lat, lon in ways if not re.match(r"0\d", lon)]
    else:
        return []
    places = [(float(lat), float(lon)) for lat, lon in ways]
    return [(lat, lon) for lat, lon in places if abs(lat) <= 90 and abs(lon) <= 180]
