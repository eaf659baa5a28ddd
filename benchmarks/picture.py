"""The picture: patches a second, and seconds of a scene."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.measure import Spread, Trials
from benchmarks.results import Works

_COLOURS = {"swath": "#1b7f5c", "bare": "#444444", "npy": "#444444", "copying": "#444444"}


def draw(results: Mapping[str, Works], path: Path) -> None:
    """One panel a work: a bar for each contestant, a line from the least to the largest; grey are limits.

    Args:
        results: Trials by part, work and contestant.
        path: The PNG.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    panels = [
        (part, work, {name: t for name, t in trials.items() if t.runs})
        for part in ("sampling", "scenes", "tiles")
        for work, trials in results.get(part, {}).items()
    ]
    if not panels:
        return
    heights = [len(trials) + 1.5 for _, _, trials in panels]
    figure, axes = plt.subplots(
        len(panels), 1, figsize=(8, 0.24 * sum(heights)), squeeze=False, height_ratios=heights, layout="constrained"
    )
    for axis, (part, work, trials) in zip(axes[:, 0], panels, strict=True):
        spreads = {name: _spread(part, t) for name, t in trials.items()}
        for place, (name, spread) in enumerate(spreads.items()):
            colour = next((c for begins, c in _COLOURS.items() if name.startswith(begins)), "#c2803d")
            axis.barh(place, spread.median, color=colour, height=0.7)
            axis.plot([spread.least, spread.largest], [place, place], color="black", linewidth=1)
        axis.set_yticks(range(len(spreads)), list(spreads), fontsize=7)
        axis.invert_yaxis()
        axis.tick_params(axis="x", labelsize=7)
        better = "patches/s, more is better" if part == "sampling" else "seconds, less is better"
        axis.set_title(f"{part}: {work} ({better})", fontsize=8, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _spread(part: str, trials: Trials) -> Spread:
    if part == "sampling":
        return Spread.of([1 / seconds for seconds in trials.seconds()])
    return Spread.of([run.seconds for run in trials.runs])
