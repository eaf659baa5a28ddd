"""Units of a study: who was treated, what came of it, and which image shows the place.

Several units may share an image; its key is the cluster in which they are never taken apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from swath.causal.chips import Chips, read_chips
from swath.errors import ConfigError, DataError, ReadError

_KNOWN = {
    "units",
    "treatment",
    "outcome",
    "key",
    "lon",
    "lat",
    "covariates",
    "part",
    "probability",
    "missing",
    "images",
}


@dataclass(frozen=True)
class Units:
    """Units with their images.

    Attributes:
        keys: Name of each image `[images]`.
        images: `[images, frames, bands, height, width]`, float32.
        image_of: Index of the image of each unit `[units]`.
        covariates: `[units, covariates]`, without NaN.
        covariate_names: Name of each covariate.
        lon: Longitude of each unit in degrees; NaN where unknown.
        lat: Latitude of each unit in degrees; NaN where unknown.
        treatment: 0 or 1 of each unit; None of units that effects are carried to.
        outcome: Of each unit; None likewise.
        probability: Of treatment, known by design; None in observational studies.
        part: Part of the split of each unit: `train`, `test`, ...; empty where the study has none.
        dropped: How many units were left out because their outcome is missing.
    """

    keys: np.ndarray
    images: np.ndarray
    image_of: np.ndarray
    covariates: np.ndarray
    covariate_names: tuple[str, ...]
    lon: np.ndarray
    lat: np.ndarray
    treatment: np.ndarray | None = None
    outcome: np.ndarray | None = None
    probability: np.ndarray | None = None
    part: np.ndarray | None = None
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.image_of)

    def select(self, chosen: np.ndarray) -> Units:
        """The units of a mask or of indices; all images stay."""
        per_unit = ("image_of", "covariates", "lon", "lat", "treatment", "outcome", "probability", "part")
        return replace(self, **{n: v[chosen] for n in per_unit if (v := getattr(self, n)) is not None})

    def of_part(self, part: str) -> Units:
        """The units of a part of the split; all where the study has none.

        Raises:
            DataError: If the part has no units, or shares images with another.
        """
        if self.part is None:
            return self
        chosen = self.part == part
        if not chosen.any():
            raise DataError(f"No unit is of part '{part}'", got=", ".join(sorted(set(self.part))))
        shared = np.intersect1d(self.image_of[chosen], self.image_of[~chosen])
        if len(shared):
            raise DataError(
                "Parts of the split share images",
                got=f"{len(shared)} keys, first {self.keys[shared[0]]}",
                fix="Give all units of an image the same part",
            )
        return self.select(chosen)

    def studied(self) -> tuple[np.ndarray, np.ndarray]:
        """Treatment and outcome of all units.

        Raises:
            DataError: If one is absent, or an arm has fewer than two images.
        """
        if self.treatment is None or self.outcome is None:
            raise DataError(
                "The units have no treatment or no outcome", fix="Name both columns: `treatment` and `outcome`"
            )
        for arm in (0, 1):
            count = len(np.unique(self.image_of[self.treatment == arm]))
            if count < 2:
                raise DataError(
                    "No effect can be learned without both arms",
                    got=f"{count} images with treatment {arm} of {len(self)} units",
                    expected="at least 2 in each arm",
                )
        return self.treatment, self.outcome

    def chances(self) -> np.ndarray:
        """Probability of treatment of each unit of a trial: known by design, or the share of the treated."""
        treatment, _ = self.studied()
        return np.full(len(self), treatment.mean()) if self.probability is None else self.probability


def read_units(path: str | Path) -> Units:
    """Units that a YAML describes.

    Its keys: `units`, a CSV or Parquet table with a row for each unit; `treatment`, `outcome`, `lon`, `lat`, the names
    of columns; `key`, the column that names each unit's image (by default each place is its own); `covariates`, a list
    of columns (NaN become the mean, with a column of their own that marks them); `part`, a column that splits;
    `probability`, of treatment, a number or a column; `missing`, what happens to units without outcome (`refuse`,
    the default, or `drop`); `images`, see `swath.causal.chips.read_chips`.

    Raises:
        ReadError: If a file is missing or unreadable.
        ConfigError: If a key or column is unknown.
        DataError: If the values cannot be used.
    """
    path = Path(path)
    said = _mapping(path)
    if strange := sorted(set(said) - _KNOWN):
        raise ConfigError(f"{path} has unknown keys", got=", ".join(strange), expected=", ".join(sorted(_KNOWN)))
    if missing := sorted({"units", "images"} - set(said)):
        raise ConfigError(f"{path} does not describe units", got=f"no {', '.join(missing)}")
    table = _table(path.parent / str(said["units"]), said.get("key"))

    def column(role: str) -> pd.Series | None:
        return None if role not in said else _column(table, said[role], role)

    outcome, dropped = column("outcome"), 0
    if outcome is not None:
        absent = ~np.isfinite(_numbers(outcome, "outcome"))
        if absent.any():
            if said.get("missing", "refuse") != "drop":
                raise DataError(
                    f"{absent.sum()} of {len(table)} units have no outcome",
                    fix="Leave them out with `missing: drop`, if who is missing does not depend on the treatment",
                )
            table, dropped = table[~absent].reset_index(drop=True), int(absent.sum())
    lon, lat = (_degrees(column(role), limit, len(table)) for role, limit in (("lon", 180.0), ("lat", 90.0)))
    names = _keys(column("key"), lon, lat)
    keys, image_of = np.unique(names, return_inverse=True)
    places = pd.DataFrame({"lon": lon, "lat": lat}).groupby(image_of).mean()
    chips = read_chips(said["images"], path.parent, Chips(keys, places["lon"].to_numpy(), places["lat"].to_numpy()))
    covariates, covariate_names = _covariates(table, said.get("covariates", []))
    outcome, treatment, part = column("outcome"), column("treatment"), column("part")
    return Units(
        keys=keys,
        images=chips,
        image_of=image_of,
        covariates=covariates,
        covariate_names=covariate_names,
        lon=lon,
        lat=lat,
        treatment=None if treatment is None else _arms(treatment),
        outcome=None if outcome is None else _numbers(outcome, "outcome"),
        probability=_probability(table, said.get("probability")),
        part=None if part is None else part.astype(str).to_numpy(),
        dropped=dropped,
    )


def _mapping(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ReadError(f"{path} cannot be read as a description of units", got=error) from error
    if not isinstance(found, Mapping):
        raise ConfigError(f"{path} does not describe units", expected="a mapping with `units` and `images`")
    return dict(found)


def _table(path: Path, key: object) -> pd.DataFrame:
    # as numbers, keys would lose the zeros that they begin with
    texts = {} if key is None else {str(key): str}
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=texts)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise ReadError(f"{path} cannot be read as a table of units", got=error) from error
    if table.empty:
        raise DataError(f"{path} holds no units")
    return table


def _column(table: pd.DataFrame, name: object, role: str) -> pd.Series:
    if name not in table:
        raise ConfigError(f"There is no column for `{role}`", got=name, expected=", ".join(map(str, table.columns)))
    return table[name]


def _numbers(column: pd.Series, role: str) -> np.ndarray:
    try:
        return column.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"The column of `{role}` holds something else than numbers", got=error) from error


def _arms(column: pd.Series) -> np.ndarray:
    values = _numbers(column, "treatment")
    if not np.isin(values, (0, 1)).all():
        odd = pd.unique(values[~np.isin(values, (0, 1))])[:3]
        raise DataError("Treatments must be 0 or 1", got=", ".join(map(str, odd)))
    return values


def _degrees(column: pd.Series | None, limit: float, count: int) -> np.ndarray:
    if column is None:
        return np.full(count, np.nan)
    values = _numbers(column, str(column.name))
    if not (np.abs(values) <= limit).all():
        raise DataError(
            f"The column '{column.name}' holds no degrees", got=values[~(np.abs(values) <= limit)][0], expected=limit
        )
    return values


def _keys(column: pd.Series | None, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    if column is None:
        if np.isnan(lon).any() or np.isnan(lat).any():
            raise ConfigError("Nothing says which image a unit has", fix="Name the column `key`, or `lon` and `lat`")
        return np.char.add(np.char.add(lon.round(6).astype(str), " "), lat.round(6).astype(str))
    if column.isna().any():
        raise DataError(f"{column.isna().sum()} units have no key of an image")
    return column.astype(str).to_numpy(str)


def _covariates(table: pd.DataFrame, names: object) -> tuple[np.ndarray, tuple[str, ...]]:
    if not isinstance(names, list):
        raise ConfigError("`covariates` is a list of columns", got=names)
    found: dict[str, np.ndarray] = {}
    for name in names:
        values = _numbers(_column(table, name, "covariates"), str(name))
        absent = ~np.isfinite(values)
        if absent.all():
            raise DataError(f"The covariate '{name}' has no value at all")
        found[str(name)] = np.where(absent, values[~absent].mean(), values)
        if absent.any():
            found[f"{name}_missing"] = absent.astype(float)
    return np.stack(list(found.values()), axis=1) if found else np.zeros((len(table), 0)), tuple(found)


def _probability(table: pd.DataFrame, said: Any) -> np.ndarray | None:
    if said is None:
        return None
    values = (
        np.full(len(table), float(said))
        if isinstance(said, int | float)
        else _numbers(_column(table, said, "probability"), "probability")
    )
    if not ((values > 0) & (values < 1)).all():
        raise DataError("Probabilities of treatment must lie between 0 and 1", got=f"{values.min()} to {values.max()}")
    return values
