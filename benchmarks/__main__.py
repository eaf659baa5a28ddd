"""Measure Swath beside its peers and the limits, and write what came out.

Each run has a process of its own; contestants take turns; a run during which other processes took more than 0.2 cores
is repeated as long as patience lasts, and what remains disturbed is told in the tables. Parts: `sampling` (patches a
second), `scenes` (prediction against the bare forward passes), `tiles` (the same with a network that costs nothing),
`memory` (as a scene grows), `large` (20,000 x 20,000). Parts that are not measured now keep their results in OUTPUT.
On a machine that is never quiet, OMP_NUM_THREADS=1 keeps networks from waiting for threads that others hold up.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import memory, networks, results, sampling, scenes
from benchmarks.measure import Patience, Run, Trials, in_turns, isolated, machine, say
from benchmarks.picture import draw
from benchmarks.world import build, build_scene

PARTS = ("sampling", "scenes", "tiles", "memory", "large")
UNITS = {"sampling": "patches/s"}
TITLES = {
    "sampling": "Patches", "scenes": "Scenes", "tiles": "Scenes with a network that costs nothing",
    "memory": "Memory as a scene grows", "large": "A large scene",
}  # fmt: skip
PACKAGES = ("torch", "numpy", "rasterio", "imagecodecs", "segmentation-models-pytorch", "torchgeo", "terratorch")

Measured = Iterator[tuple[str, dict[str, Trials]]]


class Bench:
    """Builds data and measures parts.

    Args:
        data: Where data are kept from one run to the next.
        quick: Whether all is small: it proves that everything runs.
        repeats: Runs of each contestant.
        patience: What runs may wait for a quiet machine.
    """

    def __init__(self, data: Path, quick: bool, repeats: int, patience: Patience) -> None:
        self._data, self._quick, self._repeats, self._patience = data, quick, repeats, patience
        self._edge = 1024 if quick else 4096

    def measure(self, part: str) -> Measured:
        """Trials of each work of a part, one after the other."""
        return getattr(self, f"_{part}")()

    def _turns(self, contestants: Mapping[str, Callable[[], Run]], repeats: int | None = None) -> dict[str, Trials]:
        return in_turns(contestants, repeats or self._repeats, self._patience)

    def _sampling(self) -> Measured:
        say("sampling: data")
        world = isolated(partial(build, self._data / f"world-{self._edge}", self._edge, 2 if self._quick else 4))
        for work, codec in (("one", "deflate"), ("one", "zstd"), ("two", "deflate"), ("labels", "deflate")):
            say(f"sampling: {work}, {codec}")
            yield f"{work}, {codec}", self._turns(sampling.contestants(world, codec, work))

    def _scene(self) -> Path:
        path = self._data / f"scene-{self._edge}.tif"
        return isolated(partial(build_scene, path, self._edge, self._edge))

    def _scenes(self) -> Measured:
        say("scenes: data and network")
        path, weights = self._scene(), self._data / "unet.pt"
        if not weights.exists():
            isolated(partial(networks.train, path, weights))
        with tempfile.TemporaryDirectory() as folder:
            trials = self._turns(scenes.contestants(path, weights, Path(folder)))
            same = scenes.agreement(Path(folder))
        for run in trials["swath, auto"].runs if same is not None else ():
            run.notes["same class in the whole map"] = same
        yield f"{self._edge} x {self._edge}", trials

    def _tiles(self) -> Measured:
        path = self._scene()
        say("tiles")
        with tempfile.TemporaryDirectory() as folder:
            yield f"{self._edge} x {self._edge}", self._turns(scenes.tilers(path, Path(folder)))

    def _memory(self) -> Measured:
        say("memory")
        yield "tall", self._turns(memory.tall(self._data, self._quick), repeats=1)

    def _large(self) -> Measured:
        say("large")
        yield "square", self._turns(memory.large(self._data, self._quick), repeats=1)


def versions() -> dict[str, str]:
    """Of the packages that matter; what is not installed says so."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed, not measured"
    return found


def report(kept: Mapping[str, Any]) -> str:
    """All results as Markdown."""
    works = {part: results.trials_of(found["trials"]) for part, found in kept.items()}
    head = ["question", "bar", "by the clock: median (least – largest)", "by CPU time", "met"]
    text = [results.markdown(head, [bar.row() for bar in results.bars(works)])]
    for part in PARTS:
        if part not in kept:
            continue
        facts, unit = kept[part]["machine"], UNITS.get(part, "s")
        told = ", ".join(f"{name} {value}" for name, value in facts.items() if name not in ("date", "packages"))
        packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
        text += [f"### {TITLES[part]}", f"Measured {facts['date']}: {told}; {packages}."]
        text.append(results.markdown(results.heads(unit), results.details(works[part], unit)))
        notes = [run.notes for run in works[part].get("4096 x 4096", {}).get("swath, auto", Trials()).runs]
        if notes:
            text.append(
                f"`auto`: {notes[0]['same']:.4f} of the pixels of {notes[0]['tiles']} sample tiles have the class of "
                f"fp32 (mean difference of probabilities {notes[0]['apart']:.5f}), so bf16 was "
                f"{'taken' if notes[0]['accepted'] else 'not taken'}; of the whole map "
                f"{notes[0].get('same class in the whole map', float('nan')):.4f}."
            )
    return "\n\n".join(text)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of results.json, tables and the picture")
    parser.add_argument("--data", type=Path, help="where data are kept; by default OUTPUT/data")
    parser.add_argument("--only", help=f"parts, joined by commas: {','.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small and once: proves that it runs")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--patience", type=float, default=900, help="seconds to wait for a quiet machine, altogether")
    parser.add_argument(
        "--page", type=Path, help="put the tables between the marks of this page, the picture beside it"
    )
    options = parser.parse_args(arguments)
    parts = options.only.split(",") if options.only else list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
    os.environ.setdefault("GDAL_CACHEMAX", "128")
    data = options.data or options.output / "data"
    for folder in (options.output, data):
        folder.mkdir(parents=True, exist_ok=True)
    file = options.output / "results.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    bench = Bench(
        data, options.quick, 1 if options.quick else options.repeats, Patience(0 if options.quick else options.patience)
    )
    for part in parts:
        kept[part] = {"machine": machine() | {"packages": versions()}, "trials": {}}
        for work, trials in bench.measure(part):
            kept[part]["trials"][work] = {name: asdict(t) for name, t in trials.items()}
            file.write_text(json.dumps(kept, indent=1))
    text = report(kept)
    works = {part: results.trials_of(found["trials"]) for part, found in kept.items()}
    (options.output / "results.md").write_text(text + "\n", "utf-8")
    for part, found in works.items():
        unit = UNITS.get(part, "s")
        table = results.as_csv(results.heads(unit), results.details(found, unit))
        (options.output / f"{part}.csv").write_text(table, "utf-8")
    draw(works, options.output / "performance.png")
    if options.page:
        picture = options.page.with_suffix(".png")
        draw(works, picture)
        results.into_page(options.page, f"![Ratios]({picture.name})\n\n{text}")
    print(text)


if __name__ == "__main__":
    main()
