"""Samplers: which patches an epoch is made of, and in which order.

A sampler is a pure function of (collection, part, patch size, seed, epoch): the order of its places does not depend on
the number of threads, workers or ranks. Options are bound with `functools.partial`.

A place is one position of a patch. Positions are drawn uniformly from those at which the patch lies inside its scene;
a scene smaller than the patch is padded, and the patch covers it at a random position. Scenes are drawn in proportion
to their area. The centre of a patch lies in the part of the split that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from swath.data.blocks import DEFAULT_BUDGET
from swath.data.scenes import Collection, Scene
from swath.errors import ConfigError, DataError
from swath.geo.windows import Window

#: Height, in pixels, that blocks of raster files commonly have.
_COMMON_BLOCK = 512
#: Draws without a single place in the part after which it is taken for empty.
_MOST_DRAWS = 20_000


@dataclass(frozen=True, slots=True)
class Place:
    """A patch of one scene.

    Attributes:
        scene: Position of the scene in its collection.
        window: The patch on the scene's grid; it may reach beyond it.
    """

    scene: int
    window: Window


@dataclass(frozen=True, eq=False)
class Places(Sequence[Place]):
    """Places in order, kept as arrays.

    Attributes:
        scenes: Position of each place's scene in the collection.
        rows: Top row of each patch.
        cols: Left column of each patch.
        patch: Height and width of the patches, in pixels.
    """

    scenes: np.ndarray
    rows: np.ndarray
    cols: np.ndarray
    patch: int

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> Place:  # type: ignore[override]
        window = Window(int(self.rows[index]), int(self.cols[index]), self.patch, self.patch)
        return Place(int(self.scenes[index]), window)

    def take(self, order: np.ndarray) -> Places:
        """The places at the positions `order`, in that order."""
        return Places(self.scenes[order], self.rows[order], self.cols[order], self.patch)


class Sampler(Protocol):
    """Makes the places of one epoch."""

    def __call__(self, collection: Collection, part: str | None, patch: int, *, seed: int, epoch: int) -> Places:
        """The places of `epoch`, in order; `part` None takes all pixels of all scenes."""
        ...


def random_places(
    collection: Collection,
    part: str | None,
    patch: int,
    *,
    seed: int,
    epoch: int = 0,
    count: int | None = None,
    balance: Callable[[Scene], Hashable] | None = None,
) -> Places:
    """Independent uniform places in fully random order.

    Args:
        collection: The scenes.
        part: Part of the split; None takes all pixels.
        patch: Height and width, in pixels.
        seed: Of the run.
        epoch: Each epoch draws anew.
        count: Number of places; by default that of a regular cover of the part.
        balance: Groups scenes by what it returns, for example `by_time("month")`; groups are drawn equally often.

    Raises:
        DataError: If the part is empty or the collection is not split.
    """
    rng = np.random.default_rng([seed, epoch])
    ground = Ground(collection, part, patch)
    if count is None:
        count = max(1, int(ground.holds(*_cover(ground, patch)).sum()))
    groups: dict[Hashable, list[int]] = {}
    for index, number in enumerate(ground.numbers):
        groups.setdefault(balance(collection[number]) if balance else None, []).append(index)
    quotas = np.full(len(groups), count // len(groups))
    quotas[rng.permutation(len(groups))[: count % len(groups)]] += 1
    drawn = [_draw(ground, np.array(g), int(q), rng) for g, q in zip(groups.values(), quotas, strict=True)]
    index, rows, cols = np.concatenate(drawn, axis=1)[:, rng.permutation(count)]
    return Places(ground.numbers[index], rows, cols, patch)


def block_places(
    collection: Collection,
    part: str | None,
    patch: int,
    *,
    seed: int,
    epoch: int = 0,
    count: int | None = None,
    balance: Callable[[Scene], Hashable] | None = None,
    lanes: int = 4,
    memory: int = DEFAULT_BUDGET,
) -> Places:
    """The places of `random_places`, in an order in which each block of a file is decoded about once.

    Scenes are cut into lanes that run from top to bottom. Some lanes are open at once, drawn at random from all
    scenes; within each, places follow one another down (or up) the lane from a random one on, around its end; which
    lane gives the next place is random. So at every step of an epoch each place is as likely as any other, successive
    patches of a lane are apart in columns, and a batch mixes all open lanes, but the blocks in use are few: those
    that the front of each open lane crosses.

    Args:
        collection: See `random_places`.
        part: See `random_places`.
        patch: See `random_places`.
        seed: See `random_places`.
        epoch: See `random_places`.
        count: See `random_places`.
        balance: See `random_places`.
        lanes: Lanes that are open at once; of small scenes, which are narrower, so many more that they are as wide.
        memory: Bytes of decoded blocks that may be in use; lanes are cut narrow enough for it.

    Raises:
        DataError: If the part is empty or the collection is not split.
        ConfigError: If no lane would be open.
    """
    if lanes < 1:
        raise ConfigError("No lane is open", got=f"lanes={lanes}", expected="1 or more")
    places = random_places(collection, part, patch, seed=seed, epoch=epoch, count=count, balance=balance)
    rng = np.random.default_rng([seed, epoch, 1])
    depth = max(scene.depth for scene in collection)
    # A front crosses a patch and a block in height; the other half is slack for blocks that are done with.
    width = max(patch, memory // (2 * lanes * depth * (patch + _COMMON_BLOCK)))
    widths = np.array([scene.grid.shape[1] for scene in collection])
    cuts = np.maximum(1, np.round(widths / width).astype(int))
    across = np.clip((places.cols + patch // 2) * cuts[places.scenes] // widths[places.scenes], 0, None)
    across = np.minimum(across, cuts[places.scenes] - 1)
    first = np.concatenate([[0], np.cumsum(cuts)])
    lane = first[places.scenes] + across
    group = _groups((widths / cuts).repeat(cuts), lanes * width, rng)
    return places.take(_interleaved(lane, group, _swept(lane, places.rows, rng), rng))


def grid_places(
    collection: Collection,
    part: str | None,
    patch: int,
    *,
    seed: int = 0,  # noqa: ARG001 - part of the contract of samplers
    epoch: int = 0,  # noqa: ARG001
    overlap: int = 0,
) -> Places:
    """A regular cover in file order, for evaluation: with no overlap each pixel of the part is in one patch.

    Patches at the right and bottom edge reach beyond the scene. A patch is taken if any of its pixels is in the part;
    batches ignore the others.

    Args:
        collection: The scenes.
        part: Part of the split; None takes all pixels.
        patch: Height and width, in pixels.
        seed: Not used.
        epoch: Not used.
        overlap: Pixels that neighbours share.

    Raises:
        DataError: If the part is empty or the collection is not split.
        ConfigError: If the overlap is not smaller than the patch.
    """
    ground = Ground(collection, part, patch)
    if not 0 <= overlap < patch:
        raise ConfigError("The overlap does not fit the patch", got=f"{overlap} pixels", expected=f"0 to {patch - 1}")
    index, rows, cols = _cover(ground, patch - overlap)
    if ground.divided.any():
        kept = [
            not ground.divided[i] or ground.scene(i).part_mask(Window(int(r), int(c), patch, patch), str(part)).any()
            for i, r, c in zip(index, rows, cols, strict=True)
        ]
        index, rows, cols = index[kept], rows[kept], cols[kept]
    if not len(index):
        raise ground.empty()
    return Places(ground.numbers[index], rows, cols, patch)


def by_time(period: Literal["day", "month", "year"]) -> Callable[[Scene], str]:
    """For `balance=`: draws each date, month or year equally often, however many scenes it has.

    Raises:
        DataError: When applied to a scene without a time.
    """
    form = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}[period]

    def key(scene: Scene) -> str:
        if scene.time is None:
            raise DataError(f"Scene {scene.id} has no time", fix="Give it with `time:`, or do not balance by time")
        return scene.time.strftime(form)

    return key


class Ground:
    """The scenes in which a part occurs.

    Args:
        collection: The scenes.
        part: Part of the split; None takes all pixels.
        patch: Height and width of patches, in pixels.

    Attributes:
        patch: As given.
        numbers: Their positions in the collection.
        sizes: `(height, width)` of each.
        divided: Whether the scene is divided, so that pixels have to be asked for.
    """

    def __init__(self, collection: Collection, part: str | None, patch: int) -> None:
        if patch < 1:
            raise ConfigError("A patch has no pixels", got=f"{patch} pixels", expected="1 or more")
        self._collection, self._part, self.patch = collection, part, patch
        self.numbers = np.array([n for n, s in enumerate(collection) if self._occurs(s)], np.int64)
        if not len(self.numbers):
            raise _empty(collection, part)
        self.sizes = np.array([self.scene(i).grid.shape for i in range(len(self.numbers))], np.int64)
        self.divided = np.array(
            [part is not None and not isinstance(self.scene(i).part, str) for i in range(len(self.numbers))]
        )

    def scene(self, index: int) -> Scene:
        """The scene at a position in `numbers`."""
        return self._collection[int(self.numbers[index])]

    def _occurs(self, scene: Scene) -> bool:
        if self._part is None:
            return True
        if isinstance(scene.part, str):
            return scene.part == self._part
        # An undecided scene raises here.
        return scene.part_mask(Window(0, 0, 1, 1), self._part) is not None

    def holds(self, index: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        """Whether the centre of each patch is in the part."""
        kept = ~self.divided[index]
        centres = np.stack([rows, cols], 1) + self.patch // 2
        centres = np.clip(centres, 0, self.sizes[index] - 1)
        for n in np.flatnonzero(~kept):
            pixel = Window(int(centres[n, 0]), int(centres[n, 1]), 1, 1)
            kept[n] = self.scene(index[n]).part_mask(pixel, str(self._part))[0, 0]
        return kept

    def empty(self) -> DataError:
        """The error that the part holds no place."""
        return _empty(self._collection, self._part)


def _empty(collection: Collection, part: str | None) -> DataError:
    return DataError(
        f"{collection.name} has no place for a patch in its '{part}' part", fix="Change the `split:` of the data"
    )


def _draw(ground: Ground, members: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`[3, count]`: index in `ground`, row and column of uniform places in the scenes `members`."""
    room = ground.sizes - ground.patch
    low, high = np.minimum(room, 0), np.maximum(room, 0)
    area = ground.sizes[members].prod(1).astype(float)
    found, have, drawn = [np.empty((3, 0), np.int64)], 0, 0
    while have < count:
        size = max(64, count - have)
        index = rng.choice(members, size, p=area / area.sum())
        rows, cols = rng.integers(low[index], high[index] + 1).T
        kept = ground.holds(index, rows, cols)
        found.append(np.stack([index, rows, cols])[:, kept])
        have, drawn = have + int(kept.sum()), drawn + size
        if have == 0 and drawn > _MOST_DRAWS:
            raise ground.empty()
    return np.concatenate(found, axis=1)[:, :count]


def _cover(ground: Ground, step: int) -> np.ndarray:
    """`[3, count]`: index in `ground`, row and column of a regular cover of its scenes."""
    covers = []
    for index, (height, width) in enumerate(ground.sizes):
        rows, cols = np.meshgrid(np.arange(0, height, step), np.arange(0, width, step), indexing="ij")
        covers.append(np.stack([np.full(rows.size, index), rows.ravel(), cols.ravel()]))
    return np.concatenate(covers, axis=1)


def _groups(widths: np.ndarray, open_width: int, rng: np.random.Generator) -> np.ndarray:
    """The group of each lane: lanes in random order, opened together until they are `open_width` wide."""
    order = rng.permutation(len(widths))
    ends = np.cumsum(widths[order])
    count = max(1, round(ends[-1] / open_width))
    group = np.empty(len(widths), np.int64)
    group[order] = np.minimum((ends - widths[order] / 2) * count // ends[-1], count - 1)
    return group


def _swept(lane: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Positions of places sorted by lane, within a lane down or up from a random place on, around its end."""
    count = int(lane.max(initial=0)) + 1
    direction = rng.choice([-1, 1], count)
    swept = np.lexsort((rng.random(len(lane)), rows * direction[lane], lane))
    sizes = np.bincount(lane, minlength=count)
    starts = np.cumsum(sizes) - sizes
    turn = rng.integers(0, np.maximum(sizes, 1))
    here = lane[swept]
    return swept[starts[here] + (np.arange(len(lane)) - starts[here] + turn[here]) % sizes[here]]


def _interleaved(lane: np.ndarray, group: np.ndarray, swept: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Order of places in which the lanes of a group take random turns, each giving its places in swept order."""
    turns = lane[np.lexsort((rng.random(len(lane)), group[lane]))]
    order = np.empty(len(lane), np.int64)
    order[np.argsort(turns, kind="stable")] = swept
    return order
