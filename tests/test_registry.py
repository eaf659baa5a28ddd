import inspect

import pytest

from swath import registry
from swath.errors import UnknownNameError
from swath.systems.planned import PLANNED


def test_seventy_one_systems_are_planned_once() -> None:
    assert len({row.id for row in PLANNED}) == len(PLANNED) == 71


@pytest.mark.parametrize("name", registry.names())
class TestEachSystem:
    """What holds for every registered system, by being registered."""

    def test_card_read_from_the_file_is_the_registered_one(self, name: str) -> None:
        registry.builder(name)
        assert registry.card(name) == registry._cards[name]

    def test_id_is_planned_and_names_its_file_and_folder(self, name: str) -> None:
        card = registry.card(name)
        planned = {row.id: row for row in PLANNED}
        assert card.id == name
        assert planned[name].family == card.family

    def test_every_option_has_a_type_and_a_default(self, name: str) -> None:
        for parameter in inspect.signature(registry.builder(name)).parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty, parameter
            assert parameter.default is not inspect.Parameter.empty, parameter


def test_unknown_system_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'landcover_ai'"):
        registry.card("landcover-aj")


def test_hyphens_count_as_underscores() -> None:
    assert registry.card("landcover-ai") == registry.card("landcover_ai")


def test_unknown_option_is_refused_before_anything_is_built() -> None:
    with pytest.raises(UnknownNameError, match=r"has no option clases.*Did you mean 'classes'"):
        registry.create("landcover_ai", clases=3)
