"""Applying a model to a scene of any size: one pass, all outputs, and a run that goes on after a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from swath import __version__
from swath.errors import ConfigError, DataError, ReadError
from swath.geo.cog import describe_bands, write_cog
from swath.geo.grids import shape_of
from swath.geo.stac import write_item
from swath.scene.distributed import compute_on
from swath.scene.plan import Blend, Plan, fingerprint
from swath.scene.precision import Agreement, choose_precision
from swath.scene.store import Store
from swath.scene.stream import Model, finished_rows

if TYPE_CHECKING:
    from swath.data.scenes import Scene
    from swath.scene.outputs import RasterOutput


@dataclass
class Report:
    """What a run over a scene did.

    Attributes:
        paths: Rasters that were written.
        tiles: Tiles of the plan.
        resumed: Rows that lay there from an earlier run.
        skipped: Tiles that could not be read, with the reason.
        agreement: How far reduced precision agreed with fp32, where that was asked.
    """

    paths: list[Path] = field(default_factory=list)
    tiles: int = 0
    resumed: int = 0
    skipped: list[str] = field(default_factory=list)
    agreement: Agreement | None = None


def apply(
    model: Model,
    scene: Scene,
    outputs: Sequence[RasterOutput],
    *,
    tile: int = 256,
    overlap: float = 0.25,
    batch: int = 2,
    blend: Blend = "cosine",
    even: bool = False,
    precision: Literal["fp32", "auto", "bf16"] = "fp32",
    device: str = "cpu",
    threads: int = 2,
    on_error: Literal["raise", "skip"] = "raise",
    engine: Literal["threads", "dask"] = "threads",
    scheduler: str | None = None,
    progress: bool = True,
    provenance: Mapping[str, Any] | None = None,
) -> Report:
    """Apply a model to a scene and write outputs.

    What is finished stands in the folder `.OUTPUT.partial` until all is; the same call after a kill goes on from there
    and gives the same files. While it runs, the process's cache of decoded blocks holds only what the next tiles need.

    Args:
        model: A batch of physical values (`docs/design.md`, contract 3) to scores `[B, K, height, width]`.
        scene: The scene; its labels are not read.
        outputs: What to write.
        tile: Edge of a tile in pixels.
        overlap: Share of a tile that neighbours have in common, 0 to below 1.
        batch: Tiles that run together; few are fastest on a CPU.
        blend: See `Plan`.
        even: See `Plan`.
        precision: `fp32` is exact; `bf16` is what it says; `auto` takes bf16 where the hardware has it and a sample of
            tiles agrees with fp32.
        device: Where the model stands.
        threads: Threads that read.
        on_error: Whether a block that cannot be read ends the run, or stays invalid and is listed.
        engine: `threads` of this process, or the workers of a `dask` cluster.
        scheduler: Address of the cluster's scheduler; its workers see the scene and the outputs under the same paths.
        progress: Whether to show a bar on a terminal.
        provenance: How the model came to be: `system`, `weights`, ...; goes into the STAC items.

    Raises:
        ConfigError: If an option is out of range.
        ReadError: If the scene cannot be read or changes under the run.
        DataError: If the scene has no valid pixel.
        WriteError: If an output cannot be written.
        RunError: If the cluster cannot be reached or gives up.
    """
    if not outputs or not 0 <= overlap < 1 or (engine == "dask") != (scheduler is not None):
        raise ConfigError(
            "A scene cannot be mapped so",
            got=f"{len(outputs)} outputs, overlap {overlap}, engine {engine}, scheduler {scheduler}",
            expected="an output, an overlap from 0 to below 1, and a scheduler for the engine dask only",
        )
    plan = Plan(shape_of(scene.grid), tile, min(round(overlap * tile), tile - 1), batch, blend, even)
    report = Report(tiles=len(plan.tiling))
    model, chosen, report.agreement = choose_precision(model, scene, plan, precision, device)
    work = {
        "outputs": [[str(o.path), list(o.band_names), str(o.dtype)] for o in outputs],
        "precision": chosen,
        "on_error": on_error,
        "provenance": dict(provenance or {}),
    }
    mark = fingerprint(plan, scene, work)
    store = Store(outputs, plan.shape, mark)
    store.begin()
    missing = store.missing()
    report.resumed = plan.shape[0] - sum(map(len, missing))
    make_rows = partial(
        finished_rows, model, scene, plan, threads=threads, device=device, precision=chosen, on_error=on_error
    )
    with _bar(progress, sum(len(plan.tiles(rows.start, rows.stop)) for rows in missing)) as advance:
        if scheduler is not None:
            compute_on(scheduler, make_rows, store, missing, advance)
        else:
            for rows in missing:
                store.fill(make_rows(first=rows.start, stop=rows.stop, advance=advance))
    if fingerprint(plan, scene, work) != mark:
        raise ReadError(
            f"Scene {scene.id} has changed while it was read", fix="Start again, and leave the data alone during a run"
        )
    any_valid, report.skipped = store.summary()
    if not any_valid:
        store.remove()
        raise DataError(
            f"Scene {scene.id} has no valid pixel",
            got=f"{len(report.skipped)} tiles that could not be read" if report.skipped else None,
            fix="Check its nodata value and its bands",
        )
    told = {
        **dict(provenance or {}),
        "inputs": scene.inputs,
        "version": __version__,
        "tile": tile, "overlap": overlap, "blend": blend, "precision": chosen,
        **({"agreement with fp32": report.agreement.to_dict()} if report.agreement else {}),
        **({"skipped": report.skipped} if report.skipped else {}),
    }  # fmt: skip
    for number, output in enumerate(outputs):
        _write(output, store.read(number), scene, told)
        report.paths.append(output.path)
    store.remove()
    return report


def _write(output: RasterOutput, rows: Iterator[np.ndarray], scene: Scene, provenance: Mapping[str, Any]) -> None:
    """Write one raster and its STAC item."""
    write_cog(
        output.path, rows, scene.grid, count=len(output.band_names), dtype=output.dtype, nodata=output.nodata,
        band_names=output.band_names, legend=output.legend, overviews=output.overviews,
        tags={"SWATH_VERSION": __version__, "SWATH_SYSTEM": str(provenance.get("system", ""))},
    )  # fmt: skip
    legend = {
        code: {"name": name, "colour": "#{:02x}{:02x}{:02x}".format(*colour)}
        for code, (name, colour) in (output.legend or {}).items()
    }
    nodata = None if np.isnan(output.nodata) else output.nodata
    write_item(
        output.path,
        grid=scene.grid,
        provenance={"system": None, "weights": None, **provenance},
        time=scene.time,
        bands=describe_bands(output.band_names, output.dtype, nodata, output.unit),
        classes=legend or None,
    )


@contextmanager
def _bar(progress: bool, tiles: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal; yields what is told of finished tiles."""
    console = Console(stderr=True)
    if not (progress and console.is_terminal):
        yield lambda _: None
        return
    columns = (TextColumn("tiles"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=tiles)
        yield lambda count: bar.advance(task, count)
