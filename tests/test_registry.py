import inspect
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from swath import registry
from swath.errors import UnknownNameError
from swath.systems.planned import PLANNED
from swath.tasks.recipe import Recipe
from swath.tasks.task import Task


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
        for form in registry.forms(name):
            for parameter in inspect.signature(registry.builder(form)).parameters.values():
                assert parameter.annotation is not inspect.Parameter.empty, parameter
                assert parameter.default is not inspect.Parameter.empty, parameter

    def test_no_option_is_one_of_the_verbs_too(self, name: str) -> None:
        recipe = {field.name for field in fields(Recipe)}
        for form in registry.forms(name):
            verbs = inspect.signature(registry.task_class(form).fit).parameters
            taken = verbs.keys() | (recipe if "recipe" in verbs else set())
            assert not taken & inspect.signature(registry.builder(form)).parameters.keys()

    def test_its_page_stands_in_the_documentation(self, name: str) -> None:
        assert (Path(__file__).parents[1] / "docs" / "systems" / f"{name}.md").is_file()

    def test_it_says_how_it_was_proved(self, name: str) -> None:
        said = " ".join(registry.card(name).checks)
        assert all(f"{proof}:" in said for proof in "PRBH")

    def test_each_form_makes_a_task_of_the_announced_class(self, name: str) -> None:
        forms = registry.forms(name)
        assert forms[0] == name
        assert all(form.startswith(f"{name}:") for form in forms[1:])
        for form in forms:
            with torch.device("meta"):  # the published networks are large
                task = registry.create(form)
            assert isinstance(task, Task)
            assert type(task) is registry.task_class(form)
            assert task.system == {"id": form, "options": {}}
            assert isinstance(task.net, torch.nn.Module | None)


def test_short_forms_of_classes_and_bands() -> None:
    task = registry.create("bhutan_rice", classes=["dry", "wet"], bands="landsat7_dn")
    assert task.classes.names == ("dry", "wet")
    assert task.bands["image"].sensor == "landsat7_dn"
    with pytest.raises(UnknownNameError, match="no sensor 'landsat'"):
        registry.create("bhutan_rice", bands="landsat")


def test_unknown_system_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'landcover_ai'"):
        registry.card("landcover-aj")


def test_hyphens_count_as_underscores() -> None:
    assert registry.card("landcover-ai") == registry.card("landcover_ai")


def test_an_unknown_form_is_told_those_that_are() -> None:
    with pytest.raises(UnknownNameError, match=r"no form 'landcover_ai:boxes'.*expected landcover_ai"):
        registry.builder("landcover_ai:boxes")


def test_unknown_option_is_refused_before_anything_is_built() -> None:
    with pytest.raises(UnknownNameError, match=r"has no option clases.*Did you mean 'classes'"):
        registry.create("landcover_ai", clases=3)
