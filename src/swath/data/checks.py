"""Checks of a user's data when they are opened: a few windows of each scene, and all that is wrong in one error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from swath.data.classes import IGNORE
from swath.data.labels import label_windows
from swath.data.scenes import Collection, Labels, Scene
from swath.data.vectorlabels import VectorLabels
from swath.data.warped import on_grid
from swath.errors import DataError, SwathError
from swath.geo.grids import window_grid
from swath.geo.windows import Window, whole
from swath.sensors.bands import Bands
from swath.sensors.catalogue import check_range

#: Edge of the windows that are read, how many of them in a scene, and in how many scenes at most.
_EDGE, _WINDOWS, _SCENES = 256, 4, 200
#: Percentiles of the values whose range must suit the unit.
_RANGE = (1, 99)
#: Problems that one error names.
_NAMED = 6


def check_collection(collection: Collection, seed: int = 0) -> Collection:
    """Look at a few windows of each scene.

    A scene must hold a valid pixel, in all layers at one place; its values must be such as their unit allows; its
    labels must be classes. Scenes without any label in a labelled collection are allowed, but not only such.

    Args:
        collection: The scenes; of many, a random choice is checked.
        seed: Of the choice.

    Returns:
        The collection, with facts on what was checked and which scenes have no labels.

    Raises:
        SwathError: Of the kind of what is wrong; a `DataError` that lists the problems where there are several.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(collection))[:_SCENES])
    problems: list[SwathError] = []
    unlabelled: list[str] = []
    for number in chosen:
        scene = collection[int(number)]
        try:
            _check_pixels(scene, rng)
            _check_series(scene, rng)
            if scene.labels is not None and not _has_label(scene.labels, scene, rng):
                unlabelled.append(scene.id)
        except SwathError as error:
            problems.append(error)
    labelled = [collection[int(n)].id for n in chosen if collection[int(n)].labels is not None]
    if labelled and not problems and len(unlabelled) == len(labelled):
        names = sorted({scene.labels.name for scene in collection if scene.labels is not None})
        problems.append(
            DataError(
                "Labels and images do not overlap",
                got=f"no label of {', '.join(names[:3])} in any of {len(labelled)} scenes",
                fix="Check the CRS of both (`crs:`), and that the files belong together",
            )
        )
    if problems:
        raise combined(problems, collection.name)
    facts: dict[str, object] = {"checked": f"{len(chosen)} of {len(collection)} scenes, a few windows of each"}
    if unlabelled:
        facts["scenes without labels"] = unlabelled
    return collection.with_scenes(collection.scenes, **facts)


def combined(problems: Sequence[SwathError], name: str) -> SwathError:
    """One error of several; those that say the same count once."""
    problems = list({str(problem): problem for problem in problems}.values())
    if len(problems) == 1:
        return problems[0]
    lines = ["\n  - " + str(problem).rstrip(".") for problem in problems[:_NAMED]]
    more = f"\n  - and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
    return DataError(f"{name} has {len(problems)} problems:" + "".join(lines) + more)


def _check_pixels(scene: Scene, rng: np.random.Generator) -> None:
    if not scene.layers:
        return
    sources = {name: on_grid(source, scene.grid) for name, source in scene.layers.items()}
    found: dict[str, list[np.ndarray]] = {name: [] for name in sources}
    together = False
    for number, window in enumerate(_windows(scene, rng)):
        if together and number >= _WINDOWS:
            break
        meet = np.ones(window.shape, bool)
        for name, source in sources.items():
            stored, valid = source.read(window)
            meet &= valid
            found[name].append(source.bands.decode(stored[:, valid]))
        together |= bool(meet.any())
    for name, source in sources.items():
        values = np.concatenate(found[name], axis=1)
        if not values.shape[1]:
            raise DataError(
                f"Scene {scene.id} holds no valid pixel" + (f" in layer {name}" if len(sources) > 1 else ""),
                got=f"only nodata, NaN or infinite values in {source.name}",
                fix="Check `nodata:`"
                + (", that the layers overlap" if len(sources) > 1 else "")
                + ", or `leave_out:` it",
            )
        _check_values(values, source.bands, source.name)
    if not together:
        raise DataError(f"The layers of scene {scene.id} are nowhere valid together", got=", ".join(sources))


def _check_series(scene: Scene, rng: np.random.Generator) -> None:
    """Whether some date shows something around the middle of a scene, or at one of a few other places."""
    for name, series in scene.series.items():
        found = [np.empty((len(series.bands), 0), np.float32)]
        for number, window in enumerate(_windows(scene, rng)):
            if number >= _WINDOWS or any(values.size for values in found):
                break
            values, valid = series.read(window_grid(scene.grid, window))
            found.append(np.moveaxis(values, 1, 0)[:, valid])
        values = np.concatenate(found, axis=1)
        if not values.shape[1]:
            raise DataError(
                f"Scene {scene.id} holds no valid pixel in series {name}",
                got=f"only nodata, or other ground, at {len(series)} dates",
                fix="Check `nodata:`, and that series and layers overlap",
            )
        _check_values(values, series.bands, f"series {name} of scene {scene.id}")


def _check_values(values: np.ndarray, bands: Bands, name: str) -> None:
    for band, low, high in zip(bands, *np.percentile(values, _RANGE, axis=1), strict=True):
        check_range(float(low), float(high), band, name)


def _has_label(labels: Labels, scene: Scene, rng: np.random.Generator) -> bool:
    """Whether a scene has a label; reads on until one is found."""
    if isinstance(labels, VectorLabels) and not len(labels.near(scene.grid)):
        return False  # a background is no sign that labels and image belong together
    windows = list(label_windows(labels, scene.grid))
    found = False
    for number, place in enumerate(rng.permutation(len(windows))):
        if found and number >= _WINDOWS:
            break
        found |= bool((labels.read(window_grid(scene.grid, windows[place])) != IGNORE).any())
    return found


def _windows(scene: Scene, rng: np.random.Generator) -> Iterator[Window]:
    """All windows of a scene, the middle one first, then at random."""
    limits = whole(scene.grid.shape)
    middle = Window(max(0, limits.height // 2 - _EDGE // 2), max(0, limits.width // 2 - _EDGE // 2), _EDGE, _EDGE)
    yield middle.intersect(limits)
    across, down = -(-limits.width // _EDGE), -(-limits.height // _EDGE)
    for place in rng.permutation(across * down):
        row, col = divmod(int(place), across)
        yield Window(row * _EDGE, col * _EDGE, _EDGE, _EDGE).intersect(limits)
