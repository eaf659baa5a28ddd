"""Systems on scenes that memory would not hold whole: `python -m benchmarks.large_scenes FOLDER [SYSTEM ...]`.

For each: its published layout (two dates of one's own for `fusu`) is simulated in FOLDER, `swath fit` learns from it
for seconds, `swath score` scores, and `swath predict` maps a large scene, in a process that may allocate LIMIT bytes
(RLIMIT_DATA; importing torch takes half of them). Then the same network is given that scene at once under the same
limit, which must fail. What is printed says nothing of the quality of maps: training is a smoke test.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
import yaml
from affine import Affine

from benchmarks.measure import say
from swath.geo.cog import problems
from swath.simulate import aerial, cloudsen12, crop_patches, crowns, drone, layouts, rice, roofs, ship_tracks
from swath.simulate.world import World, make_world

#: Bytes of memory that a prediction may allocate.
LIMIT = 2 << 30
LEARN = "--epochs 1 --samples 8 --accelerator cpu"
EAST, NORTH = 500_000, 5_000_000

#: The whole scene at once, under the same limit: run folder, channels, rows, columns.
WHOLE = """
import sys, torch
from pathlib import Path
from swath.tasks.task import Task
net = Task.load(Path(sys.argv[1])).net.eval()
with torch.inference_mode():
    net(torch.zeros(1, *map(int, sys.argv[2:])))
"""


@dataclass(frozen=True)
class Case:
    """A system and its large scene.

    Attributes:
        layout: Writes data to learn from into a folder.
        fit: Options of the fit.
        bands: Bands of the scene: bytes, tenthousandths of reflectance as `uint16`, or reflectance as `float32`.
        edge: Its rows and columns.
        pixel: Metres.
        output: The main product.
        predict: Options of the prediction.
        dtype: Type of its numbers.
        highest: The largest of them, but for noise; by default what suits the type.
        source: Writes more beside the scene, and gives the words that name it.
        at_once: Channels of the input of the control, where they are not the bands; None makes no control.
    """

    layout: Callable[[World, Path], object]
    fit: str
    bands: int = 3
    edge: int = 4096
    pixel: float = 0.5
    output: str = "map.tif"
    predict: str = ""
    dtype: str = "uint8"
    highest: int | None = None
    source: Callable[[Path, Case], list[str]] | None = None
    at_once: int | None = 0


def main(folder: str, *names: str) -> None:
    """Run the chosen systems, or all, and print a table."""
    print("| system | scene | Mpx/s | peak MiB | whole scene at once |\n| --- | --- | --- | --- | --- |", flush=True)
    for name in names or CASES:
        print(measured(Path(folder) / name.replace(":", "-"), name, CASES[name]), flush=True)


def measured(folder: Path, name: str, case: Case) -> str:
    """A row of the table."""
    data, run, scene = folder / "data", folder / "run", folder / "scene.tif"
    if not data.is_dir():
        case.layout(make_world(seed=3, width=3000, height=2400, towns=60, coast=0.0), data)
    described = data / "data.yaml"
    words = [str(described if described.is_file() else data)]
    if not (run / "task.json").is_file():
        swath("fit", name, *words, "-o", str(run), *case.fit.split(), *LEARN.split())
        swath("score", str(run), *words, "--resamples", "20")
    write(scene, case)
    source = case.source(folder, case) if case.source else [str(scene)]
    began = time.perf_counter()
    output = folder / case.output
    peak = swath("predict", str(run), *source, "-o", str(output), *case.predict.split(), limit=LIMIT)
    seconds = time.perf_counter() - began
    if output.suffix == ".tif":
        with rasterio.open(output) as file:
            if file.shape != (case.edge, case.edge) or problems(output):
                raise SystemExit(f"{output} is no map of the scene")
    whole = "not tried" if case.at_once is None else at_once(run, case.at_once or case.bands, case.edge)
    size = f"{case.edge} x {case.edge} x {case.bands}"
    return f"| {name} | {size} | {case.edge**2 / 1e6 / seconds:.2f} | {peak / 2**20:.0f} | {whole} |"


def at_once(run: Path, channels: int, edge: int) -> str:
    """Whether a network takes a whole scene under the limit."""
    words = [sys.executable, "-c", WHOLE, str(run), *map(str, (channels, edge, edge))]
    status, _, told = limited(words, LIMIT)
    if status and not re.search("alloc|memory", told, re.IGNORECASE):
        raise SystemExit(f"The control failed for another reason:\n{told}")
    return "does not fit" if status else "fits"


def swath(*words: str, limit: int | None = None) -> int:
    """Run the command line; the most memory in bytes that it had resident."""
    say(" ".join(("swath", *words)))
    status, peak, told = limited([sys.executable, "-m", "swath", *words], limit)
    if status:
        raise SystemExit(f"swath {' '.join(words)} failed:\n{told}")
    return peak


def limited(words: list[str], limit: int | None) -> tuple[int, int, str]:
    """Exit status, most resident bytes and messages of a process that may allocate `limit` bytes."""

    def bound() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    with subprocess.Popen(
        words, preexec_fn=bound, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        told = process.stderr.read() if process.stderr else ""
        _, status, used = os.wait4(process.pid, 0)
    return status, used.ru_maxrss * 1024, told[-2000:]


def write(path: Path, case: Case, seed: int = 0) -> Path:
    """The large scene, strip by strip, where it is not there yet: squares of 64 pixels, and noise."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff", "height": case.edge, "width": case.edge, "count": case.bands, "dtype": case.dtype,
        "crs": "EPSG:32633", "transform": Affine(case.pixel, 0, EAST, 0, -case.pixel, NORTH), "tiled": True,
        "blockxsize": 512, "blockysize": 512, "compress": "zstd", "zstd_level": 1,
    }  # fmt: skip
    whole = "uint16" if case.dtype == "float32" else case.dtype
    top = case.highest or (200 if whole == "uint8" else 4000)
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, top // 10 + 1, (case.bands, 512, case.edge)).astype(whole)
    square = min(64, case.edge // 2)
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, case.edge, 512):
            height = min(512, case.edge - row)
            shape = (case.bands, -(-height // square), -(-case.edge // square))
            squares = rng.integers(1, top + 1, shape).astype(whole)
            strip = np.kron(squares, np.ones((square, square), whole))[:, :height, : case.edge] + noise[:, :height]
            if whole != case.dtype:
                strip = strip.astype(case.dtype) / 10_000
            file.write(strip, window=rasterio.windows.Window(0, row, case.edge, height))
    return path


def footprints(folder: Path, case: Case) -> list[str]:
    """A building every 100 m of the scene."""
    reach = int(case.edge * case.pixel)
    shapes = [
        shapely.box(EAST + x, NORTH - y - 12, EAST + x + 18, NORTH - y)
        for y in range(20, reach - 40, 100)
        for x in range(20, reach - 40, 100)
    ]
    path = folder / "footprints.gpkg"
    gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32633").to_file(path)
    return [str(folder / "scene.tif"), "--footprints", str(path)]


def months(folder: Path, case: Case) -> list[str]:
    """The scene at six dates of a year."""
    for month in range(4, 10):
        write(folder / f"series/2019{month:02}15.tif", case, seed=month)
    described = {
        "series": {
            "series": {
                "files": "series/*.tif", "sensor": "sentinel2_l1c", "bands": ["B02", "B03", "B04", "B08"],
                "time": "%Y%m%d",
            }
        }
    }  # fmt: skip
    (folder / "scene.yaml").write_text(yaml.safe_dump(described))
    return [str(folder / "scene.yaml")]


def two_dates(folder: Path, edge: int, names: Sequence[str], labelled: bool) -> Path:
    """Scenes of two dates with two dates of a series around them, and the YAML that describes them."""
    image = Case(lambda *_: None, "", edge=edge)
    around = replace(image, bands=2, pixel=10.0, edge=edge // 20 + 64, dtype="uint16")
    labels = {"labels": {"files": {"before": "use1/{id}.tif", "after": "use2/{id}.tif"}}} if labelled else {}
    for number, name in enumerate(names):
        for date, seed in (("before", number), ("after", number + 100)):
            write(folder / f"{date}/{name}.tif", image, seed)
        for month, seed in ((5, 200), (9, 300)):
            write(folder / f"s2/{name}_2021{month:02}15.tif", around, seed + number)
        for use, seed in (("use1", 400), ("use2", 500)) if labelled else ():
            write(folder / f"{use}/{name}.tif", replace(image, bands=1, highest=2), seed + number)
    described = {
        "layers": {date: {"files": f"{date}/{{id}}.tif", "sensor": "rgb"} for date in ("before", "after")},
        "series": {
            "s2": {
                "files": "s2/{id}_*.tif", "sensor": "sentinel2_l2a", "bands": ["B04", "B08"], "time": "%Y%m%d",
                "resolution": 10, "size": 32,
            }
        },
        **labels,
    }  # fmt: skip
    if labelled:
        described |= {"classes": {1: "field", 2: "house"}, "split": {"by": "source"}}
    (folder / "data.yaml").write_text(yaml.safe_dump(described))
    return folder / "data.yaml"


def two_large_dates(folder: Path, case: Case) -> list[str]:
    """The same of the large scene."""
    return [str(two_dates(folder / "large", case.edge, ["scene"], labelled=False))]


CASES = {
    "landcover_ai": Case(lambda w, p: layouts.landcover_ai(w, p, edge=600), "--encoder test_resnet --patch 128"),
    "deeptrinet": Case(
        lambda w, p: aerial.gid15(w, p, edge=128), "--encoder test_resnet --patch 64 --batch 4", pixel=3.0
    ),
    "effunetpp": Case(
        lambda w, p: aerial.mass_buildings(w, p, 6, 160), "--encoder test_efficientnet --patch 64 --batch 4", pixel=1.0
    ),
    "floodnet": Case(
        lambda w, p: drone.floodnet(w, p, pictures=8, edge=128), "--network enet --patch 64 --batch 4", pixel=0.1
    ),
    "cloud_adapter": Case(
        lambda w, p: cloudsen12.cloud_adapter(w, p, pictures=6, edge=64),
        "--encoder vit_tiny --head tiny --image_size 64 --patch 64 --batch 4", pixel=10.0,
    ),
    "cloudtracks": Case(
        lambda w, p: ship_tracks.cloudtracks(w, p, granules=12, shape=(96, 64)),
        "--encoder test_resnet --patch 64 --batch 4", pixel=1000.0,
    ),
    "cloudtracks:instances": Case(
        lambda w, p: ship_tracks.cloudtracks(w, p, granules=12, shape=(96, 64)),
        "--encoder test_resnet --patch 64 --batch 4", pixel=1000.0, output="tracks.gpkg",
    ),
    "oam_tcd": Case(
        lambda w, p: crowns.oam_tcd(w, p, tiles=6, edge=96), "--network tu-test_resnet --patch 64 --batch 4", pixel=0.1
    ),
    "oam_tcd:instances": Case(
        lambda w, p: crowns.oam_tcd(w, p, tiles=6, edge=96),
        "--backbone test_resnet --width 16 --head 32 --detections 20 --patch 64 --batch 4",
        pixel=0.1, output="crowns.gpkg", at_once=None,
    ),
    "bhutan_rice": Case(
        lambda w, p: rice.bhutan_rice(w, p), "--network dnn", bands=8, pixel=10.0, dtype="float32"
    ),
    "sen4agrinet": Case(
        lambda w, p: crop_patches.sen4agrinet(w, p), "--patch 32 --batch 4", bands=4, edge=2048, pixel=10.0,
        dtype="uint16", source=months, at_once=None,
    ),
    "fusu": Case(
        lambda _, p: two_dates(p, 64, "abcde", labelled=True), "--encoder hrnet_w18_small --patch 64 --batch 2",
        source=two_large_dates, at_once=None,
    ),
    "roofnet": Case(
        lambda w, p: roofs.roofnet(w, p, roofs=5), "--model tiny --batch 8", output="roofs.gpkg", source=footprints,
        at_once=None,
    ),
}  # fmt: skip

if __name__ == "__main__":
    main(*sys.argv[1:])
