"""How long a scene takes, and how much memory: Swath's engine, a naive loop, a peer's recipe, and the bare network.

    python benchmarks/scenes.py [--quick] [--size 4096] [--repeats 3] [--folder FOLDER] [--json results.json]

Work: a U-Net with a ResNet-18 encoder (6 bands in, 8 classes out) over a scene of 6 x uint16, tiles of 256 px with a
quarter of overlap, blended, to a class map on disk. `bare` is the sum of the plain eager float32 forward passes over
the same tiles in the same batches, without reading, blending and writing. Everyone runs once in every repeat; ratios
are to the bare passes of the same repeat, by seconds and by processor seconds, because other work on the machine
disturbs the latter less. Memory is the peak of a fresh process over what it held after one forward pass; for its growth
with the height of a scene, the network is tiny.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from affine import Affine
from torch import Tensor, nn

from swath.data.classes import Classes
from swath.data.loader import Batches
from swath.data.raster import open_raster
from swath.data.scenes import Collection, Scene
from swath.scene import outputs
from swath.scene.apply import apply
from swath.scene.plan import Plan
from swath.sensors.bands import Band, Bands

BANDS, CLASSES, TILE, OVERLAP, BATCH = 6, 8, 256, 64, 2
LEGEND = Classes.of(CLASSES)


def build(path: Path, rows: int, cols: int) -> Path:
    """A scene of smooth fields and noise, written strip by strip."""
    if path.exists():
        return path
    profile = {
        "driver": "GTiff", "height": rows, "width": cols, "count": BANDS, "dtype": "uint16", "crs": "EPSG:32632",
        "transform": Affine(10, 0, 500_000, 0, -10, 5_400_000), "tiled": True, "blockxsize": 512, "blockysize": 512,
        "compress": "zstd", "predictor": 2, "bigtiff": "if_safer",
    }  # fmt: skip
    generator = np.random.default_rng(0)
    with rasterio.open(path, "w", **profile) as file:
        for top in range(0, rows, 512):
            height = min(512, rows - top)
            y, x = np.mgrid[top : top + height, :cols] / 97.0
            field = np.stack([np.sin(x + band) * np.cos(y - band) for band in range(BANDS)])
            strip = 3000 + 1500 * field + generator.integers(0, 200, field.shape)
            file.write(strip.astype(np.uint16), window=rasterio.windows.Window(0, top, cols, height))
    return path


class Network(nn.Module):
    """A network as a task gives it to the engine: physical values in, class probabilities out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        """Probabilities `[B, K, height, width]`."""
        return self.net(batch["image"] / 5000).float().softmax(1)


def unet() -> nn.Module:
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    return smp.Unet("resnet18", encoder_weights=None, in_channels=BANDS, classes=CLASSES).eval()


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(BANDS, CLASSES, 3, padding=1).eval()


def scene(path: Path) -> Scene:
    bands = Bands("bench", tuple(Band(f"b{i}", "dn") for i in range(BANDS)))
    return Scene("scene", {"image": open_raster(path, bands=bands)})


@dataclass(frozen=True)
class Spent:
    """Seconds on the clock and of the processor."""

    wall: float
    processor: float


def timed(work: Callable[[], Any]) -> Spent:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - processor)


@torch.inference_mode()
def bare(path: Path, net: nn.Module) -> Spent:
    """Only the forward passes, of tiles that are in memory."""
    found = scene(path)
    plan = Plan(found.grid.shape, TILE, OVERLAP, BATCH)
    wall = processor = 0.0
    for batch in Batches(
        Collection((found,)), plan.places(), part=None, patch=TILE, batch=BATCH, threads=1, prefetch=1
    ):
        images = batch["image"] / 5000
        time.sleep(0.002)  # the reading thread comes to rest
        spent = timed(partial(net, images))
        wall, processor = wall + spent.wall, processor + spent.processor
    return Spent(wall, processor)


def swath(path: Path, net: nn.Module, output: Path, precision: Any) -> Spent:
    """The engine, as `swath predict` calls it."""
    network = Network(net.to(memory_format=torch.channels_last))
    asked = [outputs.class_map(output / f"swath-{precision}.tif", LEGEND)]
    return timed(
        lambda: apply(
            network,
            scene(path),
            asked,
            tile=TILE,
            overlap=OVERLAP / TILE,
            batch=BATCH,
            precision=precision,
            progress=False,
        )
    )


@torch.inference_mode()
def naive(path: Path, net: nn.Module, output: Path) -> Spent:
    """Read all, predict tile by tile, average in one array, write."""

    def work() -> None:
        with rasterio.open(path) as file:
            image, profile = torch.from_numpy(file.read().astype(np.float32) / 5000), file.profile
        total, count = torch.zeros(CLASSES, *image.shape[1:]), torch.zeros(image.shape[1:])
        for window in Plan(tuple(image.shape[1:]), TILE, OVERLAP, 1).tiling:
            total[:, *window.slices] += net(image[None, :, *window.slices])[0].softmax(0)
            count[window.slices] += 1
        profile.update(count=1, dtype="uint8", nodata=255)
        with rasterio.open(output / "naive.tif", "w", **profile) as file:
            file.write((total / count).argmax(0).numpy().astype(np.uint8), 1)

    return timed(work)


@torch.inference_mode()
def torchgeo(path: Path, net: nn.Module, output: Path) -> Spent:
    """TorchGeo's recipe: GridGeoSampler, a DataLoader, predictions put together in one array."""
    from torch.utils.data import DataLoader
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import GridGeoSampler

    class Images(RasterDataset):
        filename_glob = path.name
        is_image = True

    def work() -> None:
        data = Images(path.parent)
        sampler = GridGeoSampler(data, size=TILE, stride=TILE - OVERLAP)
        with rasterio.open(path) as file:
            profile, top, left, step = file.profile, file.transform.f, file.transform.c, file.transform.a
        total = torch.zeros(CLASSES, profile["height"] + TILE, profile["width"] + TILE)
        for batch in DataLoader(data, batch_size=BATCH, sampler=sampler, collate_fn=stack_samples):
            for bounds, scores in zip(batch["bounds"], net(batch["image"] / 5000).softmax(1), strict=True):
                row, col = round((top - bounds[1].stop) / step), round((bounds[0].start - left) / step)
                total[:, row : row + scores.shape[1], col : col + scores.shape[2]] += scores
        profile.update(count=1, dtype="uint8", nodata=255)
        with rasterio.open(output / "torchgeo.tif", "w", **profile) as file:
            file.write(total.argmax(0)[: profile["height"], : profile["width"]].numpy().astype(np.uint8), 1)

    return timed(work)


def contestants(path: Path, output: Path) -> dict[str, Callable[[], Spent]]:
    """Everyone who runs, by name; each with a network of its own, because the engine changes its memory layout."""
    found = {
        "bare": partial(bare, path, unet()),
        "swath fp32": partial(swath, path, unet(), output, "fp32"),
        "swath auto": partial(swath, path, unet(), output, "auto"),
        "naive loop": partial(naive, path, unet(), output),
    }
    if importlib.util.find_spec("torchgeo"):
        found["torchgeo"] = partial(torchgeo, path, unet(), output)
    return found


def measure(path: Path, output: Path, repeats: int) -> dict[str, list[Spent]]:
    """Everyone once in every repeat, in turns."""
    runs = contestants(path, output)
    spent: dict[str, list[Spent]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            spent[name].append(run())
            print(f"  {name}: {spent[name][-1].wall:.1f} s", file=sys.stderr)
    return spent


def ratio(spent: Mapping[str, list[Spent]], name: str, field: str) -> tuple[float, float, float]:
    """Median, lowest and highest ratio to the bare passes of the same repeat."""
    each = [getattr(a, field) / getattr(b, field) for a, b in zip(spent[name], spent["bare"], strict=True)]
    return statistics.median(each), min(each), max(each)


def peak(path: Path, output: Path, network: Callable[[], nn.Module], kind: str) -> float:
    """Megabytes that a run in a fresh process holds over what it held after a forward pass."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_here, (path, output, network, kind))


def _peak_here(path: Path, output: Path, network: Callable[[], nn.Module], kind: str) -> float:
    torch.set_num_threads(2)
    net = network()
    with torch.inference_mode():
        net(torch.zeros(BATCH, BANDS, TILE, TILE))
    runs = {"swath": partial(swath, path, net, output, "fp32"), "bare": partial(bare, path, net),
            "naive loop": partial(naive, path, net, output)}  # fmt: skip
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _status("VmRSS")
    runs[kind]()
    return (_status("VmHWM") - before) / 1024


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def show(spent: Mapping[str, list[Spent]]) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Print the table of times; returns the ratios."""
    print(f"\n{'':14}{'seconds':>9}{'of bare':>9}{'lowest':>8}{'highest':>8}{'processor of bare':>19}")
    found = {}
    for name, values in spent.items():
        wall, processor = ratio(spent, name, "wall"), ratio(spent, name, "processor")
        found[name] = {"wall": wall, "processor": processor}
        seconds = statistics.median(v.wall for v in values)
        print(f"{name:14}{seconds:9.1f}{wall[0]:9.2f}{wall[1]:8.2f}{wall[2]:8.2f}{processor[0]:19.2f}")
    return found


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a scene of 1024 pixels, once: proves that it runs")
    parser.add_argument("--size", type=int, default=4096, help="height and width of the scene that is timed")
    parser.add_argument("--rows", type=int, nargs="*", default=[4096, 16384, 65536], help="heights for the memory")
    parser.add_argument("--cols", type=int, default=4096, help="width of the scenes for the memory")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the data here; by default a temporary folder")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args(list(arguments) if arguments is not None else None)
    if options.quick:
        options.size, options.rows, options.cols, options.repeats = 1024, [1024, 4096], 1024, 1
    os.environ.setdefault("GDAL_CACHEMAX", "64")
    torch.set_num_threads(2)
    for peer in ("torchgeo", "terratorch"):
        if not importlib.util.find_spec(peer):
            print(f"{peer} is not installed: not compared")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results: dict[str, Any] = {
            "processor": platform.processor() or platform.machine(), "cores": os.cpu_count(),
            "python": sys.version.split()[0], "torch": torch.__version__, "size": options.size,
        }  # fmt: skip
        if options.repeats:
            path = build(folder / f"scene-{options.size}.tif", options.size, options.size)
            spent = measure(path, Path(temporary), options.repeats)
            results["ratios"] = show(spent)
            results["spent"] = {name: [asdict(v) for v in values] for name, values in spent.items()}
            results["peak MB"] = {k: peak(path, Path(temporary), unet, k) for k in ("bare", "swath", "naive loop")}
            print(
                "\npeak memory over the base, MB: " + ", ".join(f"{k} {v:.0f}" for k, v in results["peak MB"].items())
            )
        results["peak MB by rows"] = {}
        for rows in options.rows:
            tall = build(folder / f"tall-{rows}-{options.cols}.tif", rows, options.cols)
            results["peak MB by rows"][rows] = peak(tall, Path(temporary), tiny, "swath")
            print(f"{rows} rows, tiny network: {results['peak MB by rows'][rows]:.0f} MB", flush=True)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
