"""Memory is used again only when nobody can see it any more."""

import gc
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.data.buffers import take

LARGE = (300, 1000)


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_comes_back_when_the_last_view_is_gone():
    array = take(LARGE, np.float32)
    first = address(array)
    views = [array[3:, ::2].T, torch.from_numpy(array)[5:], memoryview(array)]
    del array
    while views:
        gc.collect()
        assert address(take(LARGE, np.float32)) != first
        views.pop()
    gc.collect()
    assert address(take(LARGE, np.float32)) == first


@settings(deadline=None)
@given(
    shape=st.lists(st.integers(0, 90), max_size=4),
    dtype=st.sampled_from(["uint8", "int16", "float32", "float64", "bool"]),
)
def test_it_is_like_empty(shape, dtype):
    array, like = take(shape, dtype), np.empty(shape, dtype)
    assert (array.shape, array.dtype, array.strides) == (like.shape, like.dtype, like.strides)
    assert array.flags.writeable
    array[...] = 1
    assert (array == 1).all()


def test_threads_never_share_memory():
    def work(number):
        for _ in range(200):
            array = take(200_000, np.uint8)
            array[:] = number
            again = take(200_001, np.uint8)
            again[:] = number + 100
            if (array != number).any():
                return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(6)))


def test_one_number_is_a_length():
    assert take(5, "uint8").shape == (5,)
    with pytest.raises(TypeError):
        take(5, "no type")


PROGRAM = """
import resource
import numpy as np
from swath.data.buffers import keep_freed_memory
KEEP
count = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    arrays = [np.empty(1_500_000, np.uint8) for _ in range(20)]
    for array in arrays:
        array.fill(1)
work()
before = count()
for _ in range(10):
    work()
print(count() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="advice for glibc only")
def test_freed_memory_is_kept_on_request():
    faults = [
        int(
            subprocess.run(
                [sys.executable, "-c", PROGRAM.replace("KEEP", keep)], capture_output=True, check=True
            ).stdout
        )
        for keep in ("", "assert keep_freed_memory()")
    ]
    # What the first round took serves the ten others.
    assert faults[1] < faults[0] / 4
