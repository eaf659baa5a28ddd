"""Sequences: units such as parcels, pixels or sampling points, each with the same numbers at every step of time.

Convention: `values` are `[units, steps, features]`. A unit of which nothing was seen is NaN throughout; gaps of others
are filled where sequences are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from swath.data.classes import IGNORE, Classes
from swath.data.dealing import deal
from swath.data.scenes import PARTS
from swath.errors import DataError
from swath.sensors.bands import Bands

if TYPE_CHECKING:
    import geopandas as gpd

#: Shares of train, val and test where nothing else is said.
FRACTIONS = (0.6, 0.2, 0.2)


@dataclass(frozen=True)
class Sequences:
    """Units with their numbers.

    Attributes:
        ids: Name of each unit, text `[N]`, none twice.
        values: Physical values `[N, T, C]`, float32.
        features: What the numbers of a step are.
        classes: Legend; None where there are no labels.
        labels: Class index of each unit, int64 `[N]`; `IGNORE` where none is known.
        groups: What must not be torn apart by a split, text `[N]`; None where each unit stands alone.
        parts: Part of the split of each unit, text `[N]`; None while undecided.
        geometry: Where the units are.
        name: For reports.
        facts: What a report should say of the data.
    """

    ids: np.ndarray
    values: np.ndarray
    features: Bands
    classes: Classes | None = None
    labels: np.ndarray | None = None
    groups: np.ndarray | None = None
    parts: np.ndarray | None = None
    geometry: gpd.GeoSeries | None = None
    name: str = "units"
    facts: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or not self.values.size or self.values.shape[2] != len(self.features):
            raise DataError(
                f"{self.name} are no sequences",
                got=self.values.shape,
                expected=f"units x steps x {len(self.features)} features, at least one of each",
            )
        columns = {"ids": self.ids, "labels": self.labels, "groups": self.groups, "parts": self.parts}
        if wrong := [name for name, column in columns.items() if column is not None and len(column) != len(self)]:
            raise DataError(f"{self.name} have other numbers of units", got=", ".join(wrong), expected=len(self))
        names, counts = np.unique(self.ids, return_counts=True)
        if (counts > 1).any():
            doubled = ", ".join(map(str, names[counts > 1][:5]))
            raise DataError(f"{self.name} hold units of the same id", got=f"{(counts > 1).sum()}: {doubled}")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def steps(self) -> int:
        """Length of every sequence."""
        return self.values.shape[1]

    @property
    def known(self) -> np.ndarray:
        """Class index of each unit, int64 `[N]`; raises `DataError` where there are no labels."""
        if self.labels is None or self.classes is None:
            raise DataError(f"{self.name} have no classes", fix="Give `attribute:` and `classes:`")
        return self.labels

    @property
    def seen(self) -> np.ndarray:
        """Bool `[N]`: units of which anything was seen."""
        return np.isfinite(self.values).all((1, 2))

    def select(self, chosen: np.ndarray) -> Sequences:
        """The units of a mask or of indices."""
        columns = {name: getattr(self, name) for name in ("ids", "values", "labels", "groups", "parts")}
        kept = {name: column[chosen] for name, column in columns.items() if column is not None}
        return replace(self, **kept, geometry=None if self.geometry is None else self.geometry[chosen])

    def of_part(self, part: str) -> Sequences:
        """The units of a part that were seen and have a class.

        Raises:
            DataError: If there are no labels or parts, or no such unit.
        """
        labels = self.known
        if self.parts is None:
            raise DataError(f"{self.name} are in no part of a split yet", fix="Give a `split:`")
        chosen = (self.parts == part) & (labels != IGNORE) & self.seen
        if not chosen.any():
            raise DataError(f"No unit of {self.name} with a class is of part '{part}'", fix="Change the `split:`")
        return self.select(np.flatnonzero(chosen))

    def with_features(self, needed: Bands) -> Sequences:
        """The sequences with exactly the features that a network needs; raises `BandError` where one is missing."""
        positions = list(self.features.require(needed, self.name))
        if positions == list(range(len(self.features))):
            return self
        return replace(self, values=self.values[:, :, positions], features=self.features.select(needed.names))


def split_sequences(data: Sequences, fractions: Sequence[float] = FRACTIONS, seed: int = 0) -> Sequences:
    """Deal out groups of units, or units where there are no groups, so that classes are shared as evenly as they allow.

    Args:
        data: The units.
        fractions: Shares of train, val and test.
        seed: Of the order among equals.

    Raises:
        ConfigError: If the fractions do not sum to 1.
        DataError: If there are fewer groups than parts.
    """
    what = "units" if data.groups is None else "groups"
    names, code = np.unique(data.ids if data.groups is None else data.groups, return_inverse=True)
    classes = 0 if data.classes is None else len(data.classes)
    amounts = np.zeros((len(names), classes + 1))
    amounts[:, -1] = np.bincount(code, minlength=len(names))
    if data.labels is not None:
        known = data.labels != IGNORE
        np.add.at(amounts, (code[known], data.labels[known]), 1)
    dealt = deal(amounts, fractions, seed, what)
    parts = np.array(PARTS)[dealt[code]]
    told = " : ".join(f"{100 * share:g} %" for share in fractions)
    return with_parts(data, parts, f"by {what}, {told}, seed {seed}")


def with_parts(data: Sequences, parts: np.ndarray, how: str) -> Sequences:
    """The sequences in the given parts `[N]`, with facts that say so."""
    counts = {part: int((parts == part).sum()) for part in PARTS}
    return replace(data, parts=parts, facts={**data.facts, "split": how, "units by part": counts})


def shared_units(data: Sequences) -> dict[str, int]:
    """Units of a later part whose numbers stand in an earlier one too, by pair of parts; only pairs that share."""
    if data.parts is None:
        return {}
    keys = {part: {row.tobytes() for row in data.values[data.parts == part]} for part in PARTS}
    pairs = [(a, b) for i, a in enumerate(PARTS) for b in PARTS[i + 1 :]]
    return {f"{a} and {b}": count for a, b in pairs if (count := len(keys[a] & keys[b]))}
