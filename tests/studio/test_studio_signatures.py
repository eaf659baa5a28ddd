"""What syntax trees say of a system is what its running code says."""

import inspect
from typing import get_args

import pytest

from swath import registry
from swath.studio import signatures

pytestmark = pytest.mark.slow  # loads all systems

ALL = [form for name in registry.names() for form in registry.forms(name)]
NOT_OPTIONS = {"self", "bands", "classes", "series", "recipe", "callbacks", "provenance", "progress", "scheduler"}


def keywords(function):
    found = inspect.signature(function).parameters.values()
    return [p for p in found if p.name not in NOT_OPTIONS and p.default is not inspect.Parameter.empty]


@pytest.mark.parametrize("system", ALL)
def test_options_are_those_of_the_code(system):
    build, task = registry.builder(system), registry.task_class(system)
    wanted = [name for name in inspect.signature(build).parameters if name not in NOT_OPTIONS]
    assert [option.name for option in signatures.builder_options(system)] == wanted
    for verb in ("fit", "predict"):
        method = getattr(task, verb)
        assert [option.name for option in signatures.verb_options(system, verb)] == [p.name for p in keywords(method)]
    assert signatures.has_recipe(system) == ("recipe" in inspect.signature(task.fit).parameters)
    assert (signatures.kind(system), signatures.is_trained(system)) == (task.kind, task.trained)


@pytest.mark.parametrize("system", ALL)
def test_products_are_those_of_the_code(system):
    method = registry.task_class(system).predict
    given = inspect.signature(method).parameters.get("products")
    if given is None:
        assert signatures.products(system) == ((), ())
    else:
        possible = get_args(method.__globals__["Product"])
        assert signatures.products(system) == (possible, tuple(given.default))


def test_literals_are_choices_and_paths_are_files():
    options = {option.name: option for option in signatures.builder_options("cloudtracks:instances")}
    assert options["suppression"].choices == ("box", "mask", "matrix")
    assert options["weights"].is_file
    assert not options["overlap"].is_file
