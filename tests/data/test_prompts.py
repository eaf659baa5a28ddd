"""Prompts: templates, places, words of names."""

import pytest

from swath.data.prompts import prompts, words
from swath.errors import ConfigError

NAMES = ["ClayTiles", "Thatch"]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("description_city", ["roof of clay in Corrin Westmark", "thatch in Corrin Westmark"]),
        ("description", ["roof of clay", "thatch"]),
        ("class_city", ["ClayTiles in Corrin Westmark", "Thatch in Corrin Westmark"]),
    ],
)
def test_the_three_templates(template, expected):
    assert prompts(NAMES, "Corrin Westmark", template, {"ClayTiles": "roof of clay"}) == expected


@pytest.mark.parametrize(("template", "first"), [("description_city", "clay tiles"), ("class_city", "ClayTiles")])
def test_without_a_place_none_is_named(template, first):
    assert prompts(NAMES, "", template)[0] == first


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ClayTiles", "clay tiles"),
        ("clay_tiles", "clay tiles"),
        ("EPDMRoof", "epdm roof"),
        ("tin 2", "tin 2"),
        ("屋", "屋"),
    ],
)
def test_words_of_names(name, expected):
    assert words(name) == expected


def test_an_unknown_template_is_refused():
    with pytest.raises(ConfigError, match="no such template"):
        prompts(NAMES, "", "poem")
