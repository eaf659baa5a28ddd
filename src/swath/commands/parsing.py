"""Options of the command line out of the signatures of methods, so that they are said once."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

from swath import registry

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser


#: What the data say; never asked for on the command line.
FROM_DATA = frozenset({"bands", "classes", "series", "length"})


def add_builder_options(parser: ArgumentParser, system: str) -> list[str]:
    """Add the options of a system's builder that data do not decide; returns their names."""
    builder = registry.builder(system)
    parser.add_function_arguments(builder, skip=set(FROM_DATA))
    return sorted(set(inspect.signature(builder).parameters) - FROM_DATA)


def add_options(parser: ArgumentParser, owner: type, method: str, skip: Sequence[str] = ()) -> list[str]:
    """Add an option for each keyword of a method that has a default; returns their names.

    Args:
        parser: Gets the options.
        owner: The class.
        method: Name of its method; texts come from its docstring.
        skip: Keywords that are no options.
    """
    function = getattr(owner, method)
    parameters = inspect.signature(function).parameters
    options = {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.default is not inspect.Parameter.empty and name not in skip
    }
    # Several words after one option, which jsonargparse does not read from a signature.
    several = {name: p for name, p in options.items() if str(p.annotation).startswith("Sequence[")}
    parser.add_method_arguments(owner, method, skip=set(parameters) - set(options) - {"self"} | set(several))
    told = _told(owner, method)
    for name, parameter in several.items():
        item = function.__globals__.get(str(parameter.annotation).removeprefix("Sequence[").removesuffix("]"))
        limits: dict[str, Any] = {"choices": get_args(item)} if get_args(item) else {}
        parser.add_argument(f"--{name}", nargs="+", default=list(parameter.default), help=told.get(name), **limits)
    return list(options)


def underscored(words: Sequence[str]) -> list[str]:
    """Words with the names of options as jsonargparse knows them: `--on-error` is `--on_error`."""
    parts = [word.partition("=") for word in words]
    return [
        (name.replace("-", "_").replace("__", "--", 1) if name.startswith("--") else name) + sign + value
        for name, sign, value in parts
    ]


def _told(owner: type, method: str) -> dict[str, Any]:
    """What the docstring of a method says of its arguments."""
    from docstring_parser import parse

    return {p.arg_name: p.description for p in parse(inspect.getdoc(getattr(owner, method)) or "").params}
