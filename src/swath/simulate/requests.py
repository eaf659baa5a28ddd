"""What a world file asks for: pictures and events, read and refused in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from swath.errors import ConfigError, UnknownNameError
from swath.simulate import events, sar
from swath.simulate.moment import Moment
from swath.simulate.optical import SENSORS
from swath.simulate.world import Bounds, World, WorldConfig

#: An event: when it happens, and how it changes a later moment.
Happening = tuple[datetime, Callable[[World, Moment], Moment]]


@dataclass(frozen=True)
class Shot:
    """Pictures to take.

    Attributes:
        sensor: `sentinel1_grd_power` or a name in `optical.SENSORS`.
        times: When, UTC.
        bounds: Where; by default the world.
        clouds: Share of the sky under cloud; None takes it from the weather of the day.
    """

    sensor: str
    times: tuple[datetime, ...]
    bounds: Bounds | None = None
    clouds: float | None = 0.0


def described(config: WorldConfig | Path | str | Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a YAML file, a mapping or a configuration as a new dict."""
    if isinstance(config, WorldConfig):
        return dict(yaml.safe_load(config.to_yaml()))
    if isinstance(config, Mapping):
        return dict(config)
    try:
        found = yaml.safe_load(Path(config).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError("A world file cannot be read", got=str(error), expected="a YAML file") from error
    if not isinstance(found, dict):
        raise ConfigError("A world file holds no mapping", got=type(found).__name__, expected="`seed: 1` ...")
    return found


def _time(value: object, settings: WorldConfig, hour: float = 10.5) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    text = value.isoformat() if isinstance(value, date) else str(value)
    if len(text) == 5:
        text = f"{settings.year}-{text}"
    try:
        stamp = pd.Timestamp(text)
    except ValueError as error:
        raise ConfigError("A date cannot be read", got=value, expected="YYYY-MM-DD or MM-DD") from error
    stamp = stamp if stamp != stamp.normalize() else stamp + pd.Timedelta(hours=hour)
    return stamp.tz_localize(UTC).to_pydatetime() if stamp.tzinfo is None else stamp.to_pydatetime()


def shot(entry: object, settings: WorldConfig) -> Shot:
    """An entry of `images`."""
    if not isinstance(entry, Mapping) or "sensor" not in entry:
        raise ConfigError("A picture needs a sensor", got=entry, expected="`- {sensor: sentinel2_l2a, dates: [06-10]}`")
    if strange := sorted(set(entry) - {"sensor", "dates", "bounds", "clouds"}):
        raise ConfigError(
            "A picture has no such setting", got=", ".join(map(str, strange)), expected="sensor, dates, bounds, clouds"
        )
    known = (*SENSORS, sar.BANDS.sensor)
    if entry["sensor"] not in known:
        raise UnknownNameError(f"The simulator has no sensor '{entry['sensor']}'", expected=", ".join(known))
    clouds = entry.get("clouds", 0.0)
    bounds = entry.get("bounds")
    try:
        share = None if clouds == "weather" else float(clouds)
        box = None if bounds is None else tuple(float(b) for b in bounds)
    except (TypeError, ValueError) as error:
        raise ConfigError("A picture has an unusable setting", got=error) from error
    if share is not None and not 0 <= share < 1:
        raise ConfigError("The cloud cover of a picture is out of range", got=share, expected="0 to 1, or `weather`")
    if box is not None and (len(box) != 4 or box[0] >= box[2] or box[1] >= box[3]):
        raise ConfigError("The bounds of a picture are unusable", got=bounds, expected="[west, south, east, north]")
    times = tuple(_time(d, settings) for d in entry.get("dates", ["06-20"]))
    return Shot(str(entry["sensor"]), times, box, share)


def event(entry: object, settings: WorldConfig) -> Happening:
    """An entry of `events`."""
    if not isinstance(entry, Mapping) or "kind" not in entry or "date" not in entry:
        raise ConfigError(
            "An event needs a kind and a date", got=entry, expected="`- {kind: flood, date: 06-15, level: 4}`"
        )
    numbers = {k: v for k, v in entry.items() if k not in ("kind", "date")}
    west, south, east, north = settings.bounds
    middle = (west + east) / 2, (south + north) / 2
    kinds: dict[str, tuple[dict[str, Any], Callable[..., Callable[[World, Moment], Moment]]]] = {
        "flood": ({"level": 4.0}, lambda level: lambda w, m: events.flooded(w, m, float(level))),
        "fire": (
            {"start": middle, "hours": 6.0},
            lambda start, hours: lambda w, m: events.burned(w, m, tuple(start), float(hours)),
        ),
        "earthquake": (
            {"magnitude": 6.5, "epicentre": middle},
            lambda magnitude, epicentre: (
                lambda w, m: events.damaged(m, events.earthquake(w, float(magnitude), tuple(epicentre)))
            ),
        ),
        "tornado": (
            {"path": [[west, middle[1]], [east, middle[1]]], "strength": 3.0},
            lambda path, strength: (
                lambda w, m: events.damaged(m, events.tornado(w, np.array(path, float), strength=float(strength)))
            ),
        ),
        "felling": ({"share": 0.05}, lambda share: lambda w, m: events.felled(w, m, float(share))),
    }
    if entry["kind"] not in kinds:
        raise UnknownNameError(f"There is no event '{entry['kind']}'", expected=", ".join(kinds))
    defaults, build = kinds[entry["kind"]]
    if strange := sorted(set(numbers) - set(defaults)):
        raise ConfigError(
            f"A {entry['kind']} has no such setting", got=", ".join(strange), expected=", ".join(defaults)
        )
    return _time(entry["date"], settings, 0.5), build(**{**defaults, **numbers})
