"""Options as plain JSON values and back, so that a run says in text what its task was made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from swath.data.classes import Classes
from swath.data.series import SeriesInput, View
from swath.sensors.bands import Band, Bands


def to_plain(value: Any) -> Any:
    """`value` as JSON values; bands, classes and inputs of series become tagged mappings."""
    if isinstance(value, Bands):
        return {"type": "bands", "sensor": value.sensor, "bands": [asdict(band) for band in value]}
    if isinstance(value, Classes):
        return {"type": "classes", **asdict(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, SeriesInput):
        view = None if value.view is None else asdict(value.view)
        return {"type": "series", "bands": to_plain(value.bands), "view": view}
    return str(value) if isinstance(value, Path) else value


def from_plain(value: Any) -> Any:
    """What `to_plain` was given, with lists for tuples."""
    if isinstance(value, Mapping) and value.get("type") == "bands":
        bands = ({**band, "aliases": tuple(band["aliases"])} for band in value["bands"])
        return Bands(value["sensor"], tuple(Band(**band) for band in bands))
    if isinstance(value, Mapping) and value.get("type") == "classes":
        colours = tuple((int(r), int(g), int(b)) for r, g, b in value["colours"])
        return Classes(tuple(value["names"]), tuple(value["codes"]), colours, tuple(value["ignored"]))
    if isinstance(value, Mapping) and value.get("type") == "series":
        view = None if value["view"] is None else View(**value["view"])
        return SeriesInput(from_plain(value["bands"]), view)
    if isinstance(value, Mapping):
        return {key: from_plain(item) for key, item in value.items()}
    return [from_plain(item) for item in value] if isinstance(value, list) else value
