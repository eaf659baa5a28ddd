"""How many patches a second: Swath, its peers and the limit, on identical work.

256 px patches, float32 batches of 32, of scenes of 6 x uint16 in tiles of 512 with predictor 2. `one`: scenes of one
CRS. `two`: as many again of another UTM zone, warped to the first as they are read. `labels`: `two` with labels of
20 m in EPSG:3035. Everyone reads some patches first, so that worker processes stand and memory is that of a long run;
Swath reads them from other files, so that its cache of blocks is full of what it will not need.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import rasterio
import torch

from benchmarks.measure import Run, clock
from benchmarks.world import BANDS, CODECS, World
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
#: Patches that are read before the clock starts: enough to fill Swath's cache of blocks.
WARM = 16 * BATCH


def collection(world: World, codec: str, work: str, resampling: str = "bilinear") -> Collection:
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


def swath(
    world: World, codec: str, work: str, resampling: str, sampler: Callable[..., Places], threads: int, count: int
) -> Run:
    """One epoch of Swath."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as `swath fit` does
    other = next(name for name in CODECS if name != codec)
    for scenes, patches in (
        (collection(world, other, work, resampling), WARM),
        (collection(world, codec, work, resampling), count),
    ):
        batches = Batches(scenes, partial(sampler, count=patches), part=None, patch=PATCH, batch=BATCH, threads=threads)
        with clock() as run:
            run.units = sum(len(batch["scene"]) for batch in batches)
    return run


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


def npy(world: World, codec: str, workers: int, advised: bool, count: int) -> Run:
    """Memory-mapped arrays of the same places behind a DataLoader: what a set that is decoded on disk gives."""
    torch.set_num_threads(1)
    if advised:
        keep_freed_memory()
    places = block_places(collection(world, codec, "one"), None, PATCH, seed=0, count=count)
    order = list(range(min(WARM, count)))
    loader = _loader(_Arrays(world, places), order, workers)
    _passed(loader)
    order[:] = range(count)
    with clock() as run:
        run.units = _passed(loader)
    return run


def copies(world: World, codec: str, threads: int, count: int) -> Run:
    """The same reads straight into batch arrays that are used again: copying without decoding, the outer limit."""
    places = block_places(collection(world, codec, "one"), None, PATCH, seed=0, count=count)
    arrays = _Arrays(world, places).arrays
    batch = np.zeros((threads, BATCH, BANDS, PATCH, PATCH), np.float32)

    def fill(start: int) -> int:
        chunk = [places[i] for i in range(start, min(start + BATCH, len(places)))]
        for index, place in enumerate(chunk):
            batch[start // BATCH % threads, index] = arrays[place.scene][:, *place.window.slices]
        return len(chunk)

    with ThreadPoolExecutor(threads) as pool:
        sum(pool.map(fill, range(0, min(WARM, count), BATCH)))
        with clock() as run:
            run.units = sum(pool.map(fill, range(0, count, BATCH)))
    return run


def plain_rasterio(world: World, codec: str, sampler: Callable[..., Places], count: int) -> Run:
    """Rasterio with handles kept, one window a patch, in the native CRS."""
    places = sampler(collection(world, codec, "one"), None, PATCH, seed=0, count=count)
    files = [rasterio.open(world.scene(codec, 0, number)) for number in range(world.each)]
    batch = np.zeros((BATCH, BANDS, PATCH, PATCH), np.float32)
    with clock() as run:
        for index, place in enumerate(places):
            window = rasterio.windows.Window(place.window.col, place.window.row, PATCH, PATCH)
            batch[index % BATCH] = files[place.scene].read(window=window)
        run.units = len(places)
    for file in files:
        file.close()
    return run


def torchgeo(world: World, codec: str, work: str, workers: int, count: int) -> Run:
    """TorchGeo's RandomGeoSampler behind a DataLoader."""
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import RandomGeoSampler

    class Images(RasterDataset):
        filename_glob = "zone0_*.tif" if work == "one" else "zone*.tif"
        is_image = True

    class Labels(RasterDataset):
        filename_glob = "labels.tif"
        is_image = False

    torch.set_num_threads(1)
    data = Images(world.scene(codec, 0, 0).parent, crs=world.grid(0, 0).crs.proj, res=10)
    if work == "labels":
        data = data & Labels(world.labels.parent)
    sampler = RandomGeoSampler(data, size=PATCH, length=2 * BATCH)
    loader = _loader(data, sampler, workers, collate_fn=stack_samples)
    _passed(loader)
    sampler.length = count
    with clock() as run:
        run.units = _passed(loader)
    return run


def _loader(data: Any, sampler: Any, workers: int, **options: Any) -> Any:
    """A DataLoader whose worker processes stay from one pass to the next."""
    if workers:
        options |= {"num_workers": workers, "persistent_workers": True, "multiprocessing_context": "fork"}
    return torch.utils.data.DataLoader(data, BATCH, sampler=sampler, **options)


def _passed(loader: Iterable[Any]) -> int:
    return sum(len(batch["image"] if isinstance(batch, dict) else batch) for batch in loader)


def contestants(world: World, codec: str, work: str, *, most: int | None = None) -> dict[str, Callable[[], Run]]:
    """Everyone who runs this work, by name.

    Args:
        world: The data.
        codec: How they are compressed.
        work: One of `WORKS`.
        most: Patches at most; by default what covers the scenes once.
    """
    cover = (1 if work == "one" else 2) * world.each * (world.size // PATCH) ** 2
    count = min(cover, most or cover)
    few = max(4 * BATCH, count // 4)
    ours = partial(swath, world, codec, work)
    found: dict[str, Callable[[], Run]] = {
        "swath, block order, 1 thread": partial(ours, "bilinear", block_places, 1, count),
        "swath, block order, 2 threads": partial(ours, "bilinear", block_places, 2, count),
        "swath, random order, 2 threads": partial(ours, "bilinear", random_places, 2, few),
    }
    if work != "one":
        found["swath, block order, nearest, 2 threads"] = partial(ours, "nearest", block_places, 2, count)
    if importlib.util.find_spec("torchgeo"):
        for workers in (0, 2):
            found[f"torchgeo, {workers} workers"] = partial(torchgeo, world, codec, work, workers, few)
    if work == "one":
        found["rasterio, random order"] = partial(plain_rasterio, world, codec, random_places, few)
        found["rasterio, block order"] = partial(plain_rasterio, world, codec, block_places, count)
        for workers in (0, 2):
            found[f"npy memory map, {workers} workers"] = partial(npy, world, codec, workers, False, count)
        found["npy memory map, 0 workers, freed memory kept"] = partial(npy, world, codec, 0, True, count)
        found["copying without decoding, 2 threads"] = partial(copies, world, codec, 2, count)
    return found
