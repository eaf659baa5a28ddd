"""Sequences from a user's YAML: own units with own images, or a table that holds the numbers already.

    series:
      s2: {files: "s2/*.tif", sensor: sentinel2_l2a, bands: [B04, B08], time: "%Y%m%d"}
    units: {files: parcels.gpkg, attribute: crop, id: parcel, group: farm, months: [4, 9]}
    classes: {wheat: Wheat, maize: {name: Maize, colour: "#f08a24"}}
    split: {by: block, size: 2000, fractions: [0.6, 0.2, 0.2], seed: 0}

Every date gives mean and deviation of each band within a unit; dates without a valid pixel are filled. With `months`
the steps are the medians of these months instead (`swath.data.monthly_series`), so that runs serve other years. A table
says `units: {table: samples.csv, columns: "{feature}_{step}", attribute: label}`: columns are named by feature and by a
step, and steps are sorted as text. Without `split:`, units with a place are split by blocks, others by their groups.
`part:` names a column with `train`, `val` and `test` instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import geopandas as gpd
import numpy as np
import pandas as pd

from swath.data.config import open_description
from swath.data.description import Description, read_description
from swath.data.monthly_series import monthly
from swath.data.readers import read_layout
from swath.data.scenes import PARTS
from swath.data.sequences import FRACTIONS, Sequences, split_sequences, with_parts
from swath.data.unit_series import common_steps, filled_steps, unit_features, unit_values
from swath.data.vectorlabels import attribute_classes
from swath.errors import ConfigError, DataError, ReadError
from swath.geo.vectors import read_vectors
from swath.sensors.bands import Band, Bands

#: Metres, in a projection of equal areas.
_EQUAL_AREA = "EPSG:6933"


def load_sequences(path: str | Path, system: str | None = None) -> Sequences:
    """Open a user's units (a YAML file) or a folder in the published layout of a system.

    Args:
        path: The YAML, or the folder.
        system: Id of the system, for a folder.

    Raises:
        ConfigError: If the YAML is wrong, or a folder is given without a system.
        ReadError: If files are missing or damaged.
        DataError: If units, images and splits do not fit together.
        GridError: If a CRS is missing.
        UnknownNameError: If there is no such sensor or layout.
    """
    path = Path(path)
    if path.is_dir():
        if system is None:
            raise ConfigError(f"{path} is a folder", expected="a YAML, or the name of a system whose layout it has")
        return cast(Sequences, read_layout(system, path))
    if not path.is_file():
        raise ReadError(f"{path} does not exist", expected="a YAML that describes units, or a folder")
    described = read_description(path)
    if described.layout is not None:
        found = cast(Any, read_layout(described.layout, described.folder or path.parent))
        if not isinstance(found, Sequences):
            raise ConfigError(f"The layout of {path} holds no units", got=described.layout)
        return found
    if not described.units:
        raise ConfigError(f"{path} describes no units", expected="`units:` with `files` or `table`")
    data = _table(described) if "table" in described.units else _parcels(described)
    return _split(data, described)


def _parcels(described: Description) -> Sequences:
    """Units of a vector file, with what the images of one series show within them."""
    said = described.units
    frame = read_vectors(described.root / str(said["files"]), said.get("layer"), described.crs)
    if len(described.series) != 1:
        raise ConfigError(
            f"Units of {described.name} need one series of images", got=", ".join(described.series) or "none"
        )
    scenes = list(open_description(described))
    name = next(iter(described.series))
    if "months" in said:
        scenes = [monthly(scene, name, *_months(said["months"])) for scene in scenes]
    every = [scene.series[name] for scene in scenes]
    days = common_steps(every)
    if days is None:
        raise DataError(
            f"Scenes of {described.name} have other dates", fix="Take the composites of months: `months: [4, 9]`"
        )
    values = unit_values(every[0], frame)
    for series in every[1:]:
        here = unit_values(series, frame)
        values = np.where(np.isfinite(values), values, here)
    values = filled_steps(values, days)
    data = _described(described, frame, values, unit_features(every[0].bands))
    unseen = int((~data.seen).sum())
    if unseen == len(data):
        raise DataError(f"No image of {described.name} shows any unit", fix="Check the CRS of both, and the places")
    facts = {"units": len(data), "units that no image shows, left out": unseen, "steps": data.steps}
    return replace(data, geometry=frame.geometry.reset_index(drop=True), facts=facts)


def _table(described: Description) -> Sequences:
    """Units of a table whose columns are numbers of features at steps."""
    said = described.units
    path = described.root / str(said["table"])
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise ReadError(f"{path} cannot be read as a table", got=error) from error
    pattern = str(said.get("columns", "{feature}_{step}"))
    if "{step}" not in pattern:
        raise ConfigError(f"`columns` of {path} names no step", got=pattern, expected='such as "{feature}_{step}"')
    expression = re.escape(pattern).replace(r"\{feature\}", "(?P<feature>.+)").replace(r"\{step\}", "(?P<step>.+)")
    special = {said[key] for key in ("id", "attribute", "group", "part") if key in said}
    found = [(m.groupdict(), c) for c in map(str, table) if c not in special and (m := re.fullmatch(expression, c))]
    features = list(dict.fromkeys(fields.get("feature", "value") for fields, _ in found))
    steps = sorted({fields["step"] for fields, _ in found})
    if not found or len(found) != len(features) * len(steps):
        raise DataError(
            f"{path} holds no whole sequences",
            got=f"{len(found)} columns of {len(features)} features and {len(steps)} steps",
            expected=f"columns named as {pattern}, each feature at each step",
        )
    order = {(fields.get("feature", "value"), fields["step"]): column for fields, column in found}
    columns = [order[feature, step] for step in steps for feature in features]
    try:
        values = table[columns].to_numpy(np.float32).reshape(len(table), len(steps), len(features))
    except ValueError as error:
        raise DataError(f"{path} holds something else than numbers", got=error) from error
    unit = str(said.get("unit", "1"))
    known = filled_steps(values, np.arange(len(steps)))
    return _described(described, table, known, Bands("table", tuple(Band(name, unit) for name in features)))


def _described(described: Description, rows: pd.DataFrame, values: np.ndarray, features: Bands) -> Sequences:
    """Sequences with what the columns of `rows` say of them."""
    said = described.units

    def column(key: str) -> np.ndarray | None:
        if key not in said:
            return None
        if said[key] not in rows:
            raise ConfigError(
                f"Units of {described.name} have no column for `{key}`",
                got=said[key],
                expected=", ".join(map(str, rows.columns)),
            )
        return rows[said[key]].astype(str).to_numpy(str)

    labels, classes = None, described.classes
    if "attribute" in said:
        if classes is None:
            raise ConfigError(f"{described.name} has an `attribute` but no `classes`")
        column("attribute")
        labels, _ = attribute_classes(rows[said["attribute"]], classes, described.texts, described.name)
        labels = labels.astype(np.int64)
    ids, groups, parts = column("id"), column("group"), column("part")
    data = Sequences(
        np.arange(len(rows)).astype(str) if ids is None else ids,
        values,
        features,
        classes,
        labels,
        groups,
        name=described.name,
    )
    if parts is None:
        return data
    if strange := sorted(set(parts) - set(PARTS)):
        raise DataError(f"Units of {described.name} are in unknown parts", got=", ".join(strange), expected=PARTS)
    return with_parts(data, parts, f"by column {said['part']}")


def _split(data: Sequences, described: Description) -> Sequences:
    """The sequences, split as the YAML says."""
    if data.parts is not None or data.labels is None:
        return data
    said: Mapping[str, Any] = described.split
    how = said.get("by", "block" if data.geometry is not None else "group")
    options = {"fractions": said.get("fractions", FRACTIONS), "seed": said.get("seed", 0)}
    if how == "source" or (how == "group" and data.groups is None and "by" not in said):
        return split_sequences(replace(data, groups=None), **options)
    if how == "group":
        if data.groups is None:
            raise ConfigError(f"{described.name} is split by groups, but has none", fix="Give `group:` in `units:`")
        return split_sequences(data, **options)
    if how != "block" or data.geometry is None:
        raise ConfigError(f"Units of {described.name} cannot be split so", got=how, expected="block, group or source")
    blocks, size = _blocks(data.geometry, said.get("size"))
    split = split_sequences(replace(data, groups=blocks), **options)
    told = {**split.facts, "split": f"by blocks of {size:g} m: {split.facts['split']}"}
    # scores draw units by the user's own groups where there are some, else by blocks
    return replace(split, groups=blocks if data.groups is None else data.groups, facts=told)


def _blocks(geometry: gpd.GeoSeries, size: float | None) -> tuple[np.ndarray, float]:
    """Block of each unit's middle, and the edge of blocks in metres: by default a tenth of the extent."""
    middle = geometry.to_crs(_EQUAL_AREA).centroid
    x, y = middle.x.to_numpy(), middle.y.to_numpy()
    edge = float(size) if size else max(float(np.ptp(x)), float(np.ptp(y)), 1.0) / 10
    cells = np.floor(np.stack([x, y]) / edge).astype(np.int64).astype(str)
    return np.char.add(np.char.add(cells[0], " "), cells[1]), edge


def _months(said: Any) -> tuple[int, int]:
    if not (isinstance(said, list) and len(said) == 2 and all(type(month) is int for month in said)):
        raise ConfigError("`months` of units are no two numbers", got=said, expected="such as [4, 9]")
    return said[0], said[1]
