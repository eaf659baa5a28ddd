"""The verb `simulate`: a georeferenced world with exact truth."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from swath.errors import ConfigError

_SIZE = re.compile(r"(\d+(?:\.\d+)?)(?:x(\d+(?:\.\d+)?))?(km|m)")


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    verb.add_argument("world", metavar="WORLD", help="village, coast, city, farmland, forest, sky, or a YAML file")
    verb.add_argument("-o", "--output", metavar="FOLDER", type=Path, required=True)
    verb.add_argument("--seed", type=int, help="everything random follows from it")
    verb.add_argument("--size", help="extent: 4km, 6x4km, 1500m; of a sky 90arcsec")
    verb.add_argument("--crs", help="a projected CRS in metres, for example EPSG:32632")
    verb.add_argument("--sensors", nargs="+", metavar="SENSOR", help="what takes pictures, for example sentinel2_l2a")
    verb.add_argument("--dates", nargs="+", metavar="DATE", help="when, YYYY-MM-DD or MM-DD")
    verb.add_argument("--clouds", help="share of the sky under cloud, 0 to 1, or weather")
    verb.add_argument("--truths", nargs="+", metavar="TRUTH", help="further truths, for example boxes questions")
    verb.add_argument("--layouts", nargs="+", metavar="LAYOUT", help="published layouts, for example landcover_ai")
    verb.add_argument(
        "--sheets", action="store_true", help="contact sheets too: sensors, seasons, events, views as PNG"
    )
    verb.add_argument("--json", action="store_true", help="print JSON")


def request(options: argparse.Namespace) -> dict[str, Any]:
    """What the options ask for, as a world file would say it.

    Raises:
        ConfigError: If an option cannot be used.
        UnknownNameError: If there is no such preset.
    """
    from swath.simulate.requests import DEFAULT_IMAGES, described

    told = described(options.world)
    for name in ("seed", "crs", "truths", "layouts"):
        if (value := getattr(options, name)) is not None:
            told[name] = value
    if options.size is not None:
        told["width"], told["height"] = _size(options.size)
    changes = {"dates": options.dates, "clouds": options.clouds}
    changes = {name: value for name, value in changes.items() if value is not None}
    if options.sensors is not None:
        told["images"] = [{"sensor": sensor, **changes} for sensor in options.sensors]
    elif changes:
        images = told.get("images") or DEFAULT_IMAGES
        told["images"] = [{**image, **changes} if isinstance(image, dict) else image for image in images]
    return told


def run(options: argparse.Namespace) -> None:
    """Make the world that the options ask for, and print the paths of its files."""
    from swath.commands.printing import print_json

    written = [str(path) for path in (_sky(options) if options.world == "sky" else _world(options))]
    if options.json:
        print_json(written)
    else:
        print("\n".join(written))


def _world(options: argparse.Namespace) -> list[Path]:
    from swath.simulate.save import simulate

    asked = request(options)
    written = simulate(asked, options.output)
    if options.sheets:
        from swath.simulate.requests import read
        from swath.simulate.sheet import write_sheets
        from swath.simulate.world import World

        written += write_sheets(World(read(asked).settings), options.output / "sheets")
    return written


def _sky(options: argparse.Namespace) -> list[Path]:
    from swath.simulate.sky import Sky, SkyConfig
    from swath.simulate.sky_files import write_sky

    strange = [
        name for name in ("crs", "sensors", "dates", "clouds", "truths", "layouts", "sheets") if getattr(options, name)
    ]
    if strange:
        raise ConfigError("A sky has no such option", got=", ".join(strange), expected="--seed, --size 90arcsec")
    config: dict[str, Any] = {} if options.seed is None else {"seed": options.seed}
    if options.size is not None:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(arcsec|arcmin)", options.size.strip().lower())
        if not found:
            raise ConfigError("The size of a sky cannot be read", got=options.size, expected="90arcsec or 1.5arcmin")
        config["width"] = float(found[1]) * (60 if found[2] == "arcmin" else 1)
    return write_sky(Sky(SkyConfig(**config)), options.output)


def _size(text: str) -> tuple[float, float]:
    """Width and height in m."""
    found = _SIZE.fullmatch(text.strip().lower())
    if not found:
        raise ConfigError("A size cannot be read", got=text, expected="for example 4km, 6x4km or 1500m")
    width, height, unit = found.groups()
    factor = 1000.0 if unit == "km" else 1.0
    return float(width) * factor, float(height or width) * factor
