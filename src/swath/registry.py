"""Cards and names: what systems there are, and how one is made.

A system is one file `systems/<family>/<id>.py` that registers a builder function. One that was published for several
kinds of task has a builder for each: the first is called by the id, the others are its forms, `id:form`. Listing reads
cards and forms from the files' syntax trees, without running them, because running them loads torch.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from swath.errors import UnknownNameError

if TYPE_CHECKING:
    from swath.tasks.task import Task

_SYSTEMS = Path(__file__).parent / "systems"


@dataclass(frozen=True)
class Card:
    """What a system is, in words. All values are literals, so that a listing need not run the system's file.

    Attributes:
        id: Name of the system and of its file, without hyphens.
        title: Title of the paper.
        year: Year of publication.
        task: What it does: `segmentation`, `regression`, `detection`, ...
        inputs: What it takes: sensor, bands, size.
        outputs: What it gives.
        reference: DOI or arXiv id.
        weights: Where published weights are and under which licence; empty where there are none.
        baseline: The naive baseline that its scores stand beside.
        departures: Where `variant="corrected"` differs from the release, or our choice fills an unknown.
        checks: How parity was checked (P), on what it ran (R, B) and which claimed cost was measured (H).
        extra: The optional dependencies that it needs: `pip install 'swath[extra]'`.
    """

    id: str
    title: str
    year: int
    task: str
    inputs: str
    outputs: str
    reference: str
    weights: str = ""
    baseline: str = ""
    departures: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    extra: str = "torch"

    @property
    def family(self) -> str:
        """The room below `systems/` that the system stands in."""
        return _file(self.id).parent.name


Builder = TypeVar("Builder", bound=Callable[..., Any])
_builders: dict[str, Callable[..., Any]] = {}
_cards: dict[str, Card] = {}


def register(card: Card) -> Callable[[Builder], Builder]:
    """Register the decorated builder function as the system of `card`; its signature is its configuration."""

    def add(builder: Builder) -> Builder:
        _builders[card.id], _cards[card.id] = builder, card
        return builder

    return add


def register_form(name: str) -> Callable[[Builder], Builder]:
    """Register the decorated builder function under `name`, the `id:form` of a system that has a card."""

    def add(builder: Builder) -> Builder:
        _builders[name] = builder
        return builder

    return add


def names() -> list[str]:
    """Ids of all systems that are built, sorted."""
    return sorted(_files())


def forms(name: str) -> list[str]:
    """What a system can be called by: its id, then its forms, read from its file without running it.

    Raises:
        UnknownNameError: If there is no such system.
    """
    path = _file(name)
    return [path.stem, *(ast.literal_eval(call.args[0]) for call in _calls(path, "register_form"))]


def card(name: str) -> Card:
    """The card of a system, read from its file without running it.

    Raises:
        UnknownNameError: If there is no such system.
    """
    path = _file(name)
    for call in _calls(path, "Card"):
        return Card(**{k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg})
    raise UnknownNameError(f"{path} registers no card")


def builder(name: str) -> Callable[..., Task]:
    """The builder function of a system or of one of its forms; runs its file.

    Raises:
        UnknownNameError: If there is no such system or form.
    """
    path = _file(name)
    importlib.import_module(f"swath.systems.{path.parent.name}.{path.stem}")
    known, called = forms(name), _plain(name)
    if called not in known:
        raise UnknownNameError(f"There is no form '{name}'", expected=", ".join(known), fix=_suggestion(called, known))
    return _builders[called]


def task_class(name: str) -> type[Task]:
    """Class of the task that a system's builder makes, without making it."""
    build = builder(name)
    announced = inspect.signature(build).return_annotation
    return getattr(sys.modules[build.__module__], announced) if isinstance(announced, str) else announced


def create(name: str, **options: Any) -> Task:
    """Make the task of a system.

    Args:
        name: Id of the system, or `id:form`; hyphens count as underscores.
        **options: Arguments of its builder, for example `variant`, `weights`, `classes`, `bands`. Classes may be a
            number, names or what `Classes.of` takes; bands may be the name of a sensor.

    Raises:
        UnknownNameError: If there is no such system, option or sensor.
    """
    build = builder(name)
    known = inspect.signature(build).parameters
    if strange := sorted(set(options) - set(known)):
        raise UnknownNameError(
            f"{name} has no option {', '.join(strange)}",
            expected=", ".join(known),
            fix=_suggestion(strange[0], known),
        )
    options = {option: _understood(str(known[option].annotation), value) for option, value in options.items()}
    task = build(**options)
    task.system = {"id": _plain(name), "options": options}
    return task


def _understood(wanted: str, value: Any) -> Any:
    """Short forms of classes and bands as what the annotation of a builder wants."""
    if "Classes" in wanted and isinstance(value, int | list | tuple | dict):
        from swath.data.classes import Classes

        return Classes.of(value)
    if "Bands" in wanted and isinstance(value, str):
        from swath.sensors.catalogue import sensor

        return sensor(value)
    return value


@cache
def _files() -> dict[str, Path]:
    return {p.stem: p for p in sorted(_SYSTEMS.glob("*/*.py")) if not p.stem.startswith("_")}


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _calls(path: Path, function: str) -> Iterator[ast.Call]:
    """Calls of a function by its name in a file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function:
            yield node


def _file(name: str) -> Path:
    stem = _plain(name).partition(":")[0]
    if stem not in _files():
        raise UnknownNameError(
            f"There is no system '{name}'", fix=_suggestion(stem, _files()) or "`swath systems` lists them"
        )
    return _files()[stem]


def _suggestion(name: str, known: Any) -> str | None:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean '{close[0]}'?".rstrip(".") if close else None
