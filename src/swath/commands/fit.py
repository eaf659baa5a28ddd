"""`swath fit`: options from the builder's signature and the recipe, a configuration that reproduces the run."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from dataclasses import fields, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import yaml

from swath import registry
from swath.errors import ConfigError
from swath.files import write_text

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

#: What the data say; never asked for on the command line.
_FROM_DATA = {"bands", "classes"}
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
    parsed = _parse(system, described, words[1:])

    import torch

    from swath.data.buffers import keep_freed_memory
    from swath.data.config import load_data

    keep_freed_memory()
    torch.manual_seed(parsed["seed"])  # the builder draws the first weights
    data = load_data(parsed["data"], system)
    given = {name: value for name, value in parsed["options"].items() if name not in _FROM_DATA}
    wanted = inspect.signature(registry.builder(system)).parameters
    if "bands" in wanted:
        layers = data.bands
        given["bands"] = next(iter(layers.values())) if len(layers) == 1 else layers
    if "classes" in wanted:
        given["classes"] = data.classes
    task = registry.create(system, **given)
    changes = {name: value for name, value in parsed["recipe"].items() if value is not None}
    options: dict[str, Any] = {
        "seed": parsed["seed"],
        "devices": parsed["devices"],
        "accelerator": parsed["accelerator"],
    }
    if changes:
        options["recipe"] = replace(task.recipe, **changes)  # type: ignore[attr-defined]
    run = Path(parsed["output"])
    config = {
        "system": system,
        "data": os.path.abspath(parsed["data"]),
        "seed": parsed["seed"],
        **parsed["options"],
        **changes,
    }
    write_text(run / "config.yaml", yaml.safe_dump(_plain(config), sort_keys=False))
    task.fit(data, run, **options)
    print(run)
    return 0


def option_table(system: str) -> list[dict[str, Any]]:
    """Name, type and default of each option of a system's builder."""
    signature = inspect.signature(registry.builder(system))
    return [
        {
            "name": p.name,
            "type": str(p.annotation),
            "default": "from the data" if p.name in _FROM_DATA else None if p.default is p.empty else p.default,
        }
        for p in signature.parameters.values()
    ]


def _parse(system: str, described: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """The options of `described`, overruled by those of `words`, by group."""
    parser = _parser(system)
    builder_options = set(inspect.signature(registry.builder(system)).parameters) - _FROM_DATA
    known = {action.dest for action in parser._actions}
    if strange := sorted(set(described) - known):
        raise ConfigError(
            "The configuration has options that the system does not take",
            got=", ".join(strange),
            expected=", ".join(sorted(known - {"help"})),
        )
    parser.set_defaults(described)
    if "data" in described:
        words = [described["data"], *words] if not words or words[0].startswith("-") else words
    found = parser.parse_args(list(words)).as_dict()
    return {
        **{name: found[name] for name in ("data", "output", "seed", "devices", "accelerator")},
        "options": {name: found[name] for name in sorted(builder_options)},
        "recipe": {name: found.get(name) for name in _recipe_fields()},
    }


def _parser(system: str) -> ArgumentParser:
    from jsonargparse import ArgumentParser

    from swath.tasks.recipe import Recipe

    parser = ArgumentParser(prog=f"swath fit {system}", description=registry.card(system).title)
    parser.add_argument("data", type=str, help="a YAML of your own data, or a folder in the published layout")
    parser.add_argument("-o", "--output", type=str, required=True, help="the folder of the run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--devices", type=int, default=1, help="how many devices train together")
    parser.add_argument("--accelerator", type=str, default="auto", help="cpu, gpu, ...")
    parser.add_function_arguments(registry.builder(system), skip=set(_FROM_DATA))
    hints = get_type_hints(Recipe)
    changes = make_dataclass(
        "RecipeChanges",
        [(f.name, hints[f.name] | None, None) for f in fields(Recipe)],
        namespace={"__doc__": Recipe.__doc__},
    )
    parser.add_class_arguments(changes)
    return parser


def _recipe_fields() -> list[str]:
    from swath.tasks.recipe import Recipe

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
    return {name: list(value) if isinstance(value, tuple) else value for name, value in config.items()}
