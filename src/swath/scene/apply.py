"""Applying a model to a scene of any size: one pass, all outputs, and a run that goes on after a kill.

Finished rows are kept in chunks of `BLOCK` rows in a folder beside the first output; a chunk is whole or absent. When
all are there, they become Cloud-Optimised GeoTIFFs under their final names, and the folder goes away.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import imagecodecs
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from swath import __version__
from swath.errors import DataError, WriteError
from swath.files import write_bytes, write_text
from swath.geo.cog import BLOCK, describe_bands, write_cog
from swath.geo.grids import shape_of
from swath.geo.stac import write_item
from swath.scene.plan import Blend, Plan, fingerprint
from swath.scene.precision import Agreement, choose_precision
from swath.scene.stream import Model, Rows, finished_rows

if TYPE_CHECKING:
    from swath.data.loader import Skipped
    from swath.data.scenes import Scene
    from swath.scene.outputs import RasterOutput


@dataclass
class Report:
    """What a run over a scene did.

    Attributes:
        paths: Rasters that were written.
        tiles: Tiles of the plan.
        resumed: First row that was computed; rows above it lay there from an earlier run.
        skipped: Patches that could not be read.
        agreement: How far reduced precision agreed with fp32, where that was asked.
    """

    paths: list[Path] = field(default_factory=list)
    tiles: int = 0
    resumed: int = 0
    skipped: list[Skipped] = field(default_factory=list)
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
    precision: Literal["fp32", "auto", "bf16"] = "fp32",
    device: str = "cpu",
    threads: int = 2,
    on_error: Literal["raise", "skip"] = "raise",
    progress: bool = True,
    provenance: Mapping[str, Any] | None = None,
) -> Report:
    """Apply a model to a scene and write outputs.

    Args:
        model: A batch of physical values (`docs/design.md`, contract 3) to scores `[B, K, height, width]`.
        scene: The scene; its labels are not read.
        outputs: What to write.
        tile: Edge of a tile in pixels.
        overlap: Share of a tile that neighbours have in common, 0 to below 1.
        batch: Tiles that run together; few are fastest on a CPU.
        blend: See `Plan`.
        precision: `fp32` is exact; `bf16` is what it says; `auto` takes bf16 where the hardware has it and a sample of
            tiles agrees with fp32.
        device: Where the model stands.
        threads: Threads that read.
        on_error: Whether a block that cannot be read ends the run, or stays invalid and is listed.
        progress: Whether to show a bar on a terminal.
        provenance: How the model came to be: `system`, `weights`, ...; goes into the STAC items.

    Raises:
        ReadError: If the scene cannot be read or changes under the run.
        DataError: If the scene has no valid pixel.
        WriteError: If an output cannot be written.
    """
    plan = Plan(shape_of(scene.grid), tile, min(round(overlap * tile), tile - 1), batch, blend)
    report = Report(tiles=len(plan.tiling))
    chosen, report.agreement = choose_precision(model, scene, plan, precision, device)
    work = {
        "outputs": [[str(o.path), list(o.band_names), str(o.dtype)] for o in outputs],
        "precision": chosen,
        "provenance": dict(provenance or {}),
    }
    store = _Chunks(outputs, fingerprint(plan, scene, work))
    report.resumed = store.begin(plan.shape[0])
    with ThreadPoolExecutor(1, "swath-write") as writer, _bar(progress, report.tiles, plan, report.resumed) as advance:
        if report.resumed < plan.shape[0]:
            rows = finished_rows(
                model, scene, plan, first=report.resumed, threads=threads, device=device, precision=chosen,
                on_error=on_error, skipped=report.skipped, advance=advance,
            )  # fmt: skip
            pending: Future[None] | None = None
            for block in _in_blocks(rows, plan.shape[0]):
                if pending is not None:
                    pending.result()
                pending = writer.submit(store.add, block)
            if pending is not None:
                pending.result()
    if not store.any_valid:
        store.remove()
        raise DataError(f"Scene {scene.id} has no valid pixel", fix="Check its nodata value and its bands")
    told = {
        **dict(provenance or {}),
        "inputs": {name: source.name for name, source in scene.layers.items()},
        "version": __version__,
        "tile": tile, "overlap": overlap, "blend": blend, "precision": chosen,
        **({"agreement with fp32": report.agreement.to_dict()} if report.agreement else {}),
        **({"skipped": [f"{s.scene} {s.window}: {s.reason}" for s in report.skipped]} if report.skipped else {}),
    }  # fmt: skip
    for number, output in enumerate(outputs):
        write_cog(
            output.path, store.rows(number, plan.shape), scene.grid, count=len(output.band_names), dtype=output.dtype,
            nodata=output.nodata, band_names=output.band_names, legend=output.legend, overviews=output.overviews,
            tags={"SWATH_VERSION": __version__, "SWATH_SYSTEM": str(told.get("system", ""))},
        )  # fmt: skip
        legend = {
            code: {"name": n, "colour": "#{:02x}{:02x}{:02x}".format(*c)}
            for code, (n, c) in (output.legend or {}).items()
        }
        nodata = None if np.isnan(output.nodata) else output.nodata
        write_item(
            output.path,
            grid=scene.grid,
            provenance={"system": None, "weights": None, **told},
            time=scene.time,
            bands=describe_bands(output.band_names, output.dtype, nodata, output.unit),
            classes=legend or None,
        )
        report.paths.append(output.path)
    store.remove()
    return report


def _in_blocks(rows: Iterator[Rows], height: int) -> Iterator[Rows]:
    """The same rows in blocks that begin at multiples of `BLOCK` rows."""
    held: list[Rows] = []
    for part in rows:
        rest = part
        while len(rest.valid):
            stop = min((rest.row // BLOCK + 1) * BLOCK, height) - rest.row
            held.append(Rows(rest.row, rest.scores[:, :stop], rest.valid[:stop]))
            if rest.row + len(held[-1].valid) in (height, (rest.row // BLOCK + 1) * BLOCK):
                yield _joined(held)
                held = []
            rest = Rows(rest.row + stop, rest.scores[:, stop:], rest.valid[stop:])


def _joined(parts: list[Rows]) -> Rows:
    classes = max(len(p.scores) for p in parts)  # rows without a valid pixel may not know how many
    scores = [np.broadcast_to(p.scores, (classes, *p.valid.shape)) for p in parts]
    return Rows(parts[0].row, np.concatenate(scores, 1), np.concatenate([p.valid for p in parts]))


class _Chunks:
    """Finished blocks of rows of all outputs, compressed, one file each, in a folder beside the first output."""

    def __init__(self, outputs: Sequence[RasterOutput], mark: str) -> None:
        first = outputs[0].path
        self._outputs, self._mark = outputs, mark
        self.folder = first.with_name(f".{first.name}.partial")
        self.any_valid = False

    def begin(self, height: int) -> int:
        """The first row that is not there yet; what another plan left behind is removed."""
        known = self.folder / "plan.json"
        try:
            found = json.loads(known.read_text("utf-8"))
        except (OSError, ValueError):
            found = {}
        if found.get("fingerprint") != self._mark:
            self.remove()
            write_text(known, json.dumps({"fingerprint": self._mark}))
        row = 0
        while row < height and self._path(row).is_file():
            self.any_valid |= self._path(row).read_bytes()[:1] == b"1"
            row += BLOCK
        return min(row, height)

    def add(self, block: Rows) -> None:
        """Keep one block: a byte that says whether any pixel is valid, then each output's bytes, compressed."""
        stored = [np.ascontiguousarray(o.stored(block.scores, block.valid)) for o in self._outputs]
        packed = [imagecodecs.zstd_encode(a.tobytes(), level=1) for a in stored]
        self.any_valid |= bool(block.valid.any())
        head = b"1" if block.valid.any() else b"0"
        sizes = np.array([len(p) for p in packed], np.int64).tobytes()
        write_bytes(self._path(block.row), b"".join([head, sizes, *packed]))

    def rows(self, number: int, shape: tuple[int, int]) -> Iterator[np.ndarray]:
        """Stored numbers `[bands, rows, width]` of one output, block by block."""
        output = self._outputs[number]
        for row in range(0, shape[0], BLOCK):
            data = self._path(row).read_bytes()
            sizes = np.frombuffer(data, np.int64, len(self._outputs), 1)
            start = 1 + sizes.nbytes + int(sizes[:number].sum())
            plain = imagecodecs.zstd_decode(data[start : start + int(sizes[number])])
            height = min(BLOCK, shape[0] - row)
            yield np.frombuffer(plain, output.dtype).reshape(len(output.band_names), height, shape[1])

    def remove(self) -> None:
        """Remove the folder."""
        try:
            if self.folder.exists():
                shutil.rmtree(self.folder)
        except OSError as error:
            raise WriteError(f"Cannot remove {self.folder}", got=error.strerror) from error

    def _path(self, row: int) -> Path:
        return self.folder / f"{row:08d}.rows"


@contextmanager
def _bar(progress: bool, tiles: int, plan: Plan, first: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal; yields what is told of finished tiles."""
    console = Console(stderr=True)
    if not (progress and console.is_terminal):
        yield lambda _: None
        return
    columns = (TextColumn("tiles"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        done = plan.first_tile(first) if first < plan.shape[0] else tiles
        task = bar.add_task("", total=tiles, completed=done)
        yield lambda count: bar.advance(task, count)
