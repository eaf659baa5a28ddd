"""Splits: which scenes or pixels are for training, validation and test. Each returns a new collection and says how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from swath.data.classes import IGNORE
from swath.data.dealing import check_fractions, deal
from swath.data.labels import label_windows
from swath.data.partitions import BlockGrid, BlockPartition
from swath.data.scenes import PARTS, Collection, Scene
from swath.data.warped import on_grid
from swath.errors import ConfigError, DataError
from swath.geo.grids import window_grid
from swath.geo.windows import Window, whole

#: Shares of train, val and test where nothing else is said.
FRACTIONS = (0.6, 0.2, 0.2)
#: Windows of labels that are read to count classes, in all scenes together.
_MOST_WINDOWS = 256


def split_by_block(
    collection: Collection,
    size: float | None = None,
    buffer: float = 0.0,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
) -> Collection:
    """Divide the ground into square blocks and deal them out, so that classes are shared as evenly as blocks allow.

    Blocks are those of `swath.data.partitions`: the same ground is in the same part in every scene.

    Args:
        collection: The scenes; those without CRS are divided in pixels, each for itself.
        size: Edge of a block in metres (EPSG:6933), or in pixels where scenes have no CRS; by default a tenth of the
            longest scene.
        buffer: Pixels this near (metres on the ground, or pixels) to a block of another part belong to no part.
        fractions: Shares of train, val and test.
        seed: Of the dealing.

    Raises:
        ConfigError: If size, buffer or fractions are out of range.
        DataError: If a part stays empty, or without labels where there are labels.
    """
    if size is None:
        size = max(BlockGrid(scene.grid, 1.0).span for scene in collection) / 10
    if not size > 0 or not buffer >= 0:
        raise ConfigError(
            "Blocks cannot be made", got=f"size {size}, buffer {buffer}", expected="size > 0, buffer >= 0"
        )
    grids = [BlockGrid(scene.grid, size) for scene in collection]
    counted = _counts_by_block(collection, grids, seed)
    names = list(counted)
    for number, grid in enumerate(grids):
        _check_buffer(collection[number], grid, buffer)
    parts = deal(np.array([counted[name] for name in names]), fractions, seed, "blocks")
    tables = {zone: _table(zone, names, parts) for zone in {zone for zone, _ in names}}
    scenes = [
        replace(scene, part=BlockPartition(grid, *tables[_zone(scene, number)], buffer))
        for number, (scene, grid) in enumerate(zip(collection, grids, strict=True))
    ]
    divided = collection.with_scenes(scenes)
    found = _labels_by_part(divided, seed)
    if found is not None and (bare := [part for part, counts in found.items() if not counts.any()]):
        raise DataError(
            f"An empty split: the {' and '.join(bare)} part holds no label",
            got=f"blocks of {size:g} with a buffer of {buffer:g}; {len(names)} blocks",
            fix="Take smaller blocks or a smaller buffer, or split otherwise",
        )
    unit = "pixels" if all(scene.grid.crs is None for scene in collection) else "m"
    facts = {
        "split": f"by blocks of {size:g} {unit} with a buffer of {buffer:g} {unit}, {_shares(fractions)}, seed {seed}",
        "blocks by part": dict(zip(PARTS, np.bincount(parts, minlength=len(PARTS)).tolist(), strict=True)),
    }
    if found is not None and collection.classes is not None:
        facts["labelled pixels by part"] = {
            part: dict(zip(collection.classes.names, counts.tolist(), strict=True)) for part, counts in found.items()
        }
    return divided.with_scenes(scenes, **facts)


def split_by_group(
    collection: Collection, fractions: Sequence[float] = FRACTIONS, seed: int = 0, presence: bool = False
) -> Collection:
    """Deal out groups of scenes, so that classes are shared as evenly as groups allow.

    Args:
        collection: The scenes, each in a group.
        fractions: Shares of train, val and test.
        seed: Of the order among equals.
        presence: See `split_by_source`.

    Raises:
        ConfigError: If the fractions do not sum to 1.
        DataError: If a scene has no group, or there are fewer groups than parts.
    """
    if alone := [scene.id for scene in collection if scene.group is None]:
        raise DataError(
            f"Scenes of {collection.name} are in no group",
            got=", ".join(alone[:5]),
            fix="Give a `group:`, or split by source",
        )
    return _dealt(collection, [str(scene.group) for scene in collection], fractions, seed, "groups", presence)


def split_by_source(
    collection: Collection, fractions: Sequence[float] = FRACTIONS, seed: int = 0, presence: bool = False
) -> Collection:
    """Deal out whole scenes, so that classes are shared as evenly as scenes allow.

    Args:
        collection: The scenes.
        fractions: Shares of train, val and test.
        seed: Of the order among equals.
        presence: Whether a class counts once in each scene that has it, as in multi-label stratification, instead of
            by its pixels; the labels of all scenes are read.

    Raises:
        ConfigError: If the fractions do not sum to 1.
        DataError: If there are fewer scenes than parts.
    """
    return _dealt(collection, [scene.id for scene in collection], fractions, seed, "scenes", presence)


def split_by_time(
    collection: Collection,
    boundaries: tuple[datetime, datetime] | None = None,
    fractions: Sequence[float] = FRACTIONS,
) -> Collection:
    """Train on the past: scenes before the first boundary, validate up to the second, test from there on.

    Args:
        collection: The scenes, each with its time.
        boundaries: First times of val and of test, in UTC where they have no zone; by default those that come nearest
            to the fractions. Scenes of one time stay together.
        fractions: Shares of the scenes.

    Raises:
        ConfigError: If the boundaries are not in order, or the fractions do not sum to 1.
        DataError: If a scene has no time, or a part stays empty.
    """
    if timeless := [scene.id for scene in collection if scene.time is None]:
        raise DataError(f"Scenes of {collection.name} have no time", got=", ".join(timeless[:5]), fix="Give `time:`")
    times = [_utc(scene.time) for scene in collection if scene.time is not None]
    if boundaries is None:
        boundaries = _boundaries(times, check_fractions(fractions))
    first, second = map(_utc, boundaries)
    if not first < second:
        raise ConfigError("The boundaries of a split by time are not in order", got=f"{first}, {second}")
    parts = [PARTS[(time >= first) + (time >= second)] for time in times]
    return _whole_scenes(
        collection, parts, f"by time: val from {first:%Y-%m-%d %H:%M}, test from {second:%Y-%m-%d %H:%M}"
    )


def split_fixed(collection: Collection, parts: Mapping[str, str]) -> Collection:
    """Give scenes the parts that a publisher or user fixed, by id.

    Raises:
        DataError: If a scene has no part, a part is unknown, or an id is of no scene.
    """
    ids = [scene.id for scene in collection]
    if lost := sorted(set(parts) - set(ids)) or sorted(set(ids) - set(parts)):
        raise DataError(
            "The parts of a fixed split do not fit the scenes",
            got=", ".join(lost[:5]),
            expected="each scene in one part, and no others",
        )
    if strange := sorted(set(parts.values()) - set(PARTS)):
        raise DataError("A part of a split is unknown", got=", ".join(strange), expected=", ".join(PARTS))
    return _whole_scenes(collection, [parts[name] for name in ids], "as given", may_be_empty=True)


def _dealt(
    collection: Collection,
    groups: Sequence[str],
    fractions: Sequence[float],
    seed: int,
    what: str,
    presence: bool = False,
) -> Collection:
    """Scenes with the parts of their groups."""
    counts: dict[str, np.ndarray] = {}
    windows = _sampled_windows(collection, seed, None if presence else _MOST_WINDOWS)
    for number, (scene, group) in enumerate(zip(collection, groups, strict=True)):
        total = _zeros(collection)
        total[-1] = float(scene.grid.shape[0]) * scene.grid.shape[1]
        for window in windows[number]:
            total[:-1] += _class_counts(_labels(scene, window), len(total) - 1)
        counts[group] = counts.get(group, 0) + ((total > 0).astype(float) if presence else total)
    parts = dict(zip(counts, deal(np.array(list(counts.values())), fractions, seed, what), strict=True))
    return _whole_scenes(
        collection, [PARTS[parts[group]] for group in groups], f"by {what}, {_shares(fractions)}, seed {seed}"
    )


def _whole_scenes(collection: Collection, parts: Sequence[str], how: str, may_be_empty: bool = False) -> Collection:
    counts = {part: Counter(parts)[part] for part in PARTS}
    if not may_be_empty and not all(counts.values()):
        raise DataError(f"An empty split {how}", got=f"scenes {counts}", fix="Change the `split:` of the data")
    scenes = [replace(scene, part=part) for scene, part in zip(collection, parts, strict=True)]
    return collection.with_scenes(scenes, split=how, **{"scenes by part": counts})


def _counts_by_block(
    collection: Collection, grids: Sequence[BlockGrid], seed: int
) -> dict[tuple[int, int], np.ndarray]:
    """Pixels of each class, and at last of ground, in every block `(zone, key)` that a scene touches."""
    counted: dict[tuple[int, int], np.ndarray] = {}
    windows = _sampled_windows(collection, seed)
    for number, (scene, grid) in enumerate(zip(collection, grids, strict=True)):
        zone = _zone(scene, number)

        def add(window: Window, numbers: np.ndarray, width: int, zone: int = zone, grid: BlockGrid = grid) -> None:
            down, across = grid.blocks(window)
            keys = grid.keys(np.floor(down), np.floor(across))
            found, which = np.unique(keys, return_inverse=True)
            which = which.reshape(keys.shape)[numbers != IGNORE]
            table = np.bincount(which * width + numbers[numbers != IGNORE], minlength=len(found) * width)
            for key, row in zip(found.tolist(), table.reshape(-1, width), strict=True):
                total = counted.setdefault((zone, key), _zeros(collection))
                if width == 1:
                    total[-1] += row[0]
                else:
                    total[:-1] += row

        for row in range(0, scene.grid.shape[0], 512):
            for col in range(0, scene.grid.shape[1], 512):
                window = Window(row, col, 512, 512).intersect(whole(scene.grid.shape))
                add(window, np.zeros(window.shape, np.int64), 1)
        for window in windows[number]:
            labels = _labels(scene, window).astype(np.int64)
            classes = max(2, len(_zeros(collection)) - 1)
            if (labels != IGNORE).any():
                add(window, labels, classes)
    return counted


def _labels_by_part(collection: Collection, seed: int) -> dict[str, np.ndarray] | None:
    """Labelled pixels of each class in each part, in the windows that are sampled; None where there are no labels."""
    if collection.classes is None or all(scene.labels is None for scene in collection):
        return None
    classes = len(collection.classes)
    found = {part: np.zeros(classes, np.int64) for part in PARTS}
    for scene, windows in zip(collection, _sampled_windows(collection, seed), strict=True):
        for window in windows:
            labels = _labels(scene, window)
            if (labels == IGNORE).all():
                continue
            for part, counts in found.items():
                counts += _class_counts(np.where(scene.part_mask(window, part), labels, IGNORE), classes)
    return found


def _sampled_windows(collection: Collection, seed: int, most: int | None = _MOST_WINDOWS) -> list[list[Window]]:
    """For each scene, windows in which labels are counted; a random choice where they are more than `most`."""
    every = [
        (number, window)
        for number, scene in enumerate(collection)
        if scene.labels is not None and collection.classes is not None
        for window in label_windows(scene.labels, scene.grid)
    ]
    if most is not None and len(every) > most:
        chosen = np.sort(np.random.default_rng(seed).choice(len(every), most, replace=False))
        every = [every[place] for place in chosen]
    windows: list[list[Window]] = [[] for _ in collection]
    for number, window in every:
        windows[number].append(window)
    return windows


def _labels(scene: Scene, window: Window) -> np.ndarray:
    """Labels where all layers are valid: a polygon beyond the edge of an image trains nothing."""
    if scene.labels is None:
        return np.full(window.shape, IGNORE, np.int16)
    labels = scene.labels.read(window_grid(scene.grid, window))
    if (labels != IGNORE).any():
        for source in scene.layers.values():
            labels[~on_grid(source, scene.grid).read(window)[1]] = IGNORE
    return labels


def _class_counts(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(labels[labels != IGNORE], minlength=classes)[:classes]


def _zeros(collection: Collection) -> np.ndarray:
    """Amounts to deal: pixels of each class, and pixels of ground."""
    return np.zeros((0 if collection.classes is None else len(collection.classes)) + 1)


def _zone(scene: Scene, number: int) -> int:
    """Scenes with a CRS share their blocks; each picture has its own."""
    return 0 if scene.grid.crs is not None else number + 1


def _table(zone: int, names: Sequence[tuple[int, int]], parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mine = np.array([z == zone for z, _ in names])
    keys = np.array([key for _, key in names], np.int64)[mine]
    order = np.argsort(keys)
    return keys[order], parts[mine][order]


def _check_buffer(scene: Scene, grid: BlockGrid, buffer: float) -> None:
    """Refuse a buffer that leaves nothing of a block."""
    middle = Window(scene.grid.shape[0] // 2, scene.grid.shape[1] // 2, 1, 1)
    height, width = (float(side[0, 0]) for side in grid.ground(grid.blocks(middle)[0]))
    if buffer and 2 * buffer >= min(height, width):
        raise DataError(
            "An empty split: the buffer leaves nothing of a block",
            got=f"buffer {buffer:g}; blocks of {height:.0f} x {width:.0f} on the ground at scene {scene.id}",
            expected="a buffer of less than half a block",
        )


def _boundaries(times: Sequence[datetime], shares: np.ndarray) -> tuple[datetime, datetime]:
    """The times that part the sorted scenes nearest to the shares, with at least one time in each part."""
    distinct = sorted(set(times))
    if len(distinct) < len(PARTS):
        raise DataError(
            "An empty split: there are fewer times than parts", got=len(distinct), expected=f"at least {len(PARTS)}"
        )
    before = np.array([sum(time < start for time in times) for start in distinct]) / len(times)
    first = 1 + int(np.abs(before[1:-1] - shares[0]).argmin())
    second = first + 1 + int(np.abs(before[first + 1 :] - shares[:2].sum()).argmin())
    return distinct[first], distinct[second]


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _shares(fractions: Sequence[float]) -> str:
    return " : ".join(f"{100 * share:g} %" for share in fractions)
