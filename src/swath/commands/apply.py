"""`swath predict` and `swath score`: apply a run, or a system that needs no training, with the options of its task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swath import registry
from swath.commands.parsing import add_builder_options, add_options, underscored
from swath.commands.printing import print_json, print_scores
from swath.errors import RunError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

    from swath.tasks.task import Task

PREDICT_USAGE = """usage: swath predict RUN SOURCE [SOURCE ...] -o OUTPUT [options]
       swath predict RUN --help      the options of its task

  RUN      the folder of a run, or the id of a system that needs no training
  SOURCE   a raster, bands of several joined by commas, or LAYER=RASTER for each of several layers; or a YAML of data
           with one scene, as DATA.yaml:SCENE one of several, for scenes with time series;
           systems of other kinds say in their page what they take
  OUTPUT   the map or table; other products stand beside it"""
SCORE_USAGE = """usage: swath score RUN DATA [options]
       swath score RUN --help        the options of its task

  RUN      the folder of a run, or the id of a system that needs no training
  DATA     a YAML of your own data, or a folder in the published layout"""


def predict(words: Sequence[str]) -> int:
    """Run `swath predict` with the words after the verb; returns the exit status."""
    if not words or words[0].startswith("-"):
        return _tell(PREDICT_USAGE, words)
    parser, kind, make = _begin("predict", words[0])
    parser.add_argument("source", metavar="SOURCE", nargs="+", help="what to apply it to")
    parser.add_argument("-o", "--output", type=str, required=True, help="the main product; others stand beside it")
    parser.add_argument("--crs", type=str, help="CRS of rasters that lack one; 'none' for pixel coordinates")
    names = add_options(parser, kind, "predict", skip=("provenance",))
    found = parser.parse_args(underscored(words[1:]))
    task: Any = make(found)
    source = task.open_source(found.source, found.crs)
    written = task.predict(source, Path(found.output), **{name: found[name] for name in names})
    if found.json:
        print_json([str(path) for path in written])
    else:
        print("\n".join(str(path) for path in written))
    return 0


def score(words: Sequence[str]) -> int:
    """Run `swath score` with the words after the verb; returns the exit status."""
    if not words or words[0].startswith("-"):
        return _tell(SCORE_USAGE, words)
    parser, kind, make = _begin("score", words[0])
    parser.add_argument("data", type=str, metavar="DATA", help="labelled data")
    names = add_options(parser, kind, "score")
    found = parser.parse_args(underscored(words[1:]))
    task: Any = make(found)
    scores = task.score(task.open_data(found.data), **{name: found[name] for name in names})
    if Path(words[0]).is_dir():
        scores.save(Path(words[0]) / f"scores-{scores.part}.json")
    if found.json:
        print_json(scores.to_dict())
    else:
        print_scores(scores)
    return 0


def _tell(usage: str, words: Sequence[str]) -> int:
    print(usage)
    return 0 if words[:1] in (["-h"], ["--help"]) else 2


def _begin(verb: str, name: str) -> tuple[ArgumentParser, type[Task], Callable[[Any], Task]]:
    """A parser, the class of the task that `name` is, and what makes it of the words that were parsed."""
    from jsonargparse import ArgumentParser

    from swath.tasks.task import Task

    parser = ArgumentParser(prog=f"swath {verb} {name}")
    parser.add_argument("--json", action="store_true", help="print JSON")
    if Path(name).exists() or name.partition(":")[0].replace("-", "_") not in registry.names():
        task = Task.load(Path(name))
        return parser, type(task), lambda _: task
    kind = registry.task_class(name)
    if kind.trained:
        raise RunError(
            f"{name} must be trained before it can be applied",
            expected="the folder of a run",
            fix=f"Run `swath fit {name} DATA -o RUN` first",
        )
    options = add_builder_options(parser, name)
    return parser, kind, lambda found: registry.create(name, **{option: found[option] for option in options})
