"""From what a person clicked to a command line: predict, fit and score as jobs, and the description of data for fit."""

from __future__ import annotations

import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml

from swath.data.classes import Classes
from swath.errors import ConfigError, DataError, UnknownNameError
from swath.files import write_text
from swath.studio import signatures
from swath.studio.boxes import box_window, write_box
from swath.studio.jobs import Job, Jobs
from swath.studio.layers import describe
from swath.studio.listing import RASTERS, VECTORS, kind_of
from swath.studio.requests import DataRequest, FitRequest, PredictRequest, ScoreRequest
from swath.studio.roots import Roots
from swath.studio.runs import describe_run
from swath.tasks.recipe import Recipe

#: Suffixes of sources that are no rasters; folders have none.
SOURCES = {"", ".yaml", ".yml", ".csv", ".parquet", ".nc", ".h5", ".hdr", ".fits"}
#: Main products that are written in chunks of rows, whose progress can be counted.
_MAPS = ("classes", "change")


def predict(order: PredictRequest, roots: Roots, jobs: Jobs) -> Job:
    """Queue `swath predict`.

    Raises:
        SwathError: If a file is not there, the box is elsewhere, the task has no such product or option, or the output
            cannot be written.
    """
    if (order.run is None) == (order.system is None) or bool(order.scene) == (order.source is not None):
        raise ConfigError("Something is missing, or too much", expected="a run or a system, and a scene or a source")
    run = None if order.run is None else roots.path(order.run)
    told = describe_run(run) if run else {}
    system = str(told.get("system") or order.system)
    output = roots.new(order.output, suffixes(system))
    known, usual = signatures.products(system)
    if strange := sorted(set(order.products) - set(known)):
        raise ConfigError(f"{system} has no such product", got=", ".join(strange), expected=", ".join(known) or "none")
    options = _options(order.options, order.files, predict_options(system), roots)
    id_, folder = jobs.new_folder()
    words, facts = _scene(order, roots, folder) if order.scene else (_source(order, roots), {})
    words = ["predict", str(run or system), *words, "-o", str(output)]
    if order.products:
        words += ["--products", *order.products]
    words += options
    main = next(iter(order.products or usual), None)
    if main not in _MAPS:
        facts.pop("shape", None)
    name = run.name if run else system
    title = f"Predict {name} on {(order.source or order.scene[0]).split('/')[-1]}"
    legend = told.get("classes") if main == "classes" else None
    return jobs.start(words, title, output, id_, **facts, legend=legend, shown=order.output)


def suffixes(system: str) -> tuple[str, ...]:
    """Suffixes that the main product of a system's task may have, the usual one first."""
    maps, things, tables = (".tif",), (".gpkg", ".geojson"), (".csv", ".json")
    main = signatures.products(system)[0][:1]
    if main in (("classes",), ("change",), ("mask",)):
        return maps
    if main == ("objects",):
        return things
    known = {
        "sky_catalogue": (".fits",),
        "effect clusters": (*tables, *things, *maps),
        "effect ranking": (*tables, *things, *maps),
    }
    return known.get(signatures.kind(system), (*tables, *things))


def _scene(order: PredictRequest, roots: Roots, folder: Path) -> tuple[list[str], dict[str, Any]]:
    """The words for rasters, on all of them or in a box; and where on the map the result will be."""
    scene = [roots.path(name) for name in order.scene]
    if strange := [path.name for path in scene if path.suffix.casefold() not in RASTERS]:
        raise ConfigError("This is no raster that Studio serves", got=", ".join(strange))
    # all are opened here, which refuses virtual rasters under another suffix
    told = [describe(path) for path in scene]
    window, corners = box_window(scene[0], order.box)
    if order.box is not None:
        boxes = [folder / f"{number}-{path.stem}-box.vrt" for number, path in enumerate(scene, 1)]
        for path, box in zip(scene, boxes, strict=True):
            write_box(path, box_window(path, order.box)[0], box)
        scene = boxes
    words = [",".join(map(str, scene)), *(["--crs=none"] if told[0]["crs"] is None else [])]
    return words, {"shape": list(window[2:]), "corners": corners}


def _source(order: PredictRequest, roots: Roots) -> list[str]:
    """The word for what is no raster."""
    source = roots.path(str(order.source))
    suffix = "" if source.is_dir() else source.suffix.casefold()
    if suffix not in SOURCES or order.box is not None or (order.part and suffix not in (".yaml", ".yml")):
        raise ConfigError(
            "This cannot be a source", got=source.name,
            expected=f"a folder, or a file of {', '.join(sorted(SOURCES)[1:])}",
            fix="Boxes are for rasters, names of scenes for a YAML",
        )  # fmt: skip
    return [f"{source}:{order.part}" if order.part else str(source)]


def fit(order: FitRequest, roots: Roots, jobs: Jobs) -> Job:
    """Queue `swath fit`.

    Raises:
        SwathError: If the system, data or an option is unknown, or the run cannot be written.
    """
    data = roots.path(order.data)
    output = roots.new(order.output, ("",))
    options = _options(order.options, order.files, fit_options(order.system), roots)
    id_, _ = jobs.new_folder()
    words = ["fit", order.system, str(data), "-o", str(output), *options]
    epochs = order.options.get("epochs", "") if signatures.has_recipe(order.system) else ""
    return jobs.start(
        words, f"Fit {order.system} on {data.name}", output, id_,
        epochs=int(epochs) if epochs.isdigit() else None, shown=order.output,
    )  # fmt: skip


def score(order: ScoreRequest, roots: Roots, jobs: Jobs) -> Job:
    """Queue `swath score`.

    Raises:
        SwathError: If the run or the data are not there.
    """
    run, data = roots.path(order.run), roots.path(order.data)
    describe_run(run)
    id_, _ = jobs.new_folder()
    output = run / "scores-test.json"
    return jobs.start(["score", str(run), str(data)], f"Score {run.name} on {data.name}", output, id_, run=order.run)


def fit_options(system: str) -> list[dict[str, Any]]:
    """Options of `fit` for a system or form: of its builder, its task's `fit`, and the recipe where it has one."""
    own = [*signatures.builder_options(system), *signatures.verb_options(system, "fit")]
    recipe = [signatures.Option(f.name, str(f.type), "the system's") for f in fields(Recipe)]
    return [_plain(option) for option in [*own, *(recipe if signatures.has_recipe(system) else [])]]


def predict_options(system: str) -> list[dict[str, Any]]:
    """Options of `predict` for a system or form, products apart; also its builder's where it needs no training."""
    own = [] if signatures.is_trained(system) else signatures.builder_options(system)
    verb = [option for option in signatures.verb_options(system, "predict") if option.name != "products"]
    return [_plain(option) for option in [*own, *verb]]


def system_choices(system: str) -> dict[str, Any]:
    """What a client may choose for a system or form: options of `fit`, and of `predict` where it needs no training."""
    told: dict[str, Any] = {"options": fit_options(system), "trained": signatures.is_trained(system)}
    return told if told["trained"] else {**told, "predict": _predict_choices(system)}


def run_choices(run: Path) -> dict[str, Any]:
    """What a client may choose when a run is applied; null where its system is not known here."""
    try:
        return {"predict": _predict_choices(str(describe_run(run)["system"]))}
    except UnknownNameError:
        return {"predict": None}


def _predict_choices(system: str) -> dict[str, Any]:
    possible, usual = signatures.products(system)
    return {
        "products": possible, "usual": usual, "suffixes": suffixes(system), "options": predict_options(system),
    }  # fmt: skip


def products(job: Job, roots: Roots) -> list[dict[str, str | None]]:
    """What a job that is done has written and is still there: names and kinds, the main one first."""
    found = [Path(path) for path in job.facts.get("written", ()) if os.path.isfile(path)]
    return [{"path": roots.name(path), "kind": kind_of(path)} for path in found if roots.holds(path)]


def _plain(option: signatures.Option) -> dict[str, Any]:
    return {**asdict(option), "file": option.is_file}


def _options(options: dict[str, str], files: dict[str, str], known: list[dict[str, Any]], roots: Roots) -> list[str]:
    """Words for options that a client may set; those that name files take served files."""
    for given, file in ((options, False), (files, True)):
        names = [option["name"] for option in known if option["file"] is file]
        if strange := sorted(set(given) - set(names)):
            raise ConfigError(
                f"There is no such option {'that names a file ' if file else ''}here",
                got=", ".join(strange), expected=", ".join(sorted(names)),
            )  # fmt: skip
    values = {**options, **{name: str(roots.path(file)) for name, file in files.items()}}
    return [f"--{name.replace('_', '-')}={value}" for name, value in sorted(values.items())]


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
