"""The packages of astronomers, loaded when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from swath.errors import MissingExtraError


def package(name: str) -> Any:
    """A module of `astropy`, `reproject`, `sep` or `statmorph`.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(name.partition(".")[0], "sky") from error


def extractor() -> Any:
    """The module `sep`, with room for crowded fields."""
    sep = package("sep")
    sep.set_extract_pixstack(3_000_000)
    sep.set_sub_object_limit(8192)
    return sep
