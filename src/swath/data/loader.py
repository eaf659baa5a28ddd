"""Batches: patches read by threads straight into batch tensors, in an order that does not depend on the threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import Dataset

from swath.data.buffers import take
from swath.data.classes import IGNORE
from swath.data.instances import INSTANCE_KEYS, batch_arrays, no_instances, read_instances
from swath.data.samplers import Place, Places, Sampler
from swath.data.scenes import Collection
from swath.data.series_batch import SeriesReader
from swath.data.sources import Source, read_around
from swath.data.warped import on_grid
from swath.errors import ConfigError, MissingExtraError, ReadError, SwathError
from swath.geo.grids import shape_of, window_grid
from swath.geo.windows import Window, whole
from swath.sensors.bands import Bands

#: What torch collates; see contract 3 in docs/design.md.
Batch = dict[str, Any]
#: Patches of up to `_SMALL` pixels a side cut their labels from squares of `_SQUARE` pixels, of which `_KEPT` are kept
#: (64 MiB): to rasterise or warp the labels of each would take longer than all else.
_SMALL, _SQUARE, _KEPT = 64, 256, 512


@dataclass(frozen=True)
class Skipped:
    """A patch that could not be read as a whole; what is damaged stands in its batch as invalid.

    Attributes:
        scene: Id of the scene.
        window: The patch.
        reason: The error's message.
    """

    scene: str
    window: Window
    reason: str


class Batches:
    """Batches of patches, re-iterable; each iteration is one epoch.

    A batch holds `image` `[B, C, H, W]` float32 in physical units (a dict of these by layer where scenes have several
    layers or none), zero where `valid` `[B, H, W]` is False; `mask` `[B, H, W]` int64 where the collection has labels,
    with `IGNORE` where no label counts: unlabelled, invalid, or outside of the part; `scene` `[B]`, the position in the
    collection; and `window` `[B, 4]` (row, col, height, width).

    Where scenes have series, `series` holds for each by name `values` `[B, T, C, h, w]` float32 in physical units, zero
    where `valid` `[B, T, h, w]` is False, and `dates` `[B, T]` int64, days since 1970-01-01. T is that of the longest
    series of the collection; shorter ones are padded at their end with frames that are nowhere valid, of date 0. In
    scenes without layers a pixel is valid where any date shows it.

    With several ranks, each step's places are those of one process with a batch `world` times as large, sorted by
    position so that a rank reads few files. Where the last places are fewer than the ranks, the others get a patch in
    which nothing is valid.

    Batches of instances hold, instead of `mask`, what `swath.data.instances` makes of the things in each patch, a list
    with an entry a patch: `bbox_xyxy` `[n, 4]`, `instance_masks` `[n, H, W]`, `label` `[n]` (class indices) and `crowd`
    `[n]`. Pixels outside of the part are invalid there, because things on them must not be learned from.

    Args:
        collection: The scenes.
        places: A sampler, called for every epoch; or fixed places.
        part: Part of the split; None takes all pixels.
        patch: Height and width of the patches, in pixels.
        batch: Patches in a batch of this rank.
        threads: Threads that read.
        prefetch: Batches that are being read ahead.
        seed: Given to the sampler.
        rank: Number of this process, of `world`.
        world: Number of processes.
        augment: Applied to each batch, in the thread that iterates.
        on_error: Whether a patch that cannot be read ends the epoch, or is listed in `skipped` and its damaged squares
            of up to 64 pixels are invalid.
        pin: Whether tensors are in pinned memory, for transfer to a CUDA device.
        instances: Whether things are told apart.

    Attributes:
        epoch: Number of the next iteration; set it to resume.
        skipped: What was skipped so far.

    Raises:
        ConfigError: If a number is out of range.
        DataError: If scenes have different layers or bands.
    """

    def __init__(
        self,
        collection: Collection,
        places: Sampler | Places,
        *,
        part: str | None,
        patch: int,
        batch: int,
        threads: int = 2,
        prefetch: int = 4,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        augment: Callable[[Batch], Batch] | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        pin: bool = False,
        instances: bool = False,
    ) -> None:
        if min(batch, threads, prefetch, world) < 1 or not 0 <= rank < world:
            raise ConfigError(
                "Batches cannot be made",
                got=f"batch={batch}, threads={threads}, prefetch={prefetch}, rank={rank}, world={world}",
                expected="all at least 1, and a rank below world",
            )
        if on_error not in ("raise", "skip"):
            raise ConfigError("Unknown choice for errors", got=on_error, expected="raise or skip")
        self.epoch = 0
        self.skipped: list[Skipped] = []
        self._collection, self._places, self._part, self._patch = collection, places, part, patch
        self._batch, self._threads, self._prefetch, self._seed = batch, threads, prefetch, seed
        self._rank, self._world, self._augment, self._on_error, self._pin = rank, world, augment, on_error, pin
        self._reader = _Reader(collection, part, patch, instances)
        self._drawn: tuple[int, Places] | None = None

    def __len__(self) -> int:
        return -(-len(self.places()) // (self._batch * self._world))

    def places(self) -> Places:
        """The places of the coming epoch, of all ranks."""
        if isinstance(self._places, Places):
            return self._places
        if self._drawn is None or self._drawn[0] != self.epoch:
            drawn = self._places(self._collection, self._part, self._patch, seed=self._seed, epoch=self.epoch)
            self._drawn = (self.epoch, drawn)
        return self._drawn[1]

    def __iter__(self) -> Iterator[Batch]:
        places = self.places()
        self.epoch += 1
        return self._read(places)

    def _read(self, places: Places) -> Iterator[Batch]:
        pool = ThreadPoolExecutor(self._threads, "swath-read")
        ahead: deque[tuple[Batch, list[Future[Skipped | None]]]] = deque()
        try:
            for share, counts in self._shares(places):
                batch = self._reader.empty(len(share))
                ahead.append((batch, [pool.submit(self._fill, batch, i, p, counts) for i, p in enumerate(share)]))
                if len(ahead) > self._prefetch:
                    yield self._finished(*ahead.popleft())
            while ahead:
                yield self._finished(*ahead.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _shares(self, places: Places) -> Iterator[tuple[Places, bool]]:
        """For each step this rank's places, and whether they count."""
        step = self._batch * self._world
        for start in range(0, len(places), step):
            of_all = places.take(np.arange(start, min(start + step, len(places))))
            if self._world > 1:
                of_all = of_all.take(np.lexsort((of_all.cols, of_all.scenes)))
            mine = np.array_split(np.arange(len(of_all)), self._world)[self._rank]
            yield of_all.take(mine if len(mine) else np.array([0])), len(mine) > 0

    def _fill(self, batch: Batch, index: int, place: Place, counts: bool) -> Skipped | None:
        """Read one patch into its place of the batch."""
        if not counts:
            self._reader.blank(batch, index, place)
            return None
        try:
            self._reader.fill(batch, index, place)
            return None
        except ReadError as error:
            if self._on_error == "raise":
                raise
            reason = str(error)
        try:
            self._reader.fill(batch, index, place, on_error="skip")
        except ReadError:  # of labels
            self._reader.blank(batch, index, place)
        return Skipped(self._collection[place.scene].id, place.window, reason)

    def _finished(self, batch: Batch, reads: Sequence[Future[Skipped | None]]) -> Batch:
        self.skipped += [skipped for read in reads if (skipped := read.result())]
        tensors = _tensors(batch, self._pin)
        return self._augment(tensors) if self._augment else tensors


class PatchDataset(Dataset[Batch]):
    """Places as a plain torch data set, for any `DataLoader`; keys as in `Batches`, without the batch axis.

    With shuffling off, a `DataLoader` keeps the order of the places.

    Args:
        collection: The scenes.
        places: What to read.
        part: Part of the split; None takes all pixels.
    """

    def __init__(self, collection: Collection, places: Places, part: str | None = None) -> None:
        self._collection, self._places, self._part = collection, places, part
        self._reader = _Reader(collection, part, places.patch)

    def __reduce__(self) -> tuple[object, ...]:
        return PatchDataset, (self._collection, self._places, self._part)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Batch:
        batch = self._reader.empty(1)
        self._reader.fill(batch, 0, self._places[index])
        return _map(_tensors(batch, False), lambda tensor: tensor[0])


class _Reader:
    """Reads patches of a collection into arrays of batches."""

    def __init__(self, collection: Collection, part: str | None, patch: int, instances: bool = False) -> None:
        self._collection, self._part, self._patch, self._instances = collection, part, patch, instances
        self._bands = collection.bands
        self._series = SeriesReader(collection, patch)
        self._labelled = not instances and any(scene.labels is not None for scene in collection)
        self._layers = lru_cache(maxsize=None)(self._on_scene_grid)
        self._squares = lru_cache(maxsize=_KEPT)(self._label_square)

    def empty(self, size: int) -> Batch:
        """Arrays of a batch, not yet filled."""
        square = (self._patch, self._patch)
        images = {name: take((size, len(bands), *square), np.float32) for name, bands in self._bands.items()}
        batch: Batch = {
            "image": next(iter(images.values())) if len(images) == 1 else images,
            "valid": take((size, *square), bool),
            "scene": np.empty(size, np.int64),
            "window": np.empty((size, 4), np.int64),
        }
        if self._series:
            batch["series"] = self._series.empty(size)
        if self._instances:
            return batch | {key: [None] * size for key in INSTANCE_KEYS}
        return batch | ({"mask": take((size, *square), np.int64)} if self._labelled else {})

    def fill(self, batch: Batch, index: int, place: Place, on_error: Literal["raise", "skip"] = "raise") -> None:
        """Read the patch of `place` into position `index` of the arrays; `skip` leaves out what is damaged.

        Raises:
            SwathError: As sources and labels raise it, with the scene named.
        """
        scene, window = self._collection[place.scene], place.window
        valid = batch["valid"][index]
        self._say_where(batch, index, place)
        try:
            valid[:] = True
            for name, source in self._layers(place.scene).items():
                stored, inside = source.read(window) if on_error == "raise" else read_around(source, window)
                _decode(stored, source.bands, _image(batch, name)[index])
                valid &= inside
            if self._series:
                self._series.fill(batch["series"], index, place, on_error)
            if not self._bands:
                valid &= self._series.seen(batch["series"], index) & self._inside(place)
            if self._instances:
                self._tell_apart(batch, index, place)
            for name in self._bands if not valid.all() else ():
                _image(batch, name)[index][:, ~valid] = 0
            if not self._labelled:
                return
            mask = batch["mask"][index]
            mask[:] = self._labels(place.scene, window)
            mask[~valid] = IGNORE
        except MissingExtraError:
            raise
        except SwathError as error:
            problem = f"Scene {scene.id} cannot be read: {error.problem}"
            raise type(error)(problem, got=error.got, expected=error.expected, fix=error.fix) from error

    def blank(self, batch: Batch, index: int, place: Place) -> None:
        """Make position `index` of the arrays a patch in which nothing is valid."""
        self._say_where(batch, index, place)
        for name in self._bands:
            _image(batch, name)[index] = 0
        if self._series:
            self._series.blank(batch["series"], index)
        batch["valid"][index] = False
        if self._labelled:
            batch["mask"][index] = IGNORE
        if self._instances:
            for key, found in batch_arrays(no_instances(place.window.shape)):
                batch[key][index] = found

    def _tell_apart(self, batch: Batch, index: int, place: Place) -> None:
        """Put the things of a patch into the batch, and make what is outside of the part invalid."""
        scene, window = self._collection[place.scene], place.window
        if self._part is not None:
            batch["valid"][index] &= scene.part_mask(window, self._part)
        things = read_instances(scene.labels, window_grid(scene.grid, window)).cut(batch["valid"][index])
        for key, found in batch_arrays(things):
            batch[key][index] = found

    def _inside(self, place: Place) -> np.ndarray:
        """Pixels of a patch that lie in its scene."""
        inside, window = np.zeros(place.window.shape, bool), place.window
        scene = whole(shape_of(self._collection[place.scene].grid))
        inside[window.intersect(scene).relative_to(window).slices] = True
        return inside

    def _say_where(self, batch: Batch, index: int, place: Place) -> None:
        window = place.window
        batch["scene"][index] = place.scene
        batch["window"][index] = window.row, window.col, window.height, window.width

    def _labels(self, number: int, window: Window) -> np.ndarray:
        """Labels of a window that count in this part; small windows are cut from squares that are kept."""
        inside = window.intersect(whole(shape_of(self._collection[number].grid)))
        if self._patch > _SMALL or inside != window:
            return self._counting(number, window)
        labels = np.empty(window.shape, np.int16)
        for row, col in product(*(range(span.start // _SQUARE, -(-span.stop // _SQUARE)) for span in window.slices)):
            square, known = self._squares(number, row, col)
            shared = window.intersect(square)
            labels[shared.relative_to(window).slices] = known[shared.relative_to(square).slices]
        return labels

    def _label_square(self, number: int, row: int, col: int) -> tuple[Window, np.ndarray]:
        scene = whole(shape_of(self._collection[number].grid))
        square = Window(row * _SQUARE, col * _SQUARE, _SQUARE, _SQUARE).intersect(scene)
        return square, self._counting(number, square)

    def _counting(self, number: int, window: Window) -> np.ndarray:
        scene = self._collection[number]
        if scene.labels is None:
            return np.full(window.shape, IGNORE, np.int16)
        labels = scene.labels.read(window_grid(scene.grid, window))
        if self._part is not None:
            labels[~scene.part_mask(window, self._part)] = IGNORE
        return labels

    def _on_scene_grid(self, number: int) -> Mapping[str, Source]:
        scene = self._collection[number]
        return {name: on_grid(source, scene.grid) for name, source in scene.layers.items()}


def _image(batch: Batch, layer: str) -> np.ndarray:
    image = batch["image"]
    return image[layer] if isinstance(image, dict) else image


def _decode(stored: np.ndarray, bands: Bands, out: np.ndarray) -> None:
    """`bands.decode(stored)` into `out`, without an array between."""
    with np.errstate(over="ignore"):  # nodata of float64 files may lie beyond float32
        np.copyto(out, stored, casting="unsafe")
    scale = np.array([band.scale for band in bands], np.float32)
    offset = np.array([band.offset for band in bands], np.float32)
    if np.any(scale != 1):
        out *= scale[:, None, None]
    if np.any(offset != 0):
        out += offset[:, None, None]


def _tensors(batch: Batch, pin: bool) -> Batch:
    return _map(batch, lambda a: torch.from_numpy(a).pin_memory() if pin else torch.from_numpy(a))


def _map(batch: Batch, change: Callable[[Any], Any]) -> Batch:
    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return _map(value, change)
        return [change(one) for one in value] if isinstance(value, list) else change(value)

    return {key: changed(value) for key, value in batch.items()}
