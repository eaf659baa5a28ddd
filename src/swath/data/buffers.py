"""Memory that is used again: decoding and batching run through gigabytes a second of arrays of the same few sizes.

Fresh memory comes from the operating system page by page and zeroed, which takes as long as decoding into it.
"""

from __future__ import annotations

import ctypes
import math
import weakref
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

#: Below this many bytes the allocator keeps memory by itself.
_SMALL = 2**17
#: Free pieces that are kept of one size.
_KEPT = 8

_free: dict[int, deque[np.ndarray]] = {}


def take(shape: int | Sequence[int], dtype: DTypeLike) -> np.ndarray:
    """An array like `np.empty`, in memory that is used again when the array and all its views are gone.

    Safe to call from several threads.
    """
    dtype = np.dtype(dtype)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    size = math.prod(shape) * dtype.itemsize
    if size < _SMALL:
        return np.empty(shape, dtype)
    # Sizes are rounded up by a sixteenth at most, so that compressed blocks of about one size share memory.
    step = 1 << (size.bit_length() - 5)
    capacity = -(-size // step) * step
    free = _free.setdefault(capacity, deque(maxlen=_KEPT))
    try:
        memory = free.pop()
    except IndexError:
        memory = np.empty(capacity, np.uint8)
    # Views refer to the array that was made from the buffer, not to `memory`: when it dies, all of them are dead.
    lent = np.frombuffer(memory.data, np.uint8, size)
    weakref.finalize(lent, free.append, memory).atexit = False
    return lent.view(dtype).reshape(shape)


def keep_freed_memory(limit: int = 2**27) -> bool:
    """Let the C library keep freed memory for the next array instead of returning it to the operating system.

    This is for the program that owns the process, before it samples: it took a quarter off the time of warped patches
    (benchmarks/sampling.py), whose intermediate arrays are of the size that glibc gives back at once.

    Args:
        limit: Bytes that stay with the process, for each thread that allocates.

    Returns:
        Whether there is glibc and it took the advice.
    """
    trim_threshold, mmap_threshold, most_mmap_threshold = -1, -3, 2**25
    try:
        advise = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return False
    return bool(advise(mmap_threshold, min(limit, most_mmap_threshold)) and advise(trim_threshold, limit))
