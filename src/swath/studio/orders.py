"""From what a person clicked to a command line: predict and fit as jobs, and the description of data for fit."""

from __future__ import annotations

import ast
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from swath import registry
from swath.data.classes import Classes
from swath.errors import ConfigError, DataError
from swath.files import write_text
from swath.studio.boxes import box_window, write_box
from swath.studio.jobs import Job, Jobs
from swath.studio.layers import describe
from swath.studio.listing import RASTERS, VECTORS
from swath.studio.requests import DataRequest, FitRequest, PredictRequest
from swath.studio.roots import Roots
from swath.studio.runs import describe_run
from swath.tasks.recipe import Recipe


def predict(order: PredictRequest, roots: Roots, jobs: Jobs) -> Job:
    """Queue `swath predict`.

    Raises:
        SwathError: If a file is not there, the box is elsewhere, or the output cannot be written.
    """
    run = roots.path(order.run)
    scene = [roots.path(name) for name in order.scene]
    output = roots.new(order.output, (".tif",))
    if strange := [path.name for path in scene if path.suffix.casefold() not in RASTERS]:
        raise ConfigError("This is no raster that Studio serves", got=", ".join(strange))
    legend = describe_run(run)["classes"]
    window, corners = box_window(scene[0], order.box)
    id_, folder = jobs.new_folder()
    if order.box is not None:
        boxes = [folder / f"{path.stem}-box.vrt" for path in scene]
        for path, box in zip(scene, boxes, strict=True):
            write_box(path, box_window(path, order.box)[0], box)
        scene = boxes
    words = ["predict", str(run), ",".join(map(str, scene)), "-o", str(output)]
    if order.products != ["classes"]:
        words += ["--products", *order.products]
    if describe_crs(roots.path(order.scene[0])) is None:
        words.append("--crs=none")
    return jobs.start(
        words, f"Predict {run.name} on {roots.path(order.scene[0]).name}", output, id_,
        shape=list(window[2:]), corners=corners, legend=legend, shown=order.output,
    )  # fmt: skip


def fit(order: FitRequest, roots: Roots, jobs: Jobs) -> Job:
    """Queue `swath fit`.

    Raises:
        SwathError: If the system, data or an option is unknown, or the run cannot be written.
    """
    card = registry.card(order.system)
    data = roots.path(order.data)
    output = roots.new(order.output, ("",))
    known = {option["name"] for option in fit_options(card.id)}
    if strange := sorted(set(order.options) - known):
        raise ConfigError(
            f"{card.id} has no such option here", got=", ".join(strange), expected=", ".join(sorted(known))
        )
    options = [f"--{name.replace('_', '-')}={value}" for name, value in sorted(order.options.items())]
    id_, _ = jobs.new_folder()
    words = ["fit", card.id, str(data), "-o", str(output), *options]
    epochs = order.options.get("epochs", "")
    return jobs.start(
        words, f"Fit {card.id} on {data.name}", output, id_,
        epochs=int(epochs) if epochs.isdigit() else None, shown=order.output,
    )  # fmt: skip


def fit_options(system: str) -> list[dict[str, Any]]:
    """Options of a system that a client may set: those of its builder that name no files, and of the recipe."""
    own = [
        option
        for option in _builder_options(system)
        if option["name"] not in ("bands", "classes", "weights") and "Path" not in option["type"]
    ]
    recipe = [{"name": f.name, "type": str(f.type), "default": "the system's"} for f in fields(Recipe)]
    return [*own, *recipe, {"name": "seed", "type": "int", "default": "0"}]


def _builder_options(system: str) -> list[dict[str, Any]]:
    """Name, type and default of a builder's options, read from its file: to run it would load torch into the server."""
    card = registry.card(system)
    tree = ast.parse((Path(registry.__file__).parent / "systems" / card.family / f"{card.id}.py").read_text("utf-8"))
    builders = (node for node in tree.body if isinstance(node, ast.FunctionDef) and "register(" in _decorators(node))
    arguments = next(builders).args
    names = [*arguments.args, *arguments.kwonlyargs]
    missing = [None] * (len(arguments.args) - len(arguments.defaults))
    defaults = [*missing, *arguments.defaults, *arguments.kw_defaults]
    return [
        {
            "name": name.arg,
            "type": ast.unparse(name.annotation) if name.annotation else "str",
            "default": ast.unparse(default) if default else "must be given",
        }
        for name, default in zip(names, defaults, strict=True)
    ]


def _decorators(node: ast.FunctionDef) -> str:
    return " ".join(ast.unparse(decorator) for decorator in node.decorator_list)


def write_data(order: DataRequest, roots: Roots) -> Path:
    """Write the YAML that describes images and labels; returns its path.

    Raises:
        SwathError: If a file is missing, images differ in their bands, or the YAML would not be readable.
    """
    output = roots.new(order.output, (".yaml", ".yml"))
    images, labels = [roots.path(name) for name in order.images], roots.path(order.labels)
    bands = [[band["name"] for band in describe(path)["bands"]] for path in images]
    if any(names != bands[0] for names in bands):
        raise DataError("The images have different bands", got="; ".join(sorted({", ".join(names) for names in bands})))
    layer: dict[str, Any] = {"files": [_relative(path, output) for path in images], "sensor": order.sensor}
    # a list of files beside `bands` would mean one file a band
    layer["files"] = layer["files"][0] if len(images) == 1 else _pattern(images, output)
    layer["bands"] = bands[0]
    if order.sensor == "custom":
        layer["unit"] = order.unit
    entries = [{"name": entry.name, "colour": entry.colour.lower()} for entry in order.classes]
    vector = labels.suffix.casefold() in VECTORS
    keys: list[Any] = [entry["name"] for entry in entries] if vector else list(range(1, len(entries) + 1))
    Classes.of(dict(enumerate(entries)))  # refuses a name that stands twice
    described: dict[str, Any] = {
        "name": output.stem,
        "layers": {"image": layer},
        "labels": {"files": _relative(labels, output), **({"attribute": "class"} if vector else {})},
        "classes": dict(zip(keys, entries, strict=True)),
        "split": {"by": "block", "size": order.block, "fractions": [0.6, 0.2, 0.2], "seed": 0},
    }
    if order.background and vector:
        described["labels"]["background"] = order.background
    if not vector:
        described["ignore"] = [0]
    write_text(output, yaml.safe_dump(described, sort_keys=False))
    return output


def describe_crs(path: Path) -> str | None:
    """Name of the CRS of a raster."""
    return describe(path)["crs"]


def _relative(path: Path, output: Path) -> str:
    return Path(os.path.relpath(path, output.parent)).as_posix()


def _pattern(images: list[Path], output: Path) -> str:
    """The one pattern that images of one folder share: all rasters of their suffix."""
    folders = {(path.parent, path.suffix) for path in images}
    if len(folders) > 1:
        raise DataError("The images lie in several folders", got=len(folders), expected="one folder")
    folder, suffix = folders.pop()
    if {p for p in folder.iterdir() if p.suffix == suffix} != set(images):
        raise DataError(f"{folder.name} holds other images too", fix="Choose one image, or all of a folder")
    return _relative(folder / f"*{suffix}", output)
