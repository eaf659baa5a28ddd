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
from swath.simulate import events, weather
from swath.simulate.annotations import TRUTHS
from swath.simulate.atmosphere import Atmosphere
from swath.simulate.hyperspectral import MASS_PER_PPM_M
from swath.simulate.instruments import instrument
from swath.simulate.layouts import LAYOUTS
from swath.simulate.moment import Moment
from swath.simulate.presets import PRESETS
from swath.simulate.world import Bounds, World, WorldConfig

#: An event: when it happens, and how it changes a later moment.
Happening = tuple[datetime, Callable[[World, Moment], Moment]]


@dataclass(frozen=True)
class Shot:
    """Pictures to take.

    Attributes:
        sensor: A name in `instruments.INSTRUMENTS`.
        times: When, UTC.
        bounds: Where; by default the world.
        clouds: Share of the sky under cloud; None takes it from the weather of the day.
        cirrus: Mean optical depth of cirrus.
        haze: Aerosol optical depth at 550 nm.
    """

    sensor: str
    times: tuple[datetime, ...]
    bounds: Bounds | None = None
    clouds: float | None = 0.0
    cirrus: float = 0.0
    haze: float = Atmosphere.aerosol


@dataclass(frozen=True)
class Request:
    """Everything that a world file asks for, checked.

    Attributes:
        settings: What makes the world.
        shots: Pictures to take.
        happenings: What happens, in order of time.
        truths: Names in `annotations.TRUTHS`.
        layouts: Names in `layouts.LAYOUTS`.
        asked: The lists as they were asked for.
    """

    settings: WorldConfig
    shots: tuple[Shot, ...]
    happenings: tuple[Happening, ...]
    truths: tuple[str, ...]
    layouts: tuple[str, ...]
    asked: Mapping[str, Any]

    def to_yaml(self) -> str:
        """YAML that `read` reads."""
        return self.settings.to_yaml() + (yaml.safe_dump(dict(self.asked), sort_keys=False) if self.asked else "")


#: What is shown of a world when nothing is asked for.
DEFAULT_IMAGES = (
    {"sensor": "sentinel2_l2a", "dates": ["04-20", "06-10", "07-25", "09-20"]},
    {"sensor": "sentinel1_grd_power", "dates": ["06-10"]},
)


def read(config: WorldConfig | Path | str | Mapping[str, Any]) -> Request:
    """What a world file asks for.

    Args:
        config: The name of a preset, a YAML file or a mapping: the settings of `WorldConfig`; `images`, a list of
            `sensor` (a name in `instruments.INSTRUMENTS`), `dates` (`YYYY-MM-DD` or `MM-DD` of the world's year, or
            `{from, to, every}`), `clouds` (0..1 or `weather`), `cirrus` and `haze` (optical depths) and `bounds`;
            `events`, a list of `kind` (`flood`, `fire`, `earthquake`, `tornado`, `felling`, `leak`), `date` and their
            numbers; `truths` and `layouts`, lists of names.

    Raises:
        ConfigError: If a setting is unknown or cannot be used.
        UnknownNameError: If there is no such preset, sensor, event, truth or layout.
    """
    told = described(config)
    asked = {name: told.pop(name) for name in ("images", "events", "truths", "layouts") if told.get(name) is not None}
    for name, value in asked.items():
        if not isinstance(value, list | tuple):
            raise ConfigError(f"`{name}` of a world is no list", got=value)
    settings = WorldConfig.of({k: v for k, v in told.items() if k not in ("images", "events", "truths", "layouts")})
    for key, what, known in (("truths", "truth", TRUTHS), ("layouts", "layout", LAYOUTS)):
        if strange := [name for name in asked.get(key, ()) if not isinstance(name, str) or name not in known]:
            raise UnknownNameError(f"There is no {what} '{strange[0]}' to write", expected=", ".join(known))
    return Request(
        settings,
        tuple(shot(entry, settings) for entry in asked.get("images", DEFAULT_IMAGES)),
        tuple(sorted((event(entry, settings) for entry in asked.get("events", ())), key=lambda e: e[0])),
        tuple(asked.get("truths", ())),
        tuple(asked.get("layouts", ())),
        asked,
    )


def described(config: WorldConfig | Path | str | Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a preset, a YAML file, a mapping or a configuration as a new dict."""
    if isinstance(config, WorldConfig):
        return dict(yaml.safe_load(config.to_yaml()))
    if isinstance(config, Mapping):
        return dict(config)
    if str(config) in PRESETS:
        return dict(PRESETS[str(config)])
    if not Path(config).suffix:
        raise UnknownNameError(f"There is no world '{config}'", expected=f"{', '.join(PRESETS)}, or a YAML file")
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


def _times(value: object, settings: WorldConfig) -> tuple[datetime, ...]:
    """A date, a list of them, or `{from: 04-01, to: 10-01, every: 5}` in days."""
    if isinstance(value, Mapping):
        if set(value) != {"from", "to", "every"}:
            raise ConfigError("A calendar is not whole", got=dict(value), expected="{from: 04-01, to: 10-01, every: 5}")
        first, last = (_time(value[name], settings) for name in ("from", "to"))
        try:
            every = _positive(value["every"])
        except (TypeError, ValueError) as error:
            raise ConfigError("A calendar has an unusable step", got=error, expected="days, for example 5") from error
        return tuple(weather.calendar(first, (last - first).days, every, first.hour + first.minute / 60))
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(_time(v, settings) for v in values)


def shot(entry: object, settings: WorldConfig) -> Shot:
    """An entry of `images`."""
    if not isinstance(entry, Mapping) or "sensor" not in entry:
        raise ConfigError("A picture needs a sensor", got=entry, expected="`- {sensor: sentinel2_l2a, dates: [06-10]}`")
    known = ("sensor", "dates", "bounds", "clouds", "cirrus", "haze")
    if strange := sorted(map(str, set(entry) - set(known))):
        raise ConfigError("A picture has no such setting", got=", ".join(strange), expected=", ".join(known))
    instrument(str(entry["sensor"]))
    times = _times(entry.get("dates", "06-20"), settings)
    if not times:
        raise ConfigError("A picture has no dates", got=entry["dates"], expected="YYYY-MM-DD or MM-DD")
    depths = {name: _depth(name, entry[name]) for name in ("cirrus", "haze") if name in entry}
    bounds, cover = _bounds(entry.get("bounds"), settings), _clouds(entry.get("clouds", 0.0))
    return Shot(str(entry["sensor"]), times, bounds, cover, **depths)


def _depth(name: str, value: Any) -> float:
    try:
        depth = float(value)
    except (TypeError, ValueError):
        depth = -1.0
    if not 0 <= depth <= 3:
        raise ConfigError(f"The {name} of a picture is out of range", got=value, expected="an optical depth of 0 to 3")
    return depth


def _clouds(value: object) -> float | None:
    if value == "weather":
        return None
    try:
        cover = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ConfigError(
            "A picture has an unusable cloud cover", got=error, expected="0 to 1, or `weather`"
        ) from error
    if not 0 <= cover < 1:
        raise ConfigError("The cloud cover of a picture is out of range", got=cover, expected="0 to 1, or `weather`")
    return cover


def _bounds(value: Any, settings: WorldConfig) -> Bounds | None:
    """Bounds cut at the border of the world."""
    if value is None:
        return None
    try:
        west, south, east, north = (float(v) for v in value)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            "The bounds of a picture are unusable", got=value, expected="[west, south, east, north]"
        ) from error
    limits = settings.bounds
    cut = max(west, limits[0]), max(south, limits[1]), min(east, limits[2]), min(north, limits[3])
    if not (cut[0] < cut[2] and cut[1] < cut[3]):
        raise ConfigError(
            "The bounds of a picture hold nothing of the world",
            got=value,
            expected=f"[west, south, east, north] within {list(limits)}",
        )
    return cut


def event(entry: object, settings: WorldConfig) -> Happening:
    """An entry of `events`."""
    if not isinstance(entry, Mapping) or "kind" not in entry or "date" not in entry:
        raise ConfigError(
            "An event needs a kind and a date", got=entry, expected="`- {kind: flood, date: 06-15, level: 4}`"
        )
    kinds = _kinds(settings)
    if entry["kind"] not in kinds:
        raise UnknownNameError(f"There is no event '{entry['kind']}'", expected=", ".join(kinds))
    known, happen = kinds[entry["kind"]]
    given = {name: value for name, value in entry.items() if name not in ("kind", "date")}
    if strange := sorted(map(str, set(given) - set(known))):
        raise ConfigError(f"A {entry['kind']} has no such setting", got=", ".join(strange), expected=", ".join(known))
    try:
        numbers = {name: convert(given.get(name, default)) for name, (convert, default) in known.items()}
    except (TypeError, ValueError) as error:
        raise ConfigError(f"A {entry['kind']} has an unusable setting", got=error) from error
    return _time(entry["date"], settings, 0.5), lambda world, moment: happen(world, moment, **numbers)


def _kinds(
    settings: WorldConfig,
) -> dict[str, tuple[dict[str, tuple[Callable[[Any], Any], Any]], Callable[..., Moment]]]:
    """Settings of each kind of event, with how each is read and its default, and what happens."""
    west, south, east, north = settings.bounds
    middle = (west + east) / 2, (south + north) / 2
    across = [(west, middle[1]), (east, middle[1])]
    leak: dict[str, tuple[Callable[[Any], Any], Any]] = {
        "source": (_point, middle), "rate": (_positive, 3000.0), "gas": (_gas, "ch4"), "wind": (_positive, 3.5),
        "direction": (float, 70.0),
    }  # fmt: skip
    return {
        "flood": ({"level": (_positive, 4.0)}, events.flooded),
        "fire": (
            {"start": (lambda v: None if v is None else _point(v), None), "hours": (_positive, 6.0)},
            events.burned,
        ),
        "earthquake": (
            {"magnitude": (_positive, 6.5), "epicentre": (_point, middle)},
            lambda w, m, magnitude, epicentre: events.damaged(m, events.earthquake(w, magnitude, epicentre)),
        ),
        "tornado": (
            {"path": (_line, across), "strength": (_positive, 3.0)},
            lambda w, m, path, strength: events.damaged(m, events.tornado(w, path, strength=strength)),
        ),
        "felling": ({"share": (_share, 0.05)}, events.felled),
        "leak": (leak, events.leaking),
    }


def _positive(value: Any) -> float:
    if not 0 < float(value) < np.inf:
        raise ValueError(f"{value} is not a positive number")
    return float(value)


def _share(value: Any) -> float:
    if not 0 <= float(value) <= 1:
        raise ValueError(f"{value} is not a share between 0 and 1")
    return float(value)


def _point(value: Any) -> tuple[float, float]:
    x, y = (float(v) for v in value)
    if not np.isfinite([x, y]).all():
        raise ValueError(f"{value} is not a place")
    return x, y


def _line(value: Any) -> np.ndarray:
    points = [_point(v) for v in value]
    if len(points) < 2:
        raise ValueError("a path needs two points")
    return np.array(points)


def _gas(value: Any) -> str:
    if value not in MASS_PER_PPM_M:
        raise ValueError(f"{value} is not one of {', '.join(MASS_PER_PPM_M)}")
    return str(value)
