"""What the measurements say: bars and tables, as Markdown and CSV, from trials that are kept as JSON."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Run, Spread, Trials, ratio

#: Trials of each contestant by work, for example `one, deflate`.
Works = Mapping[str, Mapping[str, Trials]]
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
WORK_NAMES = {"one": "one CRS", "two": "half of the scenes warped", "labels": "warped, labels in a third CRS"}


@dataclass(frozen=True)
class Bar:
    """A question with its bar.

    Attributes:
        question: What over what.
        limit: The bar.
        most: Whether the bar is the most that is allowed, or the least.
        clock: By time on the clock, or the value where it is no time.
        processor: By processor time.
    """

    question: str
    limit: float
    most: bool
    clock: Spread
    processor: Spread | None = None

    @property
    def met(self) -> bool:
        """Whether the median reaches the bar."""
        return self.clock.median <= self.limit if self.most else self.clock.median >= self.limit

    def row(self) -> list[str]:
        """Cells of a table."""
        spread = f"{_number(self.clock.median)} ({_number(self.clock.least)} – {_number(self.clock.largest)})"
        return [
            self.question,
            f"{'≤' if self.most else '≥'} {_number(self.limit)}",
            spread,
            _number(self.processor.median) if self.processor else "",
            "yes" if self.met else "**no**",
        ]


def trials_of(kept: Mapping[str, Any]) -> dict[str, dict[str, Trials]]:
    """Trials as they were kept as JSON."""
    return {
        work: {
            name: Trials([Run(**run) for run in trials["runs"]], trials["failure"])
            for name, trials in contestants.items()
        }
        for work, contestants in kept.items()
    }


def best(trials: Mapping[str, Trials], begins: str, cost: Callable[[Trials], list[float]]) -> list[float]:
    """What the best setting of a contestant costs in each repeat, for one unit; empty where it never ran."""
    settings = [cost(t) for name, t in trials.items() if name.startswith(begins) and t.runs]
    return min(settings, key=lambda values: Spread.of(values).median, default=[])


def bars(results: Mapping[str, Works]) -> list[Bar]:
    """All questions that the trials answer."""
    found = []
    for work, trials in results.get("sampling", {}).items():
        name, codec = work.split(", ")
        asked = [("torchgeo", "TorchGeo", 4 if name == "labels" else 5)]
        asked += [("npy memory map", "a memory-mapped array", 0.8)] if name == "one" else []
        for begins, called, limit in asked:
            found += _compared(
                f"patches/s, {WORK_NAMES[name]}, {codec}: Swath over {called}", limit, False,
                best(trials, begins, Trials.seconds), best(trials, "swath, block", Trials.seconds),
                best(trials, begins, Trials.processor), best(trials, "swath, block", Trials.processor),
            )  # fmt: skip
    for work, trials in results.get("scenes", {}).items():
        for ours, limit in (("swath, fp32", 1.05), ("swath, auto", 0.5)):
            found += _compared(
                f"time of a scene of {work}: {ours} over the bare passes", limit, True,
                best(trials, ours, Trials.seconds), best(trials, "bare", Trials.seconds),
                best(trials, ours, Trials.processor), best(trials, "bare", Trials.processor),
            )  # fmt: skip
            found += _peak(f"MB over the base, {work}, {ours}", 300, trials[ours])
    for part, limit in (("memory", 300.0), ("large", 2000.0)):
        for trials in results.get(part, {}).values():
            for name, of in trials.items():
                found += _peak(f"MB over the base, scene of {name}, small network", limit, of)
    return found


def _compared(
    question: str, limit: float, most: bool,
    of: list[float], to: list[float], of_processor: list[float], to_processor: list[float],
) -> list[Bar]:  # fmt: skip
    if not of or not to:
        return []
    return [Bar(question, limit, most, ratio(of, to), ratio(of_processor, to_processor))]


def _peak(question: str, limit: float, trials: Trials) -> list[Bar]:
    values = [run.notes["peak MB"] for run in trials.runs if "peak MB" in run.notes]
    return [Bar(question, limit, True, Spread.of(values))] if values else []


def details(works: Works, unit: str) -> list[list[str]]:
    """A row for each contestant of each work: rate or time, processor time, memory, and who disturbed."""
    rows = []
    for work, contestants in works.items():
        for name, trials in contestants.items():
            if not trials.runs:
                rows.append([work, name, f"could not run: {trials.failure}", "", "", "", ""])
                continue
            seconds = trials.seconds() if unit != "s" else [run.seconds for run in trials.runs]
            values = Spread.of([1 / s for s in seconds] if unit != "s" else seconds)
            each = Spread.of(trials.processor()).median * (1000 if unit != "s" else trials.runs[0].units)
            peaks = [run.notes["peak MB"] for run in trials.runs if "peak MB" in run.notes]
            rows.append([
                work, name, _number(values.median), f"{_number(values.least)} – {_number(values.largest)}",
                _number(each), f"{max(peaks):.0f}" if peaks else "",
                f"{Spread.of([run.others for run in trials.runs]).median:.1f}",
            ])  # fmt: skip
    return rows


def heads(unit: str) -> list[str]:
    """Heads of the columns of `details`."""
    measured = "seconds" if unit == "s" else unit
    processor = "CPU seconds" if unit == "s" else "CPU ms each"
    return ["work", "reader", measured, "least – largest", processor, "peak MB over base", "cores of others"]


def markdown(head: list[str], rows: Iterable[list[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)


def as_csv(head: list[str], rows: Iterable[list[str]]) -> str:
    """A table."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()


def into_page(page: Path, block: str) -> None:
    """Put a block of Markdown between the two marks of a page.

    Raises:
        ValueError: If the marks are not there.
    """
    text = page.read_text("utf-8")
    if not (BEGIN in text and END in text):
        raise ValueError(f"{page} has no marks {BEGIN} and {END}")
    marked = f"{BEGIN}\n{block}\n{END}"
    page.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: marked, text, flags=re.DOTALL), "utf-8")


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
