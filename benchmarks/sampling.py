"""How many patches a second: Swath, its peers and the limit, on identical work in one run.

    python benchmarks/sampling.py [--quick] [--folder FOLDER] [--repeats 3] [--json results.json]

Work: 256 px patches, float32 batches of 32, of scenes of 6 x uint16 in tiles of 512 with predictor 2.
`one`: scenes of one CRS. `two`: as many again of another UTM zone, warped to the first as they are read.
`labels`: `two` with labels of 20 m in EPSG:3035. Every reader runs once in every repeat; medians and the lowest and
highest rate are shown. The first batch of peers with worker processes is not timed, so their start costs them nothing.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import Any

import numpy as np
import rasterio
import torch
from _world import BANDS, World, build

from swath.data.blocks import default_cache
from swath.data.buffers import keep_freed_memory
from swath.data.classes import Classes
from swath.data.labels import RasterLabels
from swath.data.loader import Batches
from swath.data.raster import open_raster
from swath.data.samplers import Places, block_places, random_places
from swath.data.scenes import Collection, Scene
from swath.data.warped import WarpedSource
from swath.sensors.bands import Band, Bands

PATCH, BATCH = 256, 32
WORKS = ("one", "two", "labels")
Reader = Callable[[], tuple[int, float]]


def collection(world: World, codec: str, work: str, resampling: str) -> Collection:
    """The scenes of one work as Swath sees them."""
    bands = Bands("bench", tuple(Band(f"b{i}", "dn") for i in range(BANDS)))
    labels = RasterLabels.open(world.labels, Classes.of({c: f"class {c}" for c in range(1, 9)}))
    scenes = []
    for zone in range(1 if work == "one" else 2):
        for number in range(world.each):
            source = open_raster(world.scene(codec, zone, number), bands=bands)
            if zone == 1:
                target = source.grid.to_crs(world.grid(0, 0).crs, resolution=10)
                source = WarpedSource(source, target, resampling)
            scenes.append(Scene(f"{zone}-{number}", {"image": source}, labels if work == "labels" else None))
    return Collection(tuple(scenes))


def swath(scenes: Collection, sampler: Callable[..., Places], threads: int, count: int) -> tuple[int, float]:
    """One epoch of Swath, from a cold cache."""
    default_cache().clear()
    batches = Batches(scenes, partial(sampler, count=count), part=None, patch=PATCH, batch=BATCH, threads=threads)
    start = time.perf_counter()
    read = sum(len(batch["scene"]) for batch in batches)
    return read, time.perf_counter() - start


class _Arrays(torch.utils.data.Dataset[torch.Tensor]):
    """Memory-mapped arrays of the decoded pixels, at given places."""

    def __init__(self, world: World, places: Places) -> None:
        self.places = places
        self.arrays = [np.load(world.array(0, number), mmap_mode="r") for number in range(world.each)]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> torch.Tensor:
        place = self.places[index]
        return torch.from_numpy(self.arrays[place.scene][:, *place.window.slices].astype(np.float32))


def npy(world: World, places: Places, workers: int) -> tuple[int, float]:
    """Memory-mapped arrays behind a DataLoader: what a set that is decoded on disk gives."""
    loader = torch.utils.data.DataLoader(_Arrays(world, places), batch_size=BATCH, num_workers=workers)
    return count_patches(loader, skip_first=workers > 0)


def npy_bare(world: World, places: Places, threads: int) -> tuple[int, float]:
    """The same reads straight into batch arrays that are used again: copying without decoding, the outer limit."""
    arrays = _Arrays(world, places).arrays
    batch = np.zeros((threads, BATCH, BANDS, PATCH, PATCH), np.float32)

    def fill(start: int) -> int:
        out = batch[start // BATCH % threads]
        chunk = [places[i] for i in range(start, min(start + BATCH, len(places)))]
        for index, place in enumerate(chunk):
            out[index] = arrays[place.scene][:, *place.window.slices]
        return len(chunk)

    begin = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        read = sum(pool.map(fill, range(0, len(places), BATCH)))
    return read, time.perf_counter() - begin


def count_patches(loader: Iterable[Any], skip_first: bool) -> tuple[int, float]:
    """Patches and seconds of one pass; without the first batch, and the start of the workers, where asked."""
    begin, read = time.perf_counter(), 0
    for number, batch in enumerate(loader):
        if number == 0 and skip_first:
            begin = time.perf_counter()
        else:
            read += len(batch["image"] if isinstance(batch, dict) else batch)
    return read, time.perf_counter() - begin


def plain_rasterio(world: World, codec: str, places: Places) -> tuple[int, float]:
    """Rasterio with handles kept, one window a patch, in the native CRS."""
    files = [rasterio.open(world.scene(codec, 0, number)) for number in range(world.each)]
    begin = time.perf_counter()
    for start in range(0, len(places), BATCH):
        batch = np.empty((min(BATCH, len(places) - start), BANDS, PATCH, PATCH), np.float32)
        for index in range(len(batch)):
            place = places[start + index]
            window = rasterio.windows.Window(place.window.col, place.window.row, PATCH, PATCH)
            batch[index] = files[place.scene].read(window=window)
    spent = time.perf_counter() - begin
    for file in files:
        file.close()
    return len(places), spent


def torchgeo(world: World, codec: str, work: str, workers: int, count: int) -> tuple[int, float]:
    """TorchGeo's RandomGeoSampler behind a DataLoader."""
    from torch.utils.data import DataLoader
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import RandomGeoSampler

    class Images(RasterDataset):
        filename_glob = "zone0_*.tif" if work == "one" else "zone*.tif"
        is_image = True

    class Labels(RasterDataset):
        filename_glob = "labels.tif"
        is_image = False

    data = Images(world.scene(codec, 0, 0).parent, crs=world.grid(0, 0).crs.proj, res=10)
    if work == "labels":
        data = data & Labels(world.labels.parent)
    sampler = RandomGeoSampler(data, size=PATCH, length=count)
    loader = DataLoader(data, batch_size=BATCH, sampler=sampler, num_workers=workers, collate_fn=stack_samples)
    return count_patches(loader, skip_first=workers > 0)


def readers(world: World, codec: str, work: str, count: int) -> dict[str, Reader]:
    """Everyone who runs this work, by name."""
    scenes = collection(world, codec, work, "bilinear")
    found: dict[str, Reader] = {}
    for threads in (1, 2):
        found[f"swath blocks, {threads} threads"] = partial(swath, scenes, block_places, threads, count)
    found["swath random, 2 threads"] = partial(swath, scenes, random_places, 2, count // 4)
    if work != "one":
        nearest = collection(world, codec, work, "nearest")
        found["swath blocks, nearest, 2 threads"] = partial(swath, nearest, block_places, 2, count)
    if importlib.util.find_spec("torchgeo"):
        for workers in (0, 2):
            found[f"torchgeo, {workers} workers"] = partial(torchgeo, world, codec, work, workers, count // 4)
    if work == "one":
        same = block_places(scenes, None, PATCH, seed=0, count=count)
        found["rasterio random"] = partial(
            plain_rasterio, world, codec, random_places(scenes, None, PATCH, seed=0, count=count // 4)
        )
        found["rasterio block order"] = partial(plain_rasterio, world, codec, same)
        for workers in (0, 2):
            found[f"npy memory map, same places, {workers} workers"] = partial(npy, world, same, workers)
        found["copy-only limit, 2 threads"] = partial(npy_bare, world, same, 2)
    return found


@dataclass
class Rates:
    """Of one reader, a number for each repeat: patches a second, and processor milliseconds a patch."""

    per_second: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


def processor_seconds() -> float:
    """Spent so far by this process, its threads and its ended children."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))


def measure(runs: dict[str, Reader], repeats: int) -> dict[str, Rates]:
    """Every reader once in every repeat, in turns."""
    rates = {name: Rates() for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            before = processor_seconds()
            read, spent = run()
            gc.collect()
            rates[name].per_second.append(read / spent)
            rates[name].cpu_ms.append((processor_seconds() - before) / read * 1e3)
    return rates


def ratios(rates: dict[str, Rates]) -> dict[str, float]:
    """Swath in block order over each peer, by medians, both in their best setting."""
    best: dict[str, float] = {}
    for name, rate in rates.items():
        reader = "swath blocks" if name.startswith("swath blocks") else name.split()[0].rstrip(",")
        best[reader] = max(best.get(reader, 0.0), statistics.median(rate.per_second))
    return {peer: best["swath blocks"] / rate for peer, rate in best.items() if not peer.startswith("swath")}


def show(title: str, rates: dict[str, Rates]) -> None:
    """Print a table."""
    print(f"\n{title}\n{'reader':42} {'patches/s':>10} {'lowest':>8} {'highest':>8} {'CPU ms':>8}")
    for name, rate in rates.items():
        values = rate.per_second
        cpu = statistics.median(rate.cpu_ms)
        print(f"{name:42} {statistics.median(values):10.1f} {min(values):8.1f} {max(values):8.1f} {cpu:8.2f}")
    for peer, ratio in ratios(rates).items():
        print(f"{'swath / ' + peer:42} {ratio:10.2f}")


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two scenes of 1024 pixels a zone: proves that it runs")
    parser.add_argument("--folder", type=Path, help="keep the data here; by default a temporary folder")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--codec", choices=("deflate", "zstd"), action="append")
    parser.add_argument("--work", choices=WORKS, action="append")
    parser.add_argument("--json", type=Path, help="write the rates here")
    options = parser.parse_args(list(arguments) if arguments is not None else None)
    os.environ.setdefault("GDAL_CACHEMAX", "128")
    torch.set_num_threads(1)
    keep_freed_memory()  # as `swath fit` does; every reader in this process gains
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        world = build(folder, 1024, 2) if options.quick else build(folder)
        per_zone = world.each * (world.size // PATCH) ** 2
        results: dict[str, object] = {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": sys.version.split()[0],
        }
        if not importlib.util.find_spec("torchgeo"):
            print("TorchGeo is not installed: not compared (pip install 'swath[bench]')")
        for codec in options.codec or ("deflate", "zstd"):
            for work in options.work or WORKS:
                count = max(4 * BATCH, per_zone * (1 if work == "one" else 2))
                rates = measure(readers(world, codec, work, count), options.repeats)
                show(f"{work}, {codec}", rates)
                results[f"{work}-{codec}"] = {
                    "rates": {name: asdict(rate) for name, rate in rates.items()},
                    "ratios": ratios(rates),
                }
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
