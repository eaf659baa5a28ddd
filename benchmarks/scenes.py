"""How long a scene takes, and how much memory: Swath's engine, peers, and the bare network.

Scenes of 6 x uint16, tiles of 256 px with a quarter of overlap, blended, to a class map on disk. `bare` is the sum of
the plain eager float32 forward passes over the same tiles in the same batches, without reading, blending and writing.
With a network that costs next to nothing (`tiles`), what remains is what the engine itself takes: on a GPU, nearly all.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from torch import Tensor, nn

from benchmarks.measure import Run, clock, peak
from benchmarks.networks import CLASSES, SCALE, Network, tiny, unet
from benchmarks.world import BANDS
from swath.data.classes import Classes
from swath.data.loader import Batches
from swath.data.raster import open_raster
from swath.data.scenes import Collection, Scene
from swath.scene import outputs
from swath.scene.apply import apply
from swath.scene.plan import Plan
from swath.sensors.bands import Band, Bands

TILE, OVERLAP, BATCH = 256, 64, 2
LEGEND = Classes.of(CLASSES)

MakeNetwork = Callable[[], nn.Module]


def plan_of(path: Path) -> Plan:
    """The tiles of a scene."""
    with rasterio.open(path) as file:
        return Plan(file.shape, TILE, OVERLAP, BATCH)


def ready(make: MakeNetwork) -> nn.Module:
    """A network that has run once."""
    net = make()
    with torch.inference_mode():
        net(torch.zeros(BATCH, BANDS, TILE, TILE))
    return net


def open_scene(path: Path) -> Scene:
    bands = Bands("bench", tuple(Band(f"b{i}", "dn") for i in range(BANDS)))
    return Scene("scene", {"image": open_raster(path, bands=bands)})


@torch.inference_mode()
def bare(path: Path, make: MakeNetwork) -> Run:
    """Only the forward passes, of tiles that are in memory."""
    net, plan, scenes = ready(make), plan_of(path), Collection((open_scene(path),))
    total = Run()
    across = 2 * len(plan.tiling.starts[1])  # an even number, for whole batches
    for first in range(0, len(plan.tiling), across):
        places = plan.places(range(first, min(first + across, len(plan.tiling))))
        images = [
            batch["image"] / SCALE for batch in Batches(scenes, places, part=None, patch=TILE, batch=BATCH, threads=2)
        ]
        with clock() as run:
            for image in images:
                net(image)
        total.units += len(places)
        total.seconds, total.processor = total.seconds + run.seconds, total.processor + run.processor
        total.others += run.others * run.seconds
    total.others /= total.seconds
    return total


def swath(path: Path, make: MakeNetwork, folder: Path, precision: Any) -> Run:
    """The engine, as `swath predict` calls it."""
    net = ready(make)
    network = Network(net.to(memory_format=torch.channels_last))
    asked = [outputs.class_map(folder / f"swath-{precision}.tif", LEGEND)]
    with peak() as most, clock() as run:
        report = apply(
            network, open_scene(path), asked, tile=TILE, overlap=OVERLAP / TILE, batch=BATCH, precision=precision,
            progress=False,
        )  # fmt: skip
    run.units, run.notes["peak MB"] = report.tiles, most[0]
    if report.agreement:
        run.notes |= report.agreement.to_dict()
    return run


@torch.inference_mode()
def naive(path: Path, make: MakeNetwork, folder: Path) -> Run:
    """Read all, predict tile by tile, average in one array, write."""
    net, plan = ready(make), plan_of(path)
    with peak() as most, clock() as run:
        image = _whole(path)
        total, count = torch.zeros(CLASSES, *plan.shape), torch.zeros(plan.shape)
        for window in plan.tiling:
            total[:, *window.slices] += net(image[None, :, *window.slices])[0].softmax(0)
            count[window.slices] += 1
        _write(folder / "naive.tif", path, total / count)
    run.units, run.notes["peak MB"] = len(plan.tiling), most[0]
    return run


@torch.inference_mode()
def torchgeo(path: Path, make: MakeNetwork, folder: Path) -> Run:
    """TorchGeo's recipe: GridGeoSampler, a DataLoader, predictions put together in one array."""
    from torch.utils.data import DataLoader
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import GridGeoSampler

    class Images(RasterDataset):
        filename_glob = path.name
        is_image = True

    net, plan = ready(make), plan_of(path)
    height, width = plan.shape
    with rasterio.open(path) as file:
        top, left, step = file.transform.f, file.transform.c, file.transform.a
    with peak() as most, clock() as run:
        data = Images(path.parent)
        sampler = GridGeoSampler(data, size=TILE, stride=TILE - OVERLAP)
        total = torch.zeros(CLASSES, height + TILE, width + TILE)
        for batch in DataLoader(data, batch_size=BATCH, sampler=sampler, collate_fn=stack_samples):
            for bounds, scores in zip(batch["bounds"], net(batch["image"] / SCALE).softmax(1), strict=True):
                row, col = round((top - bounds[1].stop) / step), round((bounds[0].start - left) / step)
                total[:, row : row + scores.shape[1], col : col + scores.shape[2]] += scores
        _write(folder / "torchgeo.tif", path, total[:, :height, :width])
    run.units, run.notes["peak MB"] = len(plan.tiling), most[0]
    return run


@torch.inference_mode()
def terratorch(path: Path, make: MakeNetwork, folder: Path) -> Run:
    """TerraTorch's `tiled_inference` of the whole image, with its defaults but for tile, stride and batch."""
    tiled_inference = _tiled_inference()
    net, plan = ready(make), plan_of(path)
    with peak() as most, clock() as run:
        scores = tiled_inference(
            net, _whole(path)[None], crop=TILE, stride=TILE - OVERLAP, batch_size=BATCH, device="cpu"
        )
        _write(folder / "terratorch.tif", path, scores[0])
    run.units, run.notes["peak MB"] = len(plan.tiling), most[0]
    return run


def _tiled_inference() -> Callable[..., Tensor]:
    """The function as it stands in TerraTorch, without what its package imports beside.

    TerraTorch 1.2.13 asks for TorchGeo 0.9, which does not install on Python 3.11; the function needs neither.
    """
    spec = importlib.util.find_spec("terratorch")
    root = Path(spec.submodule_search_locations[0])  # type: ignore[union-attr, index]
    for name in ("terratorch", "terratorch.tasks", "terratorch.models", "terratorch.registry"):
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    sys.modules["terratorch.registry"].BACKBONE_REGISTRY = None  # type: ignore[attr-defined]
    from terratorch.tasks.tiled_inference import tiled_inference

    return tiled_inference


def _whole(path: Path) -> Tensor:
    with rasterio.open(path) as file:
        return torch.from_numpy(file.read().astype(np.float32) / SCALE)


def _write(path: Path, like: Path, scores: Tensor) -> None:
    with rasterio.open(like) as file:
        profile = file.profile | {"count": 1, "dtype": "uint8", "nodata": 255, "predictor": 1}
    with rasterio.open(path, "w", **profile) as file:
        file.write(scores.argmax(0).numpy().astype(np.uint8), 1)


def peers(path: Path, make: MakeNetwork, folder: Path) -> dict[str, Callable[[], Run]]:
    """Those that are not Swath, by name, where they are installed."""
    found = {"naive loop": naive, "torchgeo": torchgeo, "terratorch": terratorch}
    return {
        name: partial(run, path, make, folder)
        for name, run in found.items()
        if run is naive or importlib.util.find_spec(name)
    }


def contestants(path: Path, weights: Path, folder: Path) -> dict[str, Callable[[], Run]]:
    """Everyone who predicts the scene with the U-Net."""
    make = partial(unet, weights)
    return {
        "bare": partial(bare, path, make),
        "swath, fp32": partial(swath, path, make, folder, "fp32"),
        "swath, auto": partial(swath, path, make, folder, "auto"),
        **peers(path, make, folder),
    }


def tilers(path: Path, folder: Path) -> dict[str, Callable[[], Run]]:
    """Everyone who predicts the scene with a network that costs next to nothing."""
    return {
        "bare": partial(bare, path, tiny),
        "swath, fp32": partial(swath, path, tiny, folder, "fp32"),
        **peers(path, tiny, folder),
    }


def agreement(folder: Path) -> float | None:
    """Share of pixels of the whole map that have the same class in fp32 and in what `auto` took."""
    maps = [folder / "swath-fp32.tif", folder / "swath-auto.tif"]
    if not all(path.exists() for path in maps):
        return None
    exact, chosen = (rasterio.open(path).read(1) for path in maps)
    return float((exact == chosen).mean())
