"""Prompts: what an image-text network is asked about an image of a class at a place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from swath.errors import ConfigError

Template = Literal["description_city", "description", "class_city"]

#: Templates by name. The first has both what a class looks like and where; the third calls a class by its name.
TEMPLATES: Mapping[Template, str] = {
    "description_city": "{description} in {place}",
    "description": "{description}",
    "class_city": "{name} in {place}",
}


def prompts(
    names: Sequence[str],
    place: str,
    template: Template = "description_city",
    described: Mapping[str, str] | None = None,
) -> list[str]:
    """A prompt for each class.

    Args:
        names: Names of the classes.
        place: Name of the place; where it is empty, prompts do without.
        template: Name of the template.
        described: What a class looks like, by its name; others are described by the words of their name.

    Raises:
        ConfigError: If there is no such template.
    """
    if template not in TEMPLATES:
        raise ConfigError("There is no such template of prompts", got=template, expected=", ".join(TEMPLATES))
    text = TEMPLATES[template] if place else TEMPLATES[template].removesuffix(" in {place}")
    described = described or {}
    return [text.format(name=name, place=place, description=described.get(name, words(name))) for name in names]


def words(name: str) -> str:
    """The words of a name: `ClayTiles` and `clay_tiles` are `clay tiles`."""
    return " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W_A-Za-z]+", name)).lower() or name
