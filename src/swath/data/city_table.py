"""Cities and what stands in them: the table of RoofNet, a file that the user brings.

Columns `City`, `Roof Materials` (a list of `{'class': ..., 'examples': [...]}` as Python writes it), `Continent`,
`Country`, `Latitude`, `Longitude`. A city is known by its key: small letters, commas left out, blanks as underscores.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from swath.errors import DataError, ReadError
from swath.geo.distances import MILE, great_circle

COLUMNS = ("City", "Roof Materials", "Continent", "Country", "Latitude", "Longitude")
#: Miles within which a place belongs to the nearest city.
NEAR = 150.0
#: Longest list of materials that is read, in characters.
_LONGEST = 20_000


@dataclass(frozen=True)
class City:
    """A city.

    Attributes:
        name: As the table writes it.
        materials: Names of the classes that stand in it, each once.
        continent: Where it is.
        country: Where it is.
        longitude: Degrees.
        latitude: Degrees.
    """

    name: str
    materials: tuple[str, ...]
    continent: str
    country: str
    longitude: float
    latitude: float

    @property
    def key(self) -> str:
        """See the module."""
        return city_key(self.name)


def city_key(name: str) -> str:
    """Small letters, commas left out, blanks as underscores."""
    return "_".join(name.replace(",", "").casefold().replace("_", " ").split())


class CityTable:
    """Cities by key and by place.

    Args:
        cities: The cities.

    Raises:
        DataError: If there is none, or a key stands twice.
    """

    def __init__(self, cities: Sequence[City]) -> None:
        self.cities = tuple(cities)
        self._by_key = {city.key: city for city in cities}
        if not cities or len(self._by_key) < len(cities):
            raise DataError("A table of cities names none, or one twice", got=f"{len(cities)} rows")

    def find(self, name: str) -> City | None:
        """The city of a name; of the name before its comma too, where no other city shares it."""
        key = city_key(name)
        if key in self._by_key or not key:
            return self._by_key.get(key)
        short = [city for city in self.cities if city_key(city.name.split(",")[0]) == key]
        return short[0] if len(short) == 1 else None

    def nearest(self, longitude: float, latitude: float) -> tuple[City, float]:
        """The nearest city, and how many miles away its middle is."""
        places = np.array([(city.longitude, city.latitude) for city in self.cities])
        miles = great_circle(longitude, latitude, *places.T) / MILE
        first = int(miles.argmin())
        return self.cities[first], float(miles[first])

    def of(self, name: str, longitude: float | None = None, latitude: float | None = None) -> City | None:
        """The city that a place belongs to: the nearest within 150 miles, else the one of its name, else none."""
        if longitude is not None and latitude is not None:
            city, miles = self.nearest(longitude, latitude)
            if miles <= NEAR:
                return city
        return self.find(name)


def read_cities(path: str | Path) -> CityTable:
    """Read a table of cities in the published layout, in UTF-8 or Latin-1.

    Raises:
        ReadError: If it cannot be read as CSV.
        DataError: If a column is missing, or a row holds no materials or no place.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
        try:
            raw.decode("utf-8")
            encoding = "utf-8"
        except UnicodeDecodeError:
            encoding = "latin-1"
        frame = pd.read_csv(path, encoding=encoding)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise ReadError(f"{path} cannot be read as a table of cities", got=error) from error
    if missing := [column for column in COLUMNS if column not in frame.columns]:
        raise DataError(f"{path} lacks columns", got=", ".join(map(str, frame.columns)), expected=", ".join(missing))
    cities = [
        _city(dict(zip(COLUMNS, row, strict=True)), number, path)
        for number, row in enumerate(frame[list(COLUMNS)].itertuples(index=False), 2)
    ]
    return CityTable(cities)


def _city(row: dict[str, object], line: int, path: Path) -> City:
    try:
        longitude, latitude = (float(str(row[name])) for name in ("Longitude", "Latitude"))
    except ValueError:
        longitude = latitude = float("nan")
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise DataError(
            f"Line {line} of {path} has no place on Earth", got=f"{row['Latitude']}, {row['Longitude']} (lat, lon)"
        )
    told = [str(row[name]).strip() if pd.notna(row[name]) else "" for name in ("City", "Continent", "Country")]  # type: ignore[call-overload]
    return City(told[0], _materials(str(row["Roof Materials"]), line, path), told[1], told[2], longitude, latitude)


def _materials(text: str, line: int, path: Path) -> tuple[str, ...]:
    try:
        if len(text) > _LONGEST:
            raise ValueError(f"{len(text)} characters")
        found = tuple(dict.fromkeys(str(entry["class"]) for entry in ast.literal_eval(text)))
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise DataError(
            f"Line {line} of {path} holds no list of materials",
            got=text[:80],
            expected="[{'class': 'ClayTiles', 'examples': [...]}, ...]",
        ) from error
    if not found:
        raise DataError(f"Line {line} of {path} names no material")
    return found
