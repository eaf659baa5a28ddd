"""Scores: numbers that never stand alone. Each has an interval, and its naive baselines stand beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from swath.files import write_text


@dataclass(frozen=True, slots=True)
class Score:
    """One number.

    Attributes:
        value: The score on all of the part.
        low: Lower end of the interval; None where none was computed.
        high: Upper end of the interval.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Scores:
    """What a task reached on one part of one data set, beside its baselines.

    Attributes:
        part: Which part of the split: `test`, `val`, ...
        system: Score by metric name, for the system itself.
        baselines: Score by metric name, for each named baseline.
        details: Whatever a report shows further: confusion matrices, per-class tables, areas.
        facts: How it was measured: number of pixels, unit of the bootstrap, level of the intervals.
    """

    part: str
    system: Mapping[str, Score]
    baselines: Mapping[str, Mapping[str, Score]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        write_text(path, json.dumps(self.to_dict(), indent=1))

    @classmethod
    def load(cls, path: Path) -> Scores:
        """Read what `save` wrote."""
        found = json.loads(path.read_text("utf-8"))

        def scores(table: Mapping[str, Any]) -> dict[str, Score]:
            return {name: Score(**value) for name, value in table.items()}

        return cls(
            found["part"],
            scores(found["system"]),
            {k: scores(v) for k, v in found["baselines"].items()},
            found["details"],
            found["facts"],
        )
