"""A cache of decoded blocks that all sources and threads share: one decode a block, within a budget of bytes."""

from __future__ import annotations

import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future

import numpy as np

from swath.errors import ConfigError

#: Bytes that the default cache may hold.
DEFAULT_BUDGET = 256 * 2**20


class BlockCache:
    """Decoded blocks by key, least recently used first out, thread-safe.

    Threads that ask for a block which another thread is decoding wait for that one decode. A block larger than the
    whole budget is handed out but not kept; a warning says so once, because every read of it then decodes again.

    Args:
        budget: Bytes of decoded blocks to keep; 0 keeps none.

    Attributes:
        hits: Requests that found their block decoded, or being decoded.
        misses: Requests that decoded it.
        used: Bytes held now.
    """

    def __init__(self, budget: int = DEFAULT_BUDGET) -> None:
        _check_budget(budget)
        self.budget = budget
        self.hits = self.misses = self.used = 0
        self._lock = threading.Lock()
        self._blocks: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._decoding: dict[Hashable, Future[np.ndarray]] = {}
        self._warned = budget == 0

    def get(self, key: Hashable, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """The block of `key`, read-only; `decode` makes it where it is absent.

        What `decode` raises reaches every thread that waits for the block, and nothing is kept.
        """
        with self._lock:
            block = self._blocks.get(key)
            if block is not None:
                self._blocks.move_to_end(key)
                self.hits += 1
                return block
            pending = self._decoding.get(key)
            if pending is None:
                self.misses += 1
                mine = self._decoding[key] = Future()
            else:
                self.hits += 1
        if pending is not None:
            return pending.result()
        try:
            block = decode()
            block.flags.writeable = False
        except BaseException as error:
            with self._lock:
                del self._decoding[key]
            mine.set_exception(error)
            raise
        mine.set_result(block)
        self._keep(key, block)
        return block

    def resize(self, budget: int) -> None:
        """Change the budget; what no longer fits is forgotten."""
        _check_budget(budget)
        with self._lock:
            self.budget = budget
            self._evict()

    def clear(self) -> None:
        """Forget all blocks."""
        with self._lock:
            self._blocks.clear()
            self.used = 0

    def _keep(self, key: Hashable, block: np.ndarray) -> None:
        with self._lock:
            del self._decoding[key]
            fits = block.nbytes <= self.budget
            if fits:
                self._blocks[key] = block
                self.used += block.nbytes
                self._evict()
            warn, self._warned = not (fits or self._warned), self._warned or not fits
        if warn:
            warnings.warn(
                f"A decoded block of {block.nbytes} bytes is larger than the cache's budget of {self.budget} bytes: "
                "blocks are decoded anew for every read. Raise the budget.",
                RuntimeWarning,
                stacklevel=3,
            )

    def _evict(self) -> None:
        while self.used > self.budget:
            self.used -= self._blocks.popitem(last=False)[1].nbytes


def _check_budget(budget: int) -> None:
    if budget < 0:
        raise ConfigError("The budget of the block cache is negative", got=f"{budget} bytes", expected="0 or more")


_default = BlockCache()


def default_cache() -> BlockCache:
    """The cache that sources of this process share unless they are given another."""
    return _default


def _renew() -> None:
    # A child of fork may inherit a lock that no thread of its own will ever release.
    global _default
    _default = BlockCache(_default.budget)


if hasattr(os, "register_at_fork"):  # absent on Windows, which has no fork
    os.register_at_fork(after_in_child=_renew)
