"""`swath fit`: options from the builder's signature and the recipe, a configuration that reproduces the run."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import yaml

from swath import registry
from swath.commands.parsing import FROM_DATA, add_builder_options, add_options, underscored
from swath.errors import ConfigError
from swath.files import write_text

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

_USAGE = """usage: swath fit SYSTEM DATA -o RUN [options]
       swath fit CONFIG.yaml -o RUN [options]

Train a system on a data set.

  SYSTEM       a system of `swath systems`; its options: swath fit SYSTEM --help
  DATA         a YAML that describes your own data, or a folder in the system's published layout
  CONFIG.yaml  the config.yaml of another run
  -o RUN       the folder of the new run; a run that was cut off there goes on"""


def fit(words: Sequence[str]) -> int:
    """Run `swath fit` with the words after the verb; returns the exit status."""
    if not words or words[0].startswith("-"):
        print(_USAGE)
        return 0 if words[:1] in (["-h"], ["--help"]) else 2
    described = _read_config(Path(words[0])) if words[0].endswith((".yaml", ".yml")) else {"system": words[0]}
    system = str(described.pop("system"))
    options = _parse(system, described, words[1:])
    task, data = _task_and_data(system, options)
    given = dict(options.fit)
    if options.recipe:
        given["recipe"] = replace(task.recipe, **options.recipe)
    run = Path(options.output)
    config = {"system": system, "data": os.path.abspath(options.data), **options.fit, **options.builder}
    write_text(run / "config.yaml", yaml.safe_dump(_plain(config | options.recipe), sort_keys=False))
    task.fit(data, run, **given)
    print(run)
    return 0


def option_table(system: str) -> list[dict[str, Any]]:
    """Name, type and default of each option of a system's builder."""
    signature = inspect.signature(registry.builder(system))
    return [
        {
            "name": p.name,
            "type": str(p.annotation),
            "default": "from the data" if p.name in FROM_DATA else None if p.default is p.empty else p.default,
        }
        for p in signature.parameters.values()
    ]


@dataclass(frozen=True)
class _Options:
    """What `swath fit` was asked, by whom it concerns."""

    data: str
    output: str
    builder: dict[str, Any]
    fit: dict[str, Any]
    recipe: dict[str, Any]


def _task_and_data(system: str, options: _Options) -> tuple[Any, Any]:
    """The task, and what it learns from; a builder that asks for what the data say gets it."""
    if _has_recipe(registry.task_class(system)):
        import torch

        from swath.data.buffers import keep_freed_memory

        keep_freed_memory()
        torch.manual_seed(options.fit["seed"])  # the builder draws the first weights
    wanted = FROM_DATA & set(inspect.signature(registry.builder(system)).parameters)
    if not wanted:
        task = registry.create(system, **options.builder)
        return task, task.open_data(options.data)
    data, found = registry.task_class(system).described(options.data, system)
    return registry.create(system, **options.builder, **{name: found[name] for name in wanted}), data


def _parse(system: str, described: dict[str, Any], words: Sequence[str]) -> _Options:
    """The options of `described`, overruled by those of `words`."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog=f"swath fit {system}", description=registry.card(system).title)
    parser.add_argument("data", type=str, help="a YAML of your own data, or a folder in the published layout")
    parser.add_argument("-o", "--output", type=str, required=True, help="the folder of the run")
    builder_options = add_builder_options(parser, system)
    task = registry.task_class(system)
    fit_options = add_options(parser, task, "fit", skip=("recipe", "callbacks"))
    recipe_options = _add_recipe(parser) if _has_recipe(task) else []
    known = {action.dest for action in parser._actions}
    if strange := sorted(set(described) - known):
        raise ConfigError(
            "The configuration has options that the system does not take",
            got=", ".join(strange),
            expected=", ".join(sorted(known - {"help"})),
        )
    parser.set_defaults(described)
    if "data" in described and (not words or words[0].startswith("-")):
        words = [described["data"], *words]
    found = parser.parse_args(underscored(words)).as_dict()
    return _Options(
        found["data"],
        found["output"],
        {name: found[name] for name in builder_options},
        {name: found[name] for name in fit_options},
        {name: found[name] for name in recipe_options if found[name] is not None},
    )


def _has_recipe(task: type) -> bool:
    return "recipe" in inspect.signature(task.fit).parameters  # type: ignore[attr-defined]


def _add_recipe(parser: ArgumentParser) -> list[str]:
    """Options that change single lines of the system's recipe."""
    from swath.tasks.recipe import Recipe

    hints = get_type_hints(Recipe)
    changes = make_dataclass(
        "RecipeChanges",
        [(f.name, hints[f.name] | None, None) for f in fields(Recipe)],
        namespace={"__doc__": Recipe.__doc__},
    )
    parser.add_class_arguments(changes)
    return [f.name for f in fields(Recipe)]


def _read_config(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as a configuration", got=error) from error
    if not isinstance(found, dict) or not {"system", "data"} <= found.keys():
        raise ConfigError(
            f"{path} is no configuration of a run",
            expected="a mapping with `system` and `data`",
            fix="`swath fit` writes one as config.yaml into each run",
        )
    return found


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return os.path.abspath(value)
        return list(value) if isinstance(value, tuple) else value

    return {name: plain(value) for name, value in config.items()}
