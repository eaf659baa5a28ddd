"""How the command line prints: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swath.tasks.scores import Scores


def print_json(value: Any) -> None:
    """Print plain values; paths and the like as text."""
    print(json.dumps(value, indent=1, default=str))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header, without lines, as wide as they are."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console(soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else 200)
    console.print(table, highlight=False)


def print_scores(scores: Scores) -> None:
    """Print the system's scores and its baselines' as a table."""
    rows = [("system", scores.system), *scores.baselines.items()]
    metrics = list(dict.fromkeys(name for _, values in rows for name in values))
    print_table(("", *metrics), [(name, *(str(values.get(m, "–")) for m in metrics)) for name, values in rows])
    print(f"part {scores.part}; " + "; ".join(f"{name}: {value}" for name, value in scores.facts.items()))
