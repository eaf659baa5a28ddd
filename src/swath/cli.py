"""The command line: parse, call, print. Everything heavy is imported by the verb that needs it."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from swath import __version__
from swath.commands import simulate as simulation
from swath.commands import studio
from swath.commands.printing import print_json, print_table
from swath.errors import SwathError

_LATE = ("fit", "predict", "score")


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
        if words[:1] and words[0] in _LATE:  # their options depend on the system or run, so its name is read first
            return _late(words[0])(words[1:])
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

    # Their words are parsed elsewhere; here they are for completion.
    fit = verb("fit", "train a system on a data set: swath fit SYSTEM DATA -o RUN", lambda _: None)
    fit.add_argument("system")
    predict = verb("predict", "apply a run to a scene of any size: swath predict RUN SCENE -o MAP", lambda _: None)
    score = verb("score", "score a run on labelled data, beside naive baselines: swath score RUN DATA", lambda _: None)
    for late in (predict, score):
        late.add_argument("run")
    for late, name in ((fit, "data"), (predict, "source"), (score, "data")):
        late.add_argument(name)
    for late in (fit, predict):
        late.add_argument("-o", "--output")

    simulation.add_arguments(verb("simulate", "make a georeferenced world with exact truth", simulation.run))

    studio.add_arguments(verb("studio", "see scenes, maps and runs in a browser, draw labels, start jobs", studio.run))

    demo = verb("demo", "train on a real Landsat scene and draw its map, in a few minutes", _demo)
    demo.add_argument("-o", "--output", type=Path, default=Path("demo"))

    doctor = verb("doctor", "say what this machine and this installation can do", _doctor)
    for with_json in (systems, info, doctor):
        with_json.add_argument("--json", action="store_true", help="print JSON")

    completion = verb("completion", 'print a completion script: eval "$(swath completion bash)"', _completion)
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return top


def _late(verb: str) -> Callable[[Sequence[str]], int]:
    if verb == "fit":
        from swath.commands.fit import fit

        return fit
    from swath.commands import apply

    return {"predict": apply.predict, "score": apply.score}[verb]


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
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        print_table(keys, rows)


def _info(options: argparse.Namespace) -> None:
    from swath import registry
    from swath.commands.fit import option_table

    card = registry.card(options.system)
    facts = {name: getattr(card, name) for name in card.__dataclass_fields__} | {"family": card.family}
    tables = {name: option_table(name) for name in registry.forms(card.id)}
    table = tables.pop(card.id)
    if options.json:
        print_json({**facts, "options": table, "forms": tables})
        return
    for name, value in facts.items():
        for i, line in enumerate(value if isinstance(value, tuple) else [value] if value else []):
            print(f"{name if i == 0 else '':<12}{line}")
    for name, rows in {"options": table, **tables}.items():
        print(f"\n{name}")
        print_table(("name", "type", "default"), [(o["name"], o["type"], str(o["default"])) for o in rows])


def _demo(options: argparse.Namespace) -> None:
    from swath.commands.demo import demo

    demo(options.output)


def _doctor(options: argparse.Namespace) -> None:
    from swath.commands.doctor import diagnose

    facts = diagnose()
    if options.json:
        print_json(facts)
    else:
        print_table(("what", "found"), [(name, str(value)) for name, value in facts.items()])


def _completion(options: argparse.Namespace) -> None:
    import shtab

    from swath import registry
    from swath.simulate.presets import PRESETS

    top = parser()
    known = {"system": registry.names(), "world": [*PRESETS, "sky"]}
    for verbs in (action.choices.values() for action in top._actions if isinstance(action, argparse._SubParsersAction)):
        for action in (action for verb in verbs for action in verb._actions):
            action.choices = known.get(action.dest, action.choices)
            if action.dest in ("data", "source", "run", "output", "folders"):
                action.complete = shtab.FILE
    print(shtab.complete(top, shell=options.shell))
