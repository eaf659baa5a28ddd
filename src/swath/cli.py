"""The command line: parse, call, print. Everything heavy is imported by the verb that needs it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swath import __version__
from swath.errors import SwathError

if TYPE_CHECKING:
    from swath.tasks.scores import Scores

_PRODUCTS = ("classes", "probabilities", "uncertainty", "vectors")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after `swath`; by default those of the process.

    Returns:
        The exit status: 0 where all went well, 1 for an error that was explained, 130 after an interrupt.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Threads of torch that wait must not spin: readers and other programs want the processor. Read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # rasterio silences this one itself while it rasterises, but not where another thread changes the filters meanwhile.
    warnings.filterwarnings("ignore", message="Dataset has no geotransform")
    try:
        if words[:1] == ["fit"]:  # its options depend on the system, so the parser is made after the name is read
            from swath.commands.fit import fit

            return fit(words[1:])
        parsed = parser().parse_args(words)
        return int(parsed.run(parsed) or 0)
    except SwathError as error:
        print(f"swath: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("swath: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, say `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("SWATH_DEBUG"):
            traceback.print_exc()
        print(
            f"swath: unexpected {type(error).__name__}: {error}. This is a defect of Swath: please report it with what "
            "SWATH_DEBUG=1 prints.",
            file=sys.stderr,
        )
        return 1


def parser() -> argparse.ArgumentParser:
    """The parser of all verbs; that of `fit` is completed when its system is known."""
    top = argparse.ArgumentParser(
        prog="swath",
        description="Published systems for satellite imagery on common foundations: GeoTIFF in, a map or a table out.",
        epilog="Start with: swath demo",
    )
    top.add_argument("--version", action="version", version=f"swath {__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(name: str, help_: str, run: Callable[[argparse.Namespace], int | None]) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
        added.set_defaults(run=run)
        return added

    systems = verb("systems", "list the systems that there are", _systems)
    systems.add_argument("--built", action="store_true", help="only those that are built")
    info = verb("info", "show the card of a system and its options", _info)
    info.add_argument("system")

    verb("fit", "train a system on a data set: swath fit SYSTEM DATA -o RUN", lambda _: None)

    predict = verb("predict", "apply a run to a scene of any size", _predict)
    predict.add_argument("run_folder", metavar="RUN", type=Path)
    predict.add_argument(
        "scene", metavar="SCENE", nargs="+", help="a raster, or LAYER=RASTER for each of several layers"
    )
    predict.add_argument("-o", "--output", type=Path, required=True, help="the map; other products stand beside it")
    predict.add_argument(
        "--products", nargs="+", choices=_PRODUCTS, default=["classes"], help="what to write (default: classes)"
    )
    predict.add_argument("--tile", type=int, help="edge of a tile in pixels (default: as in training)")
    predict.add_argument("--overlap", type=float, default=0.25, help="overlap of tiles as a share of a tile")
    predict.add_argument("--precision", choices=("fp32", "auto", "bf16"), default="fp32")
    predict.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
    predict.add_argument("--on-error", choices=("raise", "skip"), default="raise", help="what a corrupt block does")
    predict.add_argument("--engine", choices=("threads", "dask"), default="threads")
    predict.add_argument("--scheduler", help="address of a Dask scheduler, for --engine dask")
    predict.add_argument("--crs", help="CRS of a scene that lacks one; 'none' for pixel coordinates")

    score = verb("score", "score a run on labelled data, beside naive baselines", _score)
    score.add_argument("run_folder", metavar="RUN", type=Path)
    score.add_argument("data", metavar="DATA", help="a YAML of your own data, or a folder in the published layout")
    score.add_argument("--part", default="test", choices=("train", "val", "test"))
    score.add_argument("--seed", type=int, default=0, help="of the bootstrap and the random forest")

    demo = verb("demo", "train on a real Landsat scene and draw its map, in a few minutes", _demo)
    demo.add_argument("-o", "--output", type=Path, default=Path("demo"))

    doctor = verb("doctor", "say what this machine and this installation can do", _doctor)
    for with_json in (systems, info, predict, score, doctor):
        with_json.add_argument("--json", action="store_true", help="print JSON")

    completion = verb("completion", 'print a completion script: eval "$(swath completion bash)"', _completion)
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return top


def _systems(options: argparse.Namespace) -> None:
    from swath import registry
    from swath.systems.planned import PLANNED

    built = {name: registry.card(name) for name in registry.names()}
    rows = [
        (row.family, row.id, row.title, "built" if row.id in built else "planned")
        for row in sorted(PLANNED, key=lambda row: (row.family, row.id))
        if row.id in built or not options.built
    ]
    keys = ("family", "id", "title", "state")
    if options.json:
        _print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        _print_table(keys, rows)


def _info(options: argparse.Namespace) -> None:
    from swath import registry
    from swath.commands.fit import option_table

    card = registry.card(options.system)
    facts = {name: getattr(card, name) for name in card.__dataclass_fields__} | {"family": card.family}
    table = option_table(card.id)
    if options.json:
        _print_json({**facts, "options": table})
        return
    for name, value in facts.items():
        for i, line in enumerate(value if isinstance(value, tuple) else [value] if value else []):
            print(f"{name if i == 0 else '':<12}{line}")
    print("\noptions")
    _print_table(("name", "type", "default"), [(o["name"], o["type"], str(o["default"])) for o in table])


def _predict(options: argparse.Namespace) -> None:
    from swath.commands.scenes import open_scene
    from swath.tasks.task import Task

    task: Any = Task.load(options.run_folder)
    written = task.predict(
        open_scene(options.scene, task.bands, options.crs),
        options.output,
        products=tuple(options.products),
        tile=options.tile,
        overlap=options.overlap,
        precision=options.precision,
        device=options.device,
        on_error=options.on_error,
        engine=options.engine,
        scheduler=options.scheduler,
    )
    if options.json:
        _print_json([str(path) for path in written])
    else:
        print("\n".join(str(path) for path in written))


def _score(options: argparse.Namespace) -> None:
    from swath.data.config import load_data
    from swath.tasks.task import Task

    task: Any = Task.load(options.run_folder)
    scores = task.score(load_data(options.data, task.system["id"]), options.part, seed=options.seed)
    scores.save(options.run_folder / f"scores-{options.part}.json")
    if options.json:
        _print_json(scores.to_dict())
    else:
        print_scores(scores)


def print_scores(scores: Scores) -> None:
    """Print the system's scores and its baselines' as a table."""
    rows = [("system", scores.system), *scores.baselines.items()]
    metrics = list(scores.system)
    _print_table(("", *metrics), [(name, *(str(values[m]) for m in metrics)) for name, values in rows])
    print(f"part {scores.part}; " + "; ".join(f"{name}: {value}" for name, value in scores.facts.items()))


def _demo(options: argparse.Namespace) -> None:
    from swath.commands.demo import demo

    demo(options.output)


def _doctor(options: argparse.Namespace) -> None:
    from swath.commands.doctor import diagnose

    facts = diagnose()
    if options.json:
        _print_json(facts)
    else:
        _print_table(("what", "found"), [(name, str(value)) for name, value in facts.items()])


def _completion(options: argparse.Namespace) -> None:
    import shtab

    print(shtab.complete(parser(), shell=options.shell))


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, default=str))


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console(soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else 200)
    console.print(table, highlight=False)
