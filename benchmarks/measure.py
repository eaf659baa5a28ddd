"""Measuring: each run in a process of its own, contestants in turns, and how much of the machine others took."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

T = TypeVar("T")

#: What the processes of the runs have loaded when they begin, so that no run pays for imports.
_LOADED = ("benchmarks.sampling", "benchmarks.scenes", "benchmarks.memory")


@dataclass
class Run:
    """One run.

    Attributes:
        units: What was done: patches, tiles, scenes.
        seconds: On the clock.
        processor: Processor seconds of the process, its threads and its children.
        others: Cores that other processes of the machine kept busy meanwhile.
        notes: What else was seen.
    """

    units: float = 0.0
    seconds: float = 0.0
    processor: float = 0.0
    others: float = 0.0
    notes: dict[str, float] = field(default_factory=dict)


@dataclass
class Trials:
    """The runs of one contestant, or why there are none."""

    runs: list[Run] = field(default_factory=list)
    failure: str = ""

    def seconds(self) -> list[float]:
        """Of each run, for one unit."""
        return [run.seconds / run.units for run in self.runs]

    def processor(self) -> list[float]:
        """Processor seconds of each run, for one unit."""
        return [run.processor / run.units for run in self.runs]


@dataclass(frozen=True)
class Spread:
    """Median, least and largest of some numbers."""

    median: float
    least: float
    largest: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Of at least one number."""
        return cls(statistics.median(values), min(values), max(values))


@contextmanager
def clock() -> Iterator[Run]:
    """Measures the block; the block says how many `units` it did."""
    run = Run()
    busy, processor, begin = _busy(), tree_seconds(), time.perf_counter()
    yield run
    run.seconds = time.perf_counter() - begin
    run.processor = tree_seconds() - processor
    run.others = max(0.0, (_busy() - busy - run.processor) / run.seconds)


def tree_seconds() -> float:
    """Processor seconds spent so far by this process, its threads, its living and its ended children."""
    mine = psutil.Process()
    spent = sum(mine.cpu_times()[:4])
    for child in mine.children(recursive=True):
        try:
            spent += sum(child.cpu_times()[:4])
        except psutil.Error:  # it has ended since, and counts among the ended
            continue
    return spent


def _busy() -> float:
    """Seconds that the machine's cores have spent on any work, or were taken by its host."""
    times = psutil.cpu_times()
    return sum(times[: 1 + times._fields.index("softirq")]) - times.idle - times.iowait + times.steal


def isolated(work: Callable[[], T]) -> T:
    """What `work` returns in a fresh process, in which only modules are loaded.

    Raises:
        RuntimeError: If it fails there.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_LOADED))
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(there, work))
    process.start()
    there.close()
    try:
        good, answer = here.recv()
    except EOFError:
        good, answer = False, "its process died"
    process.join()
    if not good:
        raise RuntimeError(answer)
    return answer


def _answer(pipe: Any, work: Callable[[], object]) -> None:
    try:
        pipe.send((True, work()))
    except Exception as error:
        pipe.send((False, f"{type(error).__name__}: {error}"))


class Patience:
    """How long runs may wait for a quiet machine, all together.

    Args:
        seconds: To spend on waiting and on runs that are thrown away because others disturbed them.
    """

    #: Cores of others with which a run counts as disturbed.
    limit = 0.2

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    def wait(self) -> None:
        """Until others leave the machine alone."""
        while self.left > 0:
            with clock() as run:
                time.sleep(1)
            if run.others < self.limit:
                return
            self.left -= run.seconds

    def undisturbed(self, work: Callable[[], Run]) -> Run:
        """The first run that nobody disturbed; of those that patience allows, else, the least disturbed."""
        best: Run | None = None
        while True:
            self.wait()
            begin = time.perf_counter()
            run = isolated(work)
            best = run if best is None or run.others < best.others else best
            if best.others < self.limit or self.left <= 0:
                return best
            self.left -= time.perf_counter() - begin


def in_turns(contestants: Mapping[str, Callable[[], Run]], repeats: int, patience: Patience) -> dict[str, Trials]:
    """Every contestant once in every repeat; one that fails is left out from then on."""
    trials = {name: Trials() for name in contestants}
    for number in range(repeats):
        for name, work in contestants.items():
            if trials[name].failure:
                continue
            try:
                run = patience.undisturbed(work)
            except RuntimeError as error:
                trials[name].failure = str(error)
                say(f"  {name}: could not run: {error}")
                continue
            trials[name].runs.append(run)
            say(
                f"  {number + 1}/{repeats} {name}: {run.units / run.seconds:.3g}/s, "
                f"{run.processor / run.units:.3g} CPU s each, others {run.others:.1f} cores"
            )
    return trials


def ratio(of: list[float], to: list[float]) -> Spread:
    """Of numbers that were measured in the same repeats."""
    return Spread.of([a / b for a, b in zip(of, to, strict=False)])


def status(name: str) -> float:
    """A field of this process's status in MB, for example its peak `VmHWM`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


@contextmanager
def peak() -> Iterator[list[float]]:
    """Gives, when the block has ended, its peak memory over what was held before, in MB."""
    found: list[float] = []
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = status("VmRSS")
    yield found
    found.append(status("VmHWM") - before)


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    flags = next((line.split(":")[1].split() for line in lines if line.startswith("flags")), [])
    return {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()) + " UTC",
        "processor": next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown"),
        "bf16": [name for name in ("avx512_bf16", "amx_bf16") if name in flags],
        "cores": os.cpu_count(),
        "threads of torch": os.environ.get("OMP_NUM_THREADS", os.cpu_count()),
        "memory GB": round(psutil.virtual_memory().total / 2**30),
        "python": sys.version.split()[0],
    }


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)
