"""Options of systems and of their verbs out of syntax trees: to run a system's file would load torch here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from swath import registry
from swath.errors import UnknownNameError

_PACKAGE = Path(registry.__file__).parent
#: Options that the data, or the caller, decide.
_NOT_ASKED = {"self", "bands", "classes", "series", "recipe", "callbacks", "provenance", "progress", "scheduler"}


@dataclass(frozen=True)
class Option:
    """One option, as the command line takes it.

    Attributes:
        name: With underscores.
        type: Its annotation.
        default: Its default, as source text; `must be given` where it has none.
        choices: All values that it may have; empty where it may have any.
    """

    name: str
    type: str
    default: str
    choices: tuple[str, ...] = ()

    @property
    def is_file(self) -> bool:
        """Whether it names a file."""
        return re.search(r"\bPath\b", self.type) is not None


def builder_options(system: str) -> list[Option]:
    """What the builder of a system or of a form, `id:form`, takes."""
    path, function = _builder(system)
    return list(_options(path, function))


def verb_options(system: str, verb: str) -> list[Option]:
    """What a verb of a system's task takes besides its data: the keywords that have a default."""
    method = _method(*_task(system), verb)
    return [] if method is None else [option for option in _options(*method) if option.default != "must be given"]


def has_recipe(system: str) -> bool:
    """Whether a system's `fit` takes the options of a recipe."""
    method = _method(*_task(system), "fit")
    return method is not None and any(argument.arg == "recipe" for argument in method[1].args.kwonlyargs)


def products(system: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The products that a system's `predict` can write, and those that it writes unasked; empty where it has one."""
    for option in verb_options(system, "predict"):
        if option.name == "products":
            try:
                return option.choices, tuple(ast.literal_eval(option.default))
            except ValueError:  # a name, which stands for all of them
                return option.choices, option.choices
    return (), ()


def is_trained(system: str) -> bool:
    """Whether a system must learn before it can be applied."""
    return bool(_said(system, "trained", True))


def kind(system: str) -> str:
    """The kind of a system's task."""
    return str(_said(system, "kind", ""))


def _said(system: str, name: str, default: object) -> object:
    """The value of a class variable of a system's task."""
    for _, found in _lineage(*_task(system)):
        for node in found.body:
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name and node.value:
                return ast.literal_eval(node.value)
    return default


def _builder(system: str) -> tuple[Path, ast.FunctionDef]:
    card = registry.card(system)
    path = _PACKAGE / "systems" / card.family / f"{card.id}.py"
    mark = f"register_form('{system}')" if ":" in system else "register("
    for node in _tree(path).body:
        if isinstance(node, ast.FunctionDef) and any(mark in ast.unparse(d) for d in node.decorator_list):
            return path, node
    raise UnknownNameError(f"There is no form '{system}'", expected=", ".join(registry.forms(card.id)))


def _task(system: str) -> tuple[Path, ast.ClassDef]:
    """The class of the task that a builder announces, and the file in which it stands."""
    path, function = _builder(system)
    found = _class(path, ast.unparse(function.returns).strip("'\"")) if function.returns else None
    if found is None:
        raise UnknownNameError(f"The builder of {system} does not say which task it makes")
    return found


def _class(path: Path, name: str) -> tuple[Path, ast.ClassDef] | None:
    """A class by its name in a file, which may have imported it."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return path, node
        if isinstance(node, ast.ImportFrom) and (file := _module(node)):
            for alias in node.names:
                if name in (alias.name, alias.asname):
                    return _class(file, alias.name)
    return None


def _lineage(path: Path, found: ast.ClassDef) -> Iterator[tuple[Path, ast.ClassDef]]:
    """A class and its ancestors within this package, the nearest first."""
    yield path, found
    for base in found.bases:
        if parent := _class(path, ast.unparse(base)):
            yield from _lineage(*parent)


def _method(path: Path, found: ast.ClassDef, name: str) -> tuple[Path, ast.FunctionDef] | None:
    for file, each in _lineage(path, found):
        for node in each.body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return file, node
    return None


def _options(path: Path, function: ast.FunctionDef) -> Iterator[Option]:
    arguments = function.args
    missing = [None] * (len(arguments.args) - len(arguments.defaults))
    names = [*arguments.args, *arguments.kwonlyargs]
    for name, default in zip(names, [*missing, *arguments.defaults, *arguments.kw_defaults], strict=True):
        if name.arg not in _NOT_ASKED:
            annotation = name.annotation or ast.Name("str")
            yield Option(
                name.arg, ast.unparse(annotation), ast.unparse(default) if default else "must be given",
                _choices(path, annotation),
            )  # fmt: skip


def _choices(path: Path, annotation: ast.expr) -> tuple[str, ...]:
    """Values of the `Literal` in an annotation, also where the file gave it a name."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
            values = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return tuple(str(ast.literal_eval(value)) for value in values)
        if isinstance(node, ast.Name):
            for given in _tree(path).body:
                if isinstance(given, ast.Assign) and ast.unparse(given.targets[0]) == node.id:
                    return _choices(path, given.value)
                names = [alias.name for alias in given.names] if isinstance(given, ast.ImportFrom) else []
                if node.id in names and (file := _module(given)):
                    return _choices(file, node)
    return ()


def _module(imported: ast.stmt) -> Path | None:
    """The file of this package that an import names; None for other packages."""
    if not isinstance(imported, ast.ImportFrom) or not (imported.module or "").startswith("swath."):
        return None
    module = _PACKAGE.joinpath(*str(imported.module).split(".")[1:])
    file = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
    return file if file.is_file() else None


@lru_cache(maxsize=256)
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))
