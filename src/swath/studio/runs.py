"""Runs as a person reads them: what was trained on what, its curve, its scores beside baselines, what leaked."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import yaml

from swath.errors import ReadError
from swath.tasks.run import Run


def describe_run(folder: Path) -> dict[str, Any]:
    """All that a run folder says; files that are not there yet are null.

    Raises:
        RunError: If `task.json` is damaged.
        ReadError: If another file is.
    """
    description = Run(folder).description if (folder / "task.json").is_file() else None
    return {
        "name": folder.name,
        "system": (description or {}).get("system", {}).get("id"),
        "kind": (description or {}).get("kind"),
        "finished": description is not None,
        "classes": _legend(description),
        "bands": _bands(description),
        "config": _yaml(folder / "config.yaml"),
        "history": _history(folder / "metrics.csv"),
        "scores": [_json(path) for path in sorted(folder.glob("scores-*.json"))],
        "leaks": _json(folder / "leaks.json"),
        "data": _json(folder / "data.json"),
        "versions": _json(folder / "versions.json"),
    }


def _legend(description: dict[str, Any] | None) -> list[dict[str, Any]] | None:
    found = (description or {}).get("system", {}).get("options", {}).get("classes")
    if not isinstance(found, dict) or "names" not in found:
        return None
    return [
        {"code": code, "name": name, "colour": "#{:02x}{:02x}{:02x}".format(*colour)}
        for code, name, colour in zip(found["codes"], found["names"], found["colours"], strict=True)
    ]


def _bands(description: dict[str, Any] | None) -> list[str] | None:
    found = (description or {}).get("system", {}).get("options", {}).get("bands")
    return [band["name"] for band in found["bands"]] if isinstance(found, dict) and "bands" in found else None


def _history(path: Path) -> dict[str, list[float | None]] | None:
    """Columns of the history of training; null where a number is missing."""
    if not path.is_file():
        return None
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return {name: [_number(row[name]) for row in rows] for name in (rows[0] if rows else {})}
    except (OSError, ValueError, csv.Error) as error:
        raise ReadError(f"{path.name} of the run is damaged", got=error) from error


def _number(text: str | None) -> float | None:
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


def _json(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return _without_nan(json.loads(path.read_text("utf-8")))
    except ValueError as error:
        raise ReadError(f"{path.name} of the run is damaged", got=error) from error


def _yaml(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise ReadError(f"{path.name} of the run is damaged", got=error) from error


def _without_nan(value: Any) -> Any:
    """JSON has no NaN, which Python writes; browsers refuse it."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
