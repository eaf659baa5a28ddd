"""The YAML in which a user describes his own data: its keys, checked one by one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from swath.data.classes import Classes
from swath.data.series import View
from swath.errors import ConfigError

_NUMBER, _TEXTS = (int, float), (str, list)
_KEYS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "": {
        "name": (str,),
        "layers": (dict,),
        "series": (dict,),
        "units": (dict,),
        "labels": (dict,),
        "classes": (dict, list),
        "ignore": (list,),
        "crs": (str, int),
        "time": (str,),
        "group": (str,),
        "leave_out": _TEXTS,
        "split": (dict,),
        "layout": (str,),
        "folder": (str,),
        "reviewed": (str,),
    },
    "layer": {
        "files": (str, list, dict),
        "sensor": (str,),
        "bands": (list,),
        "unit": (str,),
        "scale": _NUMBER,
        "offset": _NUMBER,
        "nodata": _NUMBER,
    },
    "series": {
        "files": _TEXTS,
        "sensor": (str,),
        "bands": (list,),
        "unit": (str,),
        "scale": _NUMBER,
        "offset": _NUMBER,
        "nodata": _NUMBER,
        "time": (str,),
        "resolution": _NUMBER,
        "size": (int,),
    },
    "units": {
        "files": (str,),
        "table": (str,),
        **dict.fromkeys(("layer", "attribute", "id", "group", "part", "columns", "unit"), (str,)),
        "months": (list,),
    },
    "labels": {
        "files": (str, list, dict),
        "field": (str,),
        "attribute": (str,),
        "layer": (str,),
        "background": (str,),
        "width": (int, float, str),
        "colours": (bool,),
        "crowd": (str,),
        "format": (str,),
        "each": (bool, dict),
    },
    "each": {"margin": _NUMBER, "block": _NUMBER},
    "class": {"name": (str,), "colour": _TEXTS, "color": _TEXTS},
}
#: Keys that say how numbers are stored.
_STORAGE = ("unit", "scale", "offset", "nodata")
#: Keys of `split:` by their `by:`.
_SPLITS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "block": {"size": _NUMBER, "buffer": _NUMBER, "fractions": (list,), "seed": (int,)},
    "group": {"fractions": (list,), "seed": (int,), "presence": (bool,)},
    "source": {"fractions": (list,), "seed": (int,), "presence": (bool,)},
    "time": {"fractions": (list,), "boundaries": (list,)},
    "files": {"train": _TEXTS, "val": _TEXTS, "test": _TEXTS},
}


@dataclass(frozen=True)
class LayerDescription:
    """One layer of the scenes.

    Attributes:
        files: For each file of a scene: patterns, and names of the bands that it holds (None: all of the sensor).
        sensor: Name of the sensor.
        storage: `unit`, `scale`, `offset`, `nodata`, where they are given.
    """

    files: tuple[tuple[tuple[str, ...], tuple[str, ...] | None], ...]
    sensor: str
    storage: Mapping[str, Any]


@dataclass(frozen=True)
class SeriesDescription:
    """One time series of the scenes.

    Attributes:
        files: Patterns of the files, one a date.
        sensor: Name of the sensor.
        bands: Names of the bands that each file holds; None for all of the sensor.
        storage: `unit`, `scale`, `offset`, `nodata`, where they are given.
        time: Pattern of the dates in file names; None where that of the scenes holds, or files are STAC items.
        view: The grid that it is read on, where it has its own.
    """

    files: tuple[str, ...]
    sensor: str
    bands: tuple[str, ...] | None
    storage: Mapping[str, Any]
    time: str | None = None
    view: View | None = None


@dataclass(frozen=True)
class Description:
    """What the YAML says; see `swath.data.config`.

    Attributes:
        root: Folder that patterns are relative to.
        name: Name of the data.
        layers: The layers, the first with the grid of the scenes.
        series: The time series; without layers the first makes the scenes.
        units: Keys of `units:`, see `swath.data.sequence_config`; empty where there are none.
        labels: Keys of `labels:`; empty where there are no labels.
        classes: The legend.
        texts: Code of each text of an attribute, where classes are told by text.
        crs: For files that have none; `none` for pictures.
        time: Pattern of dates in file names.
        group: Regular expression on paths.
        leave_out: Patterns of the ids of scenes that do not count.
        split: Keys of `split:`; empty where there is no split.
        layout: Published layout of `folder`, instead of layers.
        folder: Folder of the published layout.
        reviewed: A review of whole images (`swath.data.reviews`), whose classes count more than all others.
    """

    root: Path
    name: str
    layers: Mapping[str, LayerDescription] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)
    classes: Classes | None = None
    texts: Mapping[str, int] = field(default_factory=dict)
    crs: str | None = None
    time: str | None = None
    group: re.Pattern[str] | None = None
    split: Mapping[str, Any] = field(default_factory=dict)
    layout: str | None = None
    folder: Path | None = None
    series: Mapping[str, SeriesDescription] = field(default_factory=dict)
    reviewed: Path | None = None
    units: Mapping[str, Any] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()


def read_description(path: Path) -> Description:
    """Read and check a YAML file.

    Raises:
        ConfigError: If it cannot be read, or a key is unknown, missing or of another type.
    """
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path} cannot be read as YAML", got=reason) from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} describes no data", expected="a mapping with `layers:`")
    where = str(path)
    _check(found, _KEYS[""], where)
    split = _split(found.get("split", {}), f"`split` of {where}")
    reviewed = path.parent / found["reviewed"] if "reviewed" in found else None
    if "layout" in found:
        if strange := sorted(set(found) - {"layout", "folder", "name", "split", "reviewed"}):
            raise ConfigError(
                f"A published layout in {where} says all but its split and review itself", got=", ".join(strange)
            )
        name, folder = str(found.get("name", found["layout"])), path.parent / found.get("folder", ".")
        return Description(path.parent, name, split=split, layout=found["layout"], folder=folder, reviewed=reviewed)
    units = _units(found["units"], f"`units` of {where}") if "units" in found else {}
    if not found.get("layers") and not found.get("series") and "table" not in units:
        raise ConfigError(f"{where} has no `layers`", expected="at least one layer with `files` and `sensor`")
    if "leave_out" in found and "table" in units:
        raise ConfigError(f"{where} has no scenes to leave out", got="a table of units")
    layers = {str(n): _layer(layer, f"layer '{n}' of {where}") for n, layer in found.get("layers", {}).items()}
    series = {str(n): _series(one, f"series '{n}' of {where}") for n, one in found.get("series", {}).items()}
    labels = found.get("labels", {})
    classes: Classes | None = None
    texts: dict[str, int] = {}
    if "classes" in found:
        classes, texts = _classes(found["classes"], found.get("ignore", []), where)
    if "labels" in found:
        _check(labels, _KEYS["labels"], f"`labels` of {where}", () if "field" in labels else ("files",))
        if isinstance(labels.get("files"), dict):
            if set(labels["files"]) != {"before", "after"}:
                raise ConfigError(
                    f"`files` of `labels` of {where} are of other dates",
                    got=", ".join(map(str, labels["files"])),
                    expected="before, after",
                )
            labels = {**labels, "files": {date: labels["files"][date] for date in ("before", "after")}}
        if labels.get("format", "coco") not in ("coco", "labelme"):
            raise ConfigError(
                f"`format` of `labels` of {where} is unknown", got=labels["format"], expected="coco, labelme"
            )
        if isinstance(labels.get("each"), dict):
            _check(labels["each"], _KEYS["each"], f"`each` of {where}")
        if classes is None:
            raise ConfigError(f"{where} has labels but no `classes`", expected="codes or texts, and names of classes")
    return Description(
        path.parent,
        found.get("name", path.stem),
        layers,
        labels,
        classes,
        texts,
        None if "crs" not in found else f"EPSG:{found['crs']}" if isinstance(found["crs"], int) else found["crs"],
        found.get("time"),
        _expression(found["group"], where) if "group" in found else None,
        split,
        series=series,
        reviewed=reviewed,
        units=units,
        leave_out=patterns(found.get("leave_out", ())),
    )


def _layer(found: object, where: str) -> LayerDescription:
    layer = _check(found, _KEYS["layer"], where, ("files", "sensor"))
    files, bands = layer["files"], _names(layer.get("bands"), where)
    storage = {key: layer[key] for key in _STORAGE if key in layer}
    described: list[tuple[tuple[str, ...], tuple[str, ...] | None]]
    if isinstance(files, dict):
        if bands is not None:
            raise ConfigError(f"{where} names its bands twice", got="`bands` and `files` by band")
        described = [(patterns(pattern), (str(band),)) for band, pattern in files.items()]
    elif isinstance(files, str) or bands is None:
        described = [(patterns(files), bands)]
    elif len(bands) == len(files):
        described = [(patterns(pattern), (band,)) for pattern, band in zip(files, bands, strict=True)]
    else:
        raise ConfigError(
            f"Files and bands of {where} are not as many",
            got=f"{len(files)} files, bands {', '.join(bands)}",
            expected="one file, or pattern of files, for each band",
        )
    return LayerDescription(tuple(described), layer["sensor"], storage)


def _series(found: object, where: str) -> SeriesDescription:
    series = _check(found, _KEYS["series"], where, ("files", "sensor"))
    if len(own := {"resolution", "size"} & series.keys()) == 1:
        raise ConfigError(f"{where} has half of a grid of its own", got=own.pop(), expected="`resolution` and `size`")
    return SeriesDescription(
        patterns(series["files"]),
        series["sensor"],
        _names(series.get("bands"), where),
        {key: series[key] for key in _STORAGE if key in series},
        series.get("time"),
        View(float(series["resolution"]), series["size"]) if "size" in series else None,
    )


def _units(found: object, where: str) -> Mapping[str, Any]:
    units = _check(found, _KEYS["units"], where)
    if len({"files", "table"} & units.keys()) != 1:
        raise ConfigError(f"{where} are in no file", got=", ".join(units), expected="`files` or `table`")
    return units


def patterns(files: str | Sequence[object]) -> tuple[str, ...]:
    """One or several patterns."""
    return (files,) if isinstance(files, str) else tuple(map(str, files))


def _names(bands: Sequence[object] | None, where: str) -> tuple[str, ...] | None:
    if bands is None:
        return None
    if strange := [band for band in bands if not isinstance(band, str)]:
        raise ConfigError(
            f"A band of {where} is no name", got=strange[0], fix="Write names of bands, in quotes if need be"
        )
    return tuple(map(str, bands))


def _classes(found: Any, ignore: Sequence[Any], where: str) -> tuple[Classes, dict[str, int]]:
    """The legend, and the code of each text where classes are told by text."""
    described: dict[Any, Any] = dict(enumerate(found)) if isinstance(found, list) else found
    for code, entry in described.items():
        if isinstance(entry, dict):
            _check(entry, _KEYS["class"], f"class {code} of {where}", ("name",))
        elif not isinstance(entry, str):
            raise ConfigError(f"Class {code} of {where} has no name", got=entry, expected="text, or name and colour")
    if all(isinstance(code, int) and not isinstance(code, bool) for code in described):
        if strange := [code for code in ignore if not isinstance(code, int)]:
            raise ConfigError(f"An ignored code of {where} is no whole number", got=strange[0])
        return Classes.of(described, ignore), {}
    if not all(isinstance(code, str) for code in described):
        raise ConfigError(
            f"Classes of {where} are told by numbers and by text", got=list(described), expected="one of both"
        )
    texts = {str(text): code for code, text in enumerate([*described, *ignore])}
    ignored = [texts[str(text)] for text in ignore]
    return Classes.of({texts[str(text)]: entry for text, entry in described.items()}, ignored), texts


def _split(found: Any, where: str) -> Mapping[str, Any]:
    if not found:
        return {}
    kind = found.get("by")
    if kind not in _SPLITS:
        raise ConfigError(f"`by` of {where} is unknown", got=kind, expected=", ".join(_SPLITS))
    _check(found, {"by": (str,), **_SPLITS[kind]}, where, ("by",))
    if strange := [share for share in found.get("fractions", ()) if not isinstance(share, int | float)]:
        raise ConfigError(f"A fraction of {where} is no number", got=strange[0])
    return found


def _expression(text: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ConfigError(f"`group` of {where} is no regular expression", got=f"{text}: {error}") from error


def _check(
    found: object, keys: Mapping[str, tuple[type, ...]], where: str, needed: Sequence[str] = ()
) -> Mapping[str, Any]:
    """The mapping, if its keys are known, of their types, and none is missing."""
    if not isinstance(found, dict):
        raise ConfigError(f"{where} is no mapping", got=found, expected=", ".join(keys))
    for key, value in found.items():
        if key not in keys:
            close = difflib.get_close_matches(str(key), keys, n=1)
            raise ConfigError(
                f"{where} has an unknown key",
                got=key,
                expected=", ".join(keys),
                fix=f"Did you mean `{close[0]}`?"[:-1] if close else None,
            )
        if not isinstance(value, keys[key]) or (isinstance(value, bool) and bool not in keys[key]):
            raise ConfigError(
                f"`{key}` of {where} is of another type",
                got=f"{value!r} ({type(value).__name__})",
                expected=" or ".join(kind.__name__ for kind in keys[key]),
            )
    if missing := [key for key in needed if key not in found]:
        raise ConfigError(f"{where} lacks `{missing[0]}`", got=", ".join(found), expected=", ".join(keys))
    return found
