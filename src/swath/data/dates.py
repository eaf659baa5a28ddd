"""Dates in the names of files."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from swath.data.remote import Url
from swath.data.stac_items import ITEM_SUFFIXES, item_time
from swath.errors import ConfigError

#: What directives of a date stand for.
_DIGITS = {"%Y": r"\d{4}", "%y": r"\d{2}", "%j": r"\d{3}", **dict.fromkeys(("%m", "%d", "%H", "%M", "%S"), r"\d{2}")}


def time_of(path: Path | Url, pattern: str | None) -> datetime | None:
    """The time, UTC, that a file's name tells by a pattern such as `%Y%m%d`; without pattern that of a STAC item.

    Raises:
        ConfigError: If the name holds no such date.
    """
    if pattern is None:
        return item_time(path) if path.suffix.casefold() in ITEM_SUFFIXES else None
    expression = "".join(_DIGITS.get(piece) or re.escape(piece) for piece in re.findall("%.|[^%]", pattern))
    for found in re.findall(f"(?={expression}){expression}", path.name):
        try:
            return datetime.strptime(found, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise ConfigError(f"The name of {path} has no date", expected=pattern, fix="Change `time:`")
