"""Reports: one self-contained HTML page that shows a map, what it is worth, and what the leak check found."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox

from swath import __version__
from swath.data.classes import Classes
from swath.files import write_text
from swath.geo.areas import cell_areas
from swath.geo.windows import Window
from swath.metrics.area import adjusted_areas
from swath.metrics.confusion import per_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from swath.tasks.scores import Scores

#: Longest edge of a picture in the page, in pixels; larger maps are read from their overviews.
_PICTURE = 1200

_STYLE = """
:root { color-scheme: light dark; --line: #8885; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; } tr.system td { font-weight: 600; }
img { max-width: 100%; height: auto; }
.side { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); }
.legend { columns: 3; list-style: none; padding: 0; }
.swatch { display: inline-block; width: 1em; height: 1em; margin-right: .5em; vertical-align: -.1em; }
pre { overflow-x: auto; background: #8881; padding: .8rem; } footer { margin-top: 3rem; opacity: .7; }
"""


def write_report(
    path: Path,
    *,
    title: str,
    scores: Scores,
    classes: Classes,
    map_path: Path,
    image: np.ndarray | None = None,
    areas: Sequence[Mapping[str, Any]] = (),
    leaks: str = "",
    history: Path | None = None,
    notes: Iterable[str] = (),
) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        title: What was mapped.
        scores: The system's scores beside its baselines', with the confusion matrix in `details`.
        classes: Legend.
        map_path: Class map that `predict` wrote.
        image: Picture of the scene `[height, width, 3]`, 0..255, to stand beside the map.
        areas: One row a class: `class`, `mapped`, `estimate`, `low`, `high`, in hectares.
        leaks: What the leak check said.
        history: `metrics.csv` of the run.
        notes: What a reader must know of these numbers.
    """
    sections = [
        ("Map", _pictures(map_path, classes, image)),
        ("Scores beside naive baselines", _score_table(scores)),
        ("Per class", _class_table(scores, classes)),
        ("Confusion matrix", _picture(_confusion_figure(scores, classes), "Confusion matrix, rows are the truth")),
        ("Areas", _area_table(areas)),
        ("Leak check", f"<pre>{html.escape(leaks)}</pre>" if leaks else ""),
        ("Training", _history(history) if history else ""),
        ("How to read this", "".join(f"<p>{html.escape(note)}</p>" for note in notes)),
    ]
    body = "".join(f"<h2>{html.escape(name)}</h2>{content}" for name, content in sections if content)
    write_text(
        path,
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{html.escape(title)}</h1>{body}<footer>Swath {__version__}</footer></body></html>",
    )


def mapped_areas(map_path: Path, scores: Scores, classes: Classes) -> list[dict[str, Any]]:
    """Hectares of each class on a map, as mapped and as adjusted by the confusion matrix of `scores`, with interval.

    A map without CRS has no areas.
    """
    with rasterio.open(map_path) as raster:
        if raster.crs is None:
            return []
        grid = GeoBox(raster.shape, raster.transform, raster.crs)
        mapped = np.zeros(len(classes))
        for _, window in raster.block_windows(1):
            codes = raster.read(1, window=window)
            cells = cell_areas(grid, Window(window.row_off, window.col_off, window.height, window.width))
            mapped += [np.sum(cells, where=codes == code) / 1e4 for code in classes.codes]
    estimate, margin = adjusted_areas(np.array(scores.details["confusion"]), mapped)
    return [
        {"class": name, "mapped": m, "estimate": e, "low": max(e - d, 0.0), "high": e + d}
        for name, m, e, d in zip(classes.names, mapped, estimate, margin, strict=True)
    ]


def _pictures(map_path: Path, classes: Classes, image: np.ndarray | None) -> str:
    with rasterio.open(map_path) as raster:
        shrink = max(1.0, max(raster.shape) / _PICTURE)
        codes = raster.read(1, out_shape=tuple(max(1, round(n / shrink)) for n in raster.shape))
        caption = f"{raster.width} x {raster.height} pixels, {raster.crs or 'no CRS'}"
    picture = np.full((*codes.shape, 3), 255, np.uint8)
    for code, colour in zip(classes.codes, classes.colours, strict=True):
        picture[codes == code] = colour
    shown = [_png(picture, f"Class map, {caption}")]
    if image is not None:
        shown.insert(0, _png(image, "The scene"))
    legend = "".join(
        f'<li><span class="swatch" style="background:rgb{colour}"></span>{html.escape(name)}</li>'
        for name, colour in zip(classes.names, classes.colours, strict=True)
    )
    return f'<div class="side">{"".join(shown)}</div><ul class="legend">{legend}</ul><p>{caption}</p>'


def _score_table(scores: Scores) -> str:
    metrics = list(scores.system)
    rows = [[name, *(str(values[m]) for m in metrics)] for name, values in scores.baselines.items()]
    facts = "; ".join(f"{name}: {value}" for name, value in scores.facts.items())
    table = _table(["", *metrics], [["Swath", *(str(scores.system[m]) for m in metrics)], *rows], first="system")
    return f"{table}<p>Part: {html.escape(scores.part)}; {html.escape(facts)}</p>"


def _class_table(scores: Scores, classes: Classes) -> str:
    matrix = np.array(scores.details["confusion"])
    columns = per_class(matrix)
    rows = [
        [
            name,
            *(f"{values[i]:.3f}" if np.isfinite(values[i]) else "–" for values in columns.values()),
            int(matrix[i].sum()),
        ]
        for i, name in enumerate(classes.names)
    ]
    return _table(["class", *columns, "pixels of truth"], rows)


def _area_table(areas: Sequence[Mapping[str, Any]]) -> str:
    if not areas:
        return ""
    rows = [
        [row["class"], f"{row['mapped']:,.0f}", f"{row['estimate']:,.0f}", f"{row['low']:,.0f} – {row['high']:,.0f}"]
        for row in areas
    ]
    return _table(["class", "mapped, ha", "adjusted for map errors, ha", "95 % interval"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[object]], first: str = "") -> str:
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in header)
    body = "".join(
        f"<tr{f' class={first}' if first and i == 0 else ''}>"
        + "".join(f"<td>{html.escape(str(v))}</td>" for v in row)
        + "</tr>"
        for i, row in enumerate(rows)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _confusion_figure(scores: Scores, classes: Classes) -> Figure:
    from matplotlib.figure import Figure

    matrix = np.array(scores.details["confusion"], float)
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(1.8 + 0.7 * len(classes), 1.6 + 0.6 * len(classes)), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes.names, rotation=35, ha="right")
    axes.set_yticks(range(len(classes)), classes.names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    for row, col in np.ndindex(matrix.shape):
        axes.text(
            col,
            row,
            f"{matrix[row, col]:.0f}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if share[row, col] > 0.5 else "black",
        )
    return figure


def _history(path: Path) -> str:
    import pandas as pd
    from matplotlib.figure import Figure

    table = pd.read_csv(path)
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.add_subplot()
    for name in table.columns.drop("epoch"):
        axes.plot(table["epoch"] + 1, table[name], label=name.replace("_", " "))
    axes.set_xlabel("epoch")
    axes.legend(fontsize=8, ncols=2)
    return _picture(figure, "Loss and validation scores by epoch")


def _picture(figure: Figure, caption: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return _embedded(buffer.getvalue(), caption)


def _png(pixels: np.ndarray, caption: str) -> str:
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png")
    return _embedded(buffer.getvalue(), caption)


def _embedded(png: bytes, caption: str) -> str:
    data = base64.b64encode(png).decode("ascii")
    return f'<img alt="{html.escape(caption)}" src="data:image/png;base64,{data}">'
