"""Sen4AgriNet on simulated farmland and on real series: `python -m benchmarks.crops PART PATH RUN [NAMES]`.

PART is `world` (writes simulated patches into PATH; takes no RUN), `maps` (these by pixel, by scenario), `parcels`
(the same by parcel), `series` (real series of Formosat-2 and MODIS in the folder of shared data) or `place` (68 dates
of one place in Slovenia). NAMES are of fits, such as `unet-1`; all without. Recipes were fixed before a test part was
scored, and the best epoch is that of the validation part.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from affine import Affine
from odc.geo.geobox import GeoBox

import swath
from swath.data.classes import Classes
from swath.data.labels import RasterLabels
from swath.data.readers.sen4agrinet import read_sen4agrinet
from swath.data.readers.sen4agrinet_oad import read_sen4agrinet_oad
from swath.data.scenes import Collection, Scene
from swath.data.sequences import Sequences, shared_units, split_sequences, with_parts
from swath.data.series import Frame, Series, SeriesInput
from swath.data.sources import ArraySource
from swath.data.splits import split_by_block
from swath.sensors.bands import Band, Bands
from swath.simulate.crop_patches import sen4agrinet
from swath.simulate.presets import PRESETS
from swath.simulate.world import make_world
from swath.tasks.scores import Scores

NDVI = Bands("modis_ndvi", (Band("NDVI", "1"),))


def world(folder: Path) -> None:
    """Sixteen patches of simulated farmland in the published layout."""
    sen4agrinet(make_world(**PRESETS["farmland"]), folder, patches=16, edge=120)


def maps(folder: Path, run: Path, *names: str) -> None:
    """Networks by pixel, scenario by scenario."""
    for network, patch, batch in (("unet", 60, 4), ("convstar", 30, 8)):
        for scenario in ("1", "2", "3"):
            if _wanted(f"{network}-{scenario}", names):
                task = _task("sen4agrinet", network=network)
                recipe = replace(
                    task.recipe, epochs=10, batch=batch, patch=patch, samples=64, augment=("d4",), learning_rate=2e-3
                )
                data = read_sen4agrinet(folder, scenario)  # type: ignore[arg-type]
                _fit(task, data, run / f"{network}-{scenario}", recipe)


def parcels(folder: Path, run: Path, *names: str) -> None:
    """Networks by parcel, scenario by scenario."""
    for scenario in ("1", "2", "3"):
        for network in ("tempcnn", "transformer"):
            if _wanted(f"{network}-{scenario}", names):
                task = _task("sen4agrinet:oad", network=network)
                data = read_sen4agrinet_oad(folder, scenario=scenario)  # type: ignore[arg-type]
                _fit(task, data, run / f"{network}-{scenario}", replace(task.recipe, epochs=60, batch=32))


def series(folder: Path, run: Path, *names: str) -> None:
    """Networks by series: MODIS split by cells of half a degree, crops of Formosat-2 in the parts of their file."""
    for name, read, network, epochs in (
        ("modis", _modis, "tempcnn", 60),
        ("modis", _modis, "transformer", 60),
        ("modis", _modis, "lstm", 15),
        ("crop", _crop, "tempcnn", 12),
        ("crop", _crop, "transformer", 12),
    ):
        if _wanted(f"{name}-{network}", names):
            data = read(folder)
            print(f"{data.name}, units of the same numbers in two parts: {shared_units(data) or 'none'}")
            task = _task(
                "sen4agrinet:oad", network=network, classes=data.classes, bands=data.features, length=data.steps,
                **({"width": 64} if network == "transformer" else {}),
            )  # fmt: skip
            _fit(task, data, run / f"{name}-{network}", replace(task.recipe, epochs=epochs, batch=64))
            if name == "crop":
                _report(task.score(_apart(data)), f"{name}-{network}, copies left out")


def place(folder: Path, run: Path, *names: str) -> None:
    """ConvSTAR on monthly NDVI of 2017, blocks of 200 m apart."""
    data = _slovenia(folder)
    for network in ("convstar", "unet"):
        if _wanted(network, names):
            series = {"series": SeriesInput(data[0].series["series"].bands)}
            task = _task("sen4agrinet", network=network, classes=data.classes, series=series, months=(3, 10))
            recipe = replace(
                task.recipe, epochs=10, batch=8, patch=24, samples=160, augment=("d4",), learning_rate=2e-3
            )
            _fit(task, data, run / network, recipe)


def _wanted(name: str, names: tuple[str, ...]) -> bool:
    return not names or name in names


def _task(system: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return swath.create(system, **options)


def _fit(task: Any, data: Any, run: Path, recipe: Any) -> None:
    start = time.process_time()
    task.fit(data, run, recipe=recipe, accelerator="cpu")
    _report(
        task.score(data), f"{run.name}, {time.process_time() - start:.0f} s of processor, {data.facts.get('split')}"
    )


def _report(scores: Scores, what: str) -> None:
    print(f"## {what}: {scores.facts}")
    for name, values in {"system": scores.system, **scores.baselines}.items():
        print(f"  {name}: " + "; ".join(f"{metric} {value}" for metric, value in values.items()), flush=True)


def _apart(data: Sequences) -> Sequences:
    """The sequences without those of the test part whose very numbers stand before them, in any part."""
    assert data.groups is not None
    _, first = np.unique(data.groups, return_index=True)  # units of the test part come last
    fresh = np.isin(np.arange(len(data)), first)
    return data.select(np.flatnonzero(fresh | (data.parts != "test")))


def _crop(folder: Path) -> Sequences:
    found = np.load(folder / "time_series_labelled/ucr_crop.npz")
    rows = np.concatenate([found[part] for part in ("train", "val", "test")])
    parts = np.repeat(["train", "val", "test"], [len(found[part]) for part in ("train", "val", "test")])
    classes = Classes.of([f"crop {number}" for number in range(1, 25)])
    features = Bands("ucr_crop", (Band("value", "1"),))
    _, copies = np.unique(rows[:, 1:], axis=0, return_inverse=True)
    data = Sequences(
        np.arange(len(rows)).astype(str), rows[:, 1:, None], features, classes, rows[:, 0].astype(np.int64) - 1,
        copies.ravel().astype(str), name="UCR Crop",
    )  # fmt: skip
    return with_parts(data, parts, "as the file has it")


def _modis(folder: Path) -> Sequences:
    table = pd.read_csv(folder / "time_series_labelled/sits_samples_modis_ndvi.csv.gz").sort_values(["sample", "date"])
    samples = table.groupby("sample")
    first = samples.first()
    values = np.stack([rows["NDVI"].to_numpy(np.float32) for _, rows in samples])[..., None]
    classes = Classes.of(sorted(first["label"].unique()))
    labels = first["label"].map(classes.names.index).to_numpy(np.int64)
    cells = np.floor(first[["lon", "lat"]].to_numpy() / 0.5).astype(int).astype(str)
    groups = np.char.add(np.char.add(cells[:, 0], " "), cells[:, 1])
    data = Sequences(first.index.to_numpy().astype(str), values, NDVI, classes, labels, groups, name="MODIS")
    return split_sequences(data)


def _slovenia(folder: Path) -> Collection:
    root = folder / "eolearn_patch_ts"
    found = np.load(root / "testeopatch.npz")
    times = [datetime.fromisoformat(str(t)).replace(tzinfo=UTC) for t in _timestamps(root)]
    box = json.loads((root / "bbox.geojson").read_text())
    corners = np.array(box["features"][0]["geometry"]["coordinates"][0] if "features" in box else box["coordinates"][0])
    (west, south), (east, north) = corners.min(0), corners.max(0)
    height, width = found["LULC"].shape[:2]
    affine = Affine((east - west) / width, 0, west, 0, -(north - south) / height, north)
    grid = GeoBox((height, width), affine, "EPSG:32633")
    seen = found["IS_VALID"][..., 0].astype(bool) & ~found["CLM"][..., 0].astype(bool)
    bands = Bands("sentinel2_ndvi", (Band("NDVI", "1", scale=1e-4),))
    frames = [
        Frame(time, ArraySource(values[None, ..., 0], bands, grid, valid))
        for time, values, valid in zip(times, found["NDVI_x10000"], seen, strict=True)
        if time.year == 2017
    ]
    classes = Classes.of({2: "forest", 3: "grassland", 4: "shrubland", 8: "artificial"}, ignored=(0, 1))
    codes = ArraySource(found["LULC"][None, ..., 0], Bands("lulc", (Band("code", "1"),)), grid)
    scene = Scene("slovenia", {}, RasterLabels(codes, classes), series={"series": Series(tuple(frames))})
    return split_by_block(Collection((scene,), classes, "Slovenia"), size=200.0, buffer=10.0)


def _timestamps(root: Path) -> list[str]:
    found = json.loads((root / "timestamps.json").read_text())
    return list(map(str, found))


if __name__ == "__main__":
    parts = {"world": world, "maps": maps, "parcels": parcels, "series": series, "place": place}
    parts[sys.argv[1]](*map(Path, sys.argv[2:4]), *sys.argv[4:])
